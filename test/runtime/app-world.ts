/** An app on simulated machines, with a log in memory and one clock: workers come, go, stand still, are cut off, and come back. */
import { Prng } from "../../src/lib/prng.ts";
import type { Graph } from "../../src/operators/engine/graph.ts";
import type { Kv } from "../../src/ports/kv.ts";
import { type TaskOfApp, tasksOf } from "../../src/runtime/app-streams.ts";
import type { Evidence } from "../../src/runtime/evidence.ts";
import { type OpenState, Replica } from "../../src/runtime/replica.ts";
import type { ReplicaConfig } from "../../src/runtime/replica-config.ts";
import type { ReplicaEnd } from "../../src/runtime/replica-end.ts";
import { openTaskState } from "../../src/runtime/snapshots/open-task-state.ts";
import { KvStore } from "../../src/runtime/state/kv-store.ts";
import { SimClock } from "../../src/sim/clock.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { endOfTurn } from "../../log-server/sim/turn.ts";
import { batchAnswer, commitFault, missingOutputs } from "../../client/testing/batch-answer.ts";
import { snapshotsStream } from "../../src/wire/app-streams.ts";
import { nodeZstd } from "../record/node-zstd.ts";
import { MemoryLog } from "./memory-log.ts";
import { openSpare, SMALL_SIZES } from "./snapshot-world.ts";
import { type Roughness, Worker } from "./worker.ts";

/** By number those whose disks outlive their workers. */
export type MachineName = number | string;
/** A machine with a worker on it. */
export type Machine = {
  readonly worker: Worker;
  readonly replicas: readonly Replica[];
  readonly disks: readonly SimKv[];
};

export const CALM: Roughness = { delayMsMax: 2, lost: 0, twice: 0 };

const TURNS_MAX = 200_000;
const RESTART_MS = 20;
const LOOK_EVERY_MS = 250;
/** The log's ticks may lag so far behind the clock. */
const TICK_MS_MAX = 50;

export class AppWorld {
  readonly clock: SimClock = new SimClock();
  readonly log: MemoryLog;
  readonly graph: Graph;
  readonly prng: Prng;
  readonly machines = new Map<MachineName, Machine>();
  readonly ends: ReplicaEnd[] = [];
  /** What replicas said while they went on. */
  readonly disputes: Evidence[] = [];
  readonly #config: Partial<ReplicaConfig>;
  readonly #snapshotEveryMs: number | undefined;
  readonly #disks = new Map<string, SimKv>();
  #started = 0;

  /** `snapshotEveryMs`: of log time; undefined: none is taken. */
  constructor(graph: Graph, seed: number, config: Partial<ReplicaConfig> = {}, snapshotEveryMs?: number) {
    this.log = new MemoryLog(this.clock);
    this.graph = graph;
    this.prng = new Prng(seed);
    this.#config = config;
    this.#snapshotEveryMs = snapshotEveryMs;
    for (const { task } of this.tasks) this.log.deploy(graph.app, task, 1);
  }

  get tasks(): readonly TaskOfApp[] {
    return tasksOf(this.graph);
  }

  /** A worker with a replica of every task; those of a numbered machine go on with what its disks have. */
  start(
    name: MachineName = `machine-${this.#started}`,
    roughness: Roughness = CALM,
    graph: Graph = this.graph,
    config: Partial<ReplicaConfig> = {},
  ): Machine {
    const id = `replica-${this.#started}`;
    this.#started += 1;
    const worker = new Worker(this.clock, this.log, this.prng.fork(id), roughness);
    const disks: SimKv[] = [];
    const replicas = tasksOf(graph).map(({ stage, partition, task }) => {
      const disk = this.#diskOf(`${name} ${task}`);
      disks.push(disk);
      const settings: ReplicaConfig = {
        stage,
        partition,
        id,
        commitEveryMs: 3,
        takeoverMs: 60,
        cursorEveryMs: 500,
        poison: "dead-letter",
        ...this.#config,
        ...config,
      };
      const opening = this.#opening(worker, disk, task);
      return new Replica(worker, worker, opening, settings, (evidence) => this.disputes.push(evidence));
    });
    const machine = { worker, replicas, disks };
    this.machines.set(name, machine);
    // What becomes of those that were killed is nothing to anybody; other code is found out.
    const note = (end: ReplicaEnd): void => {
      const isFoundOut = end.kind === "diverged" && graph !== this.graph;
      if (this.machines.get(name) === machine && !isFoundOut) this.ends.push(end);
    };
    for (const replica of replicas) void replica.finished.then(note);
    return machine;
  }

