/**
 * One seed of a simulation: three production nodes on simulated hardware, workers with the app's replicas, somebody who appends the input,
 * and what befalls them; then everything heals, and all must come out that plain tasks put out that read the same, each output once,
 * in order, and each replica's state must be theirs.
 */
import { assert, unreachable } from "../../src/lib/assert.ts";
import { equalBytes, hex64, utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { Graph } from "../../src/operators/engine/graph.ts";
import type { Topology } from "../../src/operators/build/topology.ts";
import { PoisonError } from "../../src/operators/run/topology-run.ts";
import { xxh64 } from "../../src/record/checksum.ts";
import type { DigestPoint } from "../../src/record/digest-point.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { APP_RUN_DEFAULTS } from "../../src/runtime/app-run.ts";
import { type TaskOfApp, tasksOf, writtenStreamsOf } from "../../src/runtime/app-streams.ts";
import type { FeedRecord } from "../../src/runtime/task-log.ts";
import type { ReplicaEnd } from "../../src/runtime/replica-end.ts";
import type { TaskName } from "../../src/wire/app-command.ts";
import { deadLetterStream } from "../../src/wire/app-streams.ts";
import { deploy } from "../cli/run/deploy.ts";
import type { Producer } from "../appending/producer.ts";
import { type AppFault, drawAppFaults, type FaultName, type FaultRates, type WorkerFault } from "./app-faults.ts";
import { appendedTo, batchAnswer, commitFault, endOf, type LogView, missingOutputs } from "./batch-answer.ts";
import type { ClusterFault } from "./cluster-faults.ts";
import { SIMULATION_LIMITS } from "./limits.ts";
import { LogObserver } from "./log-observer.ts";
import { SimulatedWorker } from "./simulated-worker.ts";
import { SupervisedCluster } from "./supervised-cluster.ts";
import { type ReadRecord, readRecord } from "./test-record.ts";

const NODES = 3;
/** Of the duration, the part in which input comes. */
const FED = 0.8;
const INPUT = "input";
const INTERNAL = "apps/";

export type SimulationSettings = {
  readonly topology: Topology;
  readonly graph: Graph;
  /** By stream, with its partition behind the name where there is more than one. */
  readonly input: ReadonlyMap<string, readonly StreamRecord[]>;
  readonly seed: number;
  readonly rates: FaultRates;
  readonly replicas: number;
  readonly durationMs: number;
  readonly quietMs: number;
  readonly poison: "throw" | "dead-letter";
};

/** What a task came to, in all replicas alike: hashes of its rows and of all its outputs. */
export type SimulatedDigest = { readonly records: number; readonly state: string; readonly outputs: string };

export type SimulatedRun = {
  readonly seed: number;
  /** By stream, those with dead letters included: everything in it, in order. */
  readonly outputs: Readonly<Record<string, readonly ReadRecord[]>>;
  /** By task, `<stage>.<partition>`. */
  readonly digests: Readonly<Record<string, SimulatedDigest>>;
  /** How many really happened, by kind. */
  readonly faults: Readonly<Record<FaultName, number>>;
  /** Timers of the simulation that ran. */
  readonly steps: number;
  readonly simulatedMs: number;
  /** A hash of everything that happened: of the same seed, the same. */
  readonly trace: string;
};

export class Simulation {
  /** What happened, the newest of it, each with its simulated time in milliseconds. */
  readonly lines: string[] = [];
  readonly #settings: SimulationSettings;
  readonly #site: SupervisedCluster;
  readonly #prng: Prng;
  readonly #workers: readonly SimulatedWorker[];
  readonly #faults: Record<FaultName, number> = { crashes: 0, pauses: 0, partitions: 0, duplicates: 0, slowness: 0 };
  /** What ends a fault of a worker that lasts. */
  readonly #lasting = new Set<() => void>();
  #observer: LogObserver | undefined;
  #fed = false;
  #trace = 0n;

  constructor(settings: SimulationSettings) {
    const { graph, seed, replicas, poison } = settings;
    this.#settings = settings;
    this.#prng = new Prng(seed).fork("simulation");
    this.#site = new SupervisedCluster({
      seed,
      nodes: NODES,
      segmentBytes: SIMULATION_LIMITS.segmentBytes,
      note: (line) => this.#note(line),
    });
    this.#workers = Array.from({ length: replicas }, (_, number) => {
      const name = `worker-${number}`;
      return new SimulatedWorker(this.#site, this.#prng.fork(name), {
        name,
        graph,
        config: { ...APP_RUN_DEFAULTS, poison: poison === "throw" ? "stop" : "dead-letter" },
        snapshotEveryMs: SIMULATION_LIMITS.snapshotEveryMs,
        judged: (stream, before) => this.#log.seen(stream, before),
        onEnd: (task, end) => this.#site.violated(violationOf(task, end)),
      });
    });
  }

  async run(): Promise<SimulatedRun> {
    await this.#site.found();
    await this.#site.raiseLevel();
    await this.#begin();
    await this.#suffer();
    this.#heal();
    await this.#until(() => this.#fed, "the input was appended");
    await this.#pass(this.#settings.quietMs);
    await this.#settle();
    this.#judge();
    const digests = await this.#compareStates();
    const outputs = this.#outputs();
    const { steps } = this.#site.cluster.clock;
    const { seed } = this.#settings;
    const simulatedMs = this.#site.clock.monotonic();
    return { seed, outputs, digests, faults: this.#faults, steps, simulatedMs, trace: hex64(this.#trace) };
  }

  /** What is wrong with what the app put out, in the words of who judges it. */
  async difference(): Promise<string | undefined> {
    const observer = this.#observer;
    if (observer === undefined) return undefined;
    const last = this.#lastPosition();
    this.#heal();
    await this.#site.cluster.until(() => observer.position > last, "everything is seen").catch(() => undefined);
    return observer.position > last ? this.#commitFault() : undefined;
  }

  get #log(): LogObserver {
    assert(this.#observer !== undefined, "it has begun");
    return this.#observer;
  }

  async #begin(): Promise<void> {
    const { topology, graph, input, poison } = this.#settings;
    const client = this.#site.connect("deployer");
    const made = async (): Promise<void> => {
      const options = { poison: poison === "throw" ? "stop" : poison } as const;
      await deploy(client, topology, options, new AbortController().signal);
      const written = new Set(writtenStreamsOf(graph));
      for (const stream of input.keys()) if (!written.has(stream)) await client.stream(stream).create();
      await client.close();
    };
    await this.#site.cluster.settle(made(), SIMULATION_LIMITS.settledWithinMs);
    this.#observer = new LogObserver(this.#site.connect("observer").taskLog(), graph);
    this.#observer.read().catch((error: unknown) => this.#site.violated(error));
    for (const worker of this.#workers) worker.start();
    this.#feed().catch((error: unknown) => {
      this.#site.violated(new Error("the input could not be appended", { cause: error }));
    });
  }

  /** In batches and with rests that the seed gives; of each stream in order, through idempotent producers (I8). */
  async #feed(): Promise<void> {
    const { input, durationMs } = this.#settings;
    const prng = this.#prng.fork(INPUT);
    const client = this.#site.connect(INPUT);
    const timeout = durationMs + SIMULATION_LIMITS.settledWithinMs;
    type Feeding = { readonly producer: Producer; readonly records: readonly StreamRecord[]; next: number };
    const feedings = [...input].map(([stream, records]): Feeding => {
      return { producer: client.stream(stream).producer({ id: INPUT, timeout }), records, next: 0 };
    });
    const total = feedings.reduce((sum, { records }) => sum + records.length, 0);
    const meanBatch = Math.ceil(total / SIMULATION_LIMITS.batches);
    const meanRestMs = (durationMs * FED * meanBatch) / total;
    for (let left = total; left > 0;) {
      // None gets far ahead of the others.
      let at = prng.below(left);
      const feeding = feedings.find(({ records, next }) => (at -= records.length - next) < 0);
      assert(feeding !== undefined, "one of them has some left");
      const batch = feeding.records.slice(feeding.next, feeding.next + 1 + prng.below(2 * meanBatch - 1));
      for (const record of batch) {
        await feeding.producer.ready();
        void feeding.producer.append(record);
      }
      feeding.next += batch.length;
      left -= batch.length;
      await this.#rest(prng.exponential(meanRestMs));
    }
    await Promise.all(feedings.map(({ producer }) => producer.close()));
    await client.close();
    this.#fed = true;
  }

  async #suffer(): Promise<void> {
    const { rates, durationMs } = this.#settings;
    const among = { nodes: NODES, workers: this.#workers.length, durationMs };
    const begunMs = this.#site.clock.monotonic();
    for (const { atMs, name, fault } of drawAppFaults(this.#prng.fork("faults"), rates, among)) {
      await this.#pass(begunMs + atMs - this.#site.clock.monotonic());
      if (this.#inflict(fault)) this.#faults[name] += 1;
    }
    await this.#pass(begunMs + durationMs - this.#site.clock.monotonic());
  }

  /** Answers whether it could be done. */
  #inflict(fault: AppFault["fault"]): boolean {
    if (isOfCluster(fault)) return this.#site.inflict(fault);
    this.#site.note(`fault ${JSON.stringify(fault)}`);
    if (fault.kind === "break-input") {
      this.#site.hangUp(INPUT);
      return true;
    }
    const worker = this.#workers[fault.worker];
    if (worker?.runs !== true) return false;
    switch (fault.kind) {
      case "kill-worker":
        worker.kill();
        this.#site.clock.schedule(fault.downMs, () => worker.start());
        return true;
      case "stop-worker":
        worker.stop().then(
          () => this.#site.clock.schedule(fault.downMs, () => worker.start()),
          (error: unknown) => this.#site.violated(error),
        );
        return true;
      case "pause-worker":
        this.#lasts(fault.forMs, worker.pause());
        return true;
      case "slow-worker":
        this.#slow(worker, this.#site.clock.monotonic() + fault.forMs, fault.waitMs);
        return true;
      case "break-worker":
        worker.hangUp();
        return true;
      default:
        return unreachable(fault);
    }
  }

  /** It stands still every other moment. */
  #slow(worker: SimulatedWorker, untilMs: number, waitMs: number): void {
    if (this.#site.clock.monotonic() >= untilMs) return;
    this.#lasts(waitMs, worker.pause());
    this.#site.clock.schedule(2 * waitMs, () => this.#slow(worker, untilMs, waitMs));
  }

  #lasts(forMs: number, end: () => void): void {
    const over = (): void => {
      if (this.#lasting.delete(over)) end();
    };
    this.#lasting.add(over);
    this.#site.clock.schedule(forMs, over);
  }

  #heal(): void {
    this.#site.heal();
    for (const end of [...this.#lasting]) end();
    for (const worker of this.#workers) worker.start();
  }

  /** All has come out, and every replica has read all that its task reads. */
  async #settle(): Promise<void> {
    const { clock } = this.#site;
    const { settledWithinMs, lookEveryMs, tickMsMax } = SIMULATION_LIMITS;
    const endMs = clock.monotonic() + settledWithinMs;
    for (;;) {
      await this.#pass(lookEveryMs);
      const missing = this.#unread() ?? missingOutputs(this.#log, this.#settings.graph, clock.now() - tickMsMax);
      if (missing === undefined) return;
      if (clock.monotonic() >= endMs)
        throw new Error(`not within ${settledWithinMs} ms after all faults: ${missing}${this.#perhapsEndless()}`);
    }
  }

  #perhapsEndless(): string {
    const { graph, input } = this.#settings;
    const readAgain = writtenStreamsOf(graph).filter((stream) => input.has(stream));
    if (readAgain.length === 0) return "";
    return `; the app reads what it writes to ${readAgain.join(", ")}, and so may never come to an end`;
  }

  #unread(): string | undefined {
    const log = this.#log;
    if (log.position <= this.#lastPosition()) return "what is in the log was not seen";
    const tasks = tasksOf(this.#settings.graph);
    for (const [number, { status }] of this.#workers.entries()) {
      if (status.length < tasks.length) return `worker ${number} is down`;
      for (const { task, state, work } of status) {
        if (state !== "running" || work === undefined) return `task ${task} is ${state} in worker ${number}`;
        if (work.readPosition < this.#lastPosition() || work.pendingOutputs > 0)
          return `task ${task} has not come to the end in worker ${number}`;
      }
    }
    return undefined;
  }

  #judge(): void {
    const { graph, input } = this.#settings;
    const fault = this.#commitFault();
    if (fault !== undefined) throw new Error(fault);
    for (const [stream, records] of input) {
      const there = appendedTo(this.#log, graph, stream);
      const isSame = records.every(({ value }, place) => sameValue(value, there[place]?.value));
      if (there.length !== records.length || !isSame) throw new Error(`I8: "${stream}" is not what was appended to it`);
    }
  }

  #commitFault(): string | undefined {
    const { graph, input } = this.#settings;
    return commitFault(this.#log, graph, new Set(input.keys()));
  }

  /** I10: by all replicas, at one moment, and by a task that read the same. */
  async #compareStates(): Promise<SimulatedRun["digests"]> {
    const { graph } = this.#settings;
    const times = this.#workers.flatMap(({ status }) => status.map(({ work }) => work?.readLogTime ?? -Infinity));
    const logTime = Math.max(this.#log.logTime, ...times);
    const states = this.#workers.map(({ stores }) => stores);
    await this.#site.cluster.settle(Promise.all(this.#workers.map((worker) => worker.stop())));
    const view: LogView = {
      logTime,
      of: (stream) => this.#log.of(stream),
      readCommit: (record) => this.#log.readCommit(record),
    };
    const digestOf = (task: TaskOfApp): SimulatedDigest => {
      const expected = digestText(batchAnswer(view, task.stage, task.partition).end);
      for (const [number, stores] of states.entries()) {
        const rows = stores.get(task.task);
        assert(rows !== undefined, "a replica that ran has rows");
        const actual = digestText(endOf(task, rows, logTime));
        if (
          actual.state !== expected.state ||
          actual.outputs !== expected.outputs ||
          actual.records !== expected.records
        )
          throw new Error(
            `task ${task.task}: worker ${number} ended with ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`,
          );
      }
      return expected;
    };
    return Object.fromEntries(tasksOf(graph).map((task) => [task.task, digestOf(task)]));
  }

  #outputs(): SimulatedRun["outputs"] {
    const { graph } = this.#settings;
    const dead = deadLetterStream(graph.app);
    const streams = writtenStreamsOf(graph).filter((stream) => !stream.startsWith(INTERNAL) || stream === dead);
    for (const stream of streams)
      for (const { offset, place, value } of this.#log.of(stream))
        this.#note(`${stream} ${offset} at ${place.position}: ${value === null ? "deleted" : hex64(xxh64(value))}`);
    const read = ({ key, value, headers, timestamp, logTime }: FeedRecord): ReadRecord =>
      readRecord({ key, value, timestamp: timestamp ?? logTime, ...(headers !== undefined && { headers }) });
    return Object.fromEntries(streams.map((stream) => [stream, this.#log.of(stream).map(read)]));
  }

  /** Of the log, as far as anybody knows. */
  #lastPosition(): number {
    return Math.max(0, ...this.#site.cluster.up.map(({ node }) => node?.machine.position ?? 0));
  }

  /** What goes wrong is best seen soon. */
  async #pass(forMs: number): Promise<void> {
    const endMs = this.#site.clock.monotonic() + forMs;
    for (;;) {
      this.#check();
      const left = endMs - this.#site.clock.monotonic();
      if (left <= 0) return;
      await this.#site.cluster.pass(Math.min(left, SIMULATION_LIMITS.lookEveryMs));
    }
  }

  #check(): void {
    this.#site.check();
    for (const { status } of this.#workers)
      for (const { task, work } of status) if (work?.disputed === true) throw new Error(differ(task));
  }

  async #until(isSo: () => boolean, what: string): Promise<void> {
    const { settledWithinMs, lookEveryMs } = SIMULATION_LIMITS;
    const endMs = this.#site.clock.monotonic() + settledWithinMs;
    while (!isSo()) {
      if (this.#site.clock.monotonic() >= endMs) throw new Error(`not within ${settledWithinMs} ms: ${what}`);
      await this.#pass(lookEveryMs);
    }
  }

  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#site.clock.schedule(ms, resolve));
  }

  #note(line: string): void {
    this.#trace = xxh64(utf8(line), this.#trace);
    this.lines.push(line);
    if (this.lines.length > 2 * SIMULATION_LIMITS.linesMax) this.lines.splice(0, SIMULATION_LIMITS.linesMax);
  }
}

function isOfCluster(fault: ClusterFault | WorkerFault): fault is ClusterFault {
  return !fault.kind.endsWith("-worker") && fault.kind !== "break-input";
}

function violationOf(task: TaskName, end: ReplicaEnd): Error {
  switch (end.kind) {
    case "poison":
      return new PoisonError(end.poison);
    case "contradicted":
    case "diverged":
      return new Error(differ(task));
    case "failed":
      return new Error(`the replica of task ${task} failed`, { cause: end.error });
    case "stopped":
    case "fenced":
    case "gone":
    case "input-trimmed":
      return new Error(`the replica of task ${task} ended: ${end.kind}`);
    default:
      return unreachable(end);
  }
}

function differ(task: TaskName): string {
  return `task ${task}: its replicas differ; callbacks may depend on nothing but their arguments and their state`;
}

function digestText({ records, state, outputs }: DigestPoint): SimulatedDigest {
  return { records, state: hex64(state), outputs: hex64(outputs) };
}

function sameValue(a: Uint8Array | null, b: Uint8Array | null | undefined): boolean {
  return a !== null && b ? equalBytes(a, b) : a === b;
}