  /** Its worker ends at once; what it had sent may still arrive. */
  kill(name: MachineName): void {
    const machine = this.machines.get(name);
    if (machine === undefined) return;
    this.machines.delete(name);
    machine.worker.pause();
    for (const disk of machine.disks) disk.pullPlug();
    for (const { task } of this.tasks) {
      const disk = this.#disks.get(`${name} ${task}`);
      if (disk !== undefined) this.#disks.set(`${name} ${task}`, disk.crash(this.prng.chance(0.5)));
    }
    for (const replica of machine.replicas) void replica.stop();
  }

  /** Its worker ends as it is told to. */
  async stop(name: MachineName): Promise<void> {
    const machine = this.machines.get(name);
    await Promise.all((machine?.replicas ?? []).map((replica) => replica.stop()));
    if (this.machines.get(name) === machine) this.machines.delete(name);
  }

  heal(): void {
    for (const { worker } of this.machines.values()) {
      worker.cut = false;
      worker.resume();
    }
  }

  async pass(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  /** Answers whether it came so far within the time. */
  async until(isSo: () => boolean, withinMs: number): Promise<boolean> {
    const endMs = this.clock.monotonic() + withinMs;
    for (let turns = 0; turns < TURNS_MAX; turns += 1) {
      await endOfTurn();
      if (isSo()) return true;
      if ((this.clock.nextDueMs ?? Infinity) > endMs) break;
      this.clock.advanceToNext();
    }
    this.clock.advance(Math.max(0, endMs - this.clock.monotonic()));
    return isSo();
  }

  /** All that must come out has, and nothing else; undefined, if so. */
  async finish(withinMs: number): Promise<string | undefined> {
    const endMs = this.clock.monotonic() + withinMs;
    let missing: string | undefined = "";
    while (missing !== undefined && this.clock.monotonic() < endMs) {
      await this.pass(LOOK_EVERY_MS);
      missing = missingOutputs(this.log, this.graph, this.clock.now() - TICK_MS_MAX);
    }
    return this.fault() ?? (missing === undefined ? undefined : `not within ${withinMs} ms: ${missing}`);
  }

  /** What is wrong so far. */
  fault(): string | undefined {
    for (const end of this.ends)
      if (end.kind !== "stopped" && end.kind !== "contradicted")
        return `a replica ended: ${JSON.stringify(end, shown)}`;
    return commitFault(this.log, this.graph) ?? this.#snapshotFault();
  }

  /** I10: input may go on what is verified, so it must be what the input makes. */
  #snapshotFault(): string | undefined {
    for (const { stage, partition, task } of this.tasks) {
      const points = this.log.verifiedPoints(this.graph.app, task);
      const digests = points.length === 0 ? [] : batchAnswer(this.log, stage, partition).digests;
      for (const { records, logTime, state } of points) {
        const own = digests.find((point) => point.records === records && point.logTime === logTime);
        if (own?.state !== state) return `I10: ${task} has a verified snapshot at ${records} records that is wrong`;
      }
    }
    return undefined;
  }

  #opening(worker: Worker, disk: Kv, task: string): OpenState {
    const everyMs = this.#snapshotEveryMs;
    if (everyMs === undefined)
      return async () => {
        const { store, totals } = await KvStore.open(disk, task, worker);
        return { store, totals, durable: store };
      };
    const stream = worker.snapshots(snapshotsStream(this.graph.app, task));
    const plan = { stream, zstd: nodeZstd, everyMs, verifyEveryMs: 0, sizes: SMALL_SIZES };
    return async (facts, opening) => {
      for (;;) {
        try {
          return await openTaskState({
            plan,
            clock: worker,
            facts,
            opening,
            disk: { kv: disk, label: task, openSpare },
          });
        } catch {
          // Who starts it would start it again.
          await new Promise<void>((resolve) => void worker.schedule(RESTART_MS, resolve));
        }
      }
    };
  }

  #diskOf(name: string): SimKv {
    const known = this.#disks.get(name);
    if (known !== undefined) return known;
    const made = new SimKv();
    this.#disks.set(name, made);
    return made;
  }
}

function shown(_: string, value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value;
}
