/** An app on simulated workers, with a log in memory and one clock: replicas come, go, stand still, are cut off, and come back. */
import { Prng } from "../../src/lib/prng.ts";
import type { Graph } from "../../src/operators/engine/graph.ts";
import { type TaskOfApp, tasksOf } from "../../src/runtime/app-streams.ts";
import { openInMemory } from "../../src/runtime/app-run.ts";
import { Replica } from "../../src/runtime/replica.ts";
import type { ReplicaConfig } from "../../src/runtime/replica-config.ts";
import type { ReplicaEnd } from "../../src/runtime/replica-end.ts";
import { SimClock } from "../../src/sim/clock.ts";
import { batchAnswer, commitFault } from "./batch-answer.ts";
import { MemoryLog } from "./memory-log.ts";
import { type Roughness, Worker } from "./worker.ts";

type Running = { readonly worker: Worker; readonly replicas: readonly Replica[]; readonly lasts: (() => void)[] };

export const CALM: Roughness = { delayMsMax: 2, lost: 0, twice: 0 };

const TURNS_MAX = 200_000;
const LOOK_EVERY_MS = 250;

export class AppWorld {
  readonly clock: SimClock = new SimClock();
  readonly log: MemoryLog;
  readonly graph: Graph;
  readonly prng: Prng;
  readonly workers: Running[] = [];
  readonly ends: ReplicaEnd[] = [];
  readonly #config: Partial<ReplicaConfig>;
  #started = 0;

  constructor(graph: Graph, seed: number, config: Partial<ReplicaConfig> = {}) {
    this.log = new MemoryLog(this.clock);
    this.graph = graph;
    this.prng = new Prng(seed);
    this.#config = config;
    for (const { task } of this.tasks) this.log.deploy(graph.app, task, 1);
  }

  get tasks(): readonly TaskOfApp[] {
    return tasksOf(this.graph);
  }

  /** A worker with a replica of every task, from nothing. */
  start(roughness: Roughness = CALM, graph: Graph = this.graph): Running {
    const number = this.#started;
    this.#started += 1;
    const worker = new Worker(this.clock, this.log, this.prng.fork(`worker ${number}`), roughness);
    const replicas = tasksOf(graph).map(({ stage, partition }) => {
      const replica = new Replica(worker, worker, openInMemory, {
        stage,
        partition,
        id: `replica-${number}`,
        commitEveryMs: 3,
        takeoverMs: 60,
        cursorEveryMs: 500,
        poison: "dead-letter",
        ...this.#config,
      });
      void replica.finished.then((end) => this.ends.push(end));
      return replica;
    });
    const running = { worker, replicas, lasts: [] };
    this.workers.push(running);
    return running;
  }

  /** It ends at once; what it had sent may still arrive. */
  kill(running: Running): void {
    this.workers.splice(this.workers.indexOf(running), 1);
    running.worker.pause();
    for (const replica of running.replicas) void replica.stop();
  }

  async pass(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }

  /** Answers whether it came so far within the time. */
  async until(isSo: () => boolean, withinMs: number): Promise<boolean> {
    const endMs = this.clock.monotonic() + withinMs;
    for (let turns = 0; turns < TURNS_MAX; turns += 1) {
      await turn();
      if (isSo()) return true;
      if ((this.clock.nextDueMs ?? Infinity) > endMs) break;
      this.clock.advanceToNext();
    }
    this.clock.advance(Math.max(0, endMs - this.clock.monotonic()));
    return isSo();
  }

  /** All that must come out has, and nothing else. */
  async finish(withinMs: number): Promise<string | undefined> {
    const isDone = (): boolean =>
      this.tasks.every(({ stage, partition, task }) => {
        const committed = this.log.task(stage.app, task)?.place.outputs;
        return committed === batchAnswer(this.log, stage, partition).outputs.length;
      });
    const endMs = this.clock.monotonic() + withinMs;
    let done = false;
    while (!done && this.clock.monotonic() < endMs) {
      await this.pass(LOOK_EVERY_MS);
      done = isDone();
    }
    return this.fault() ?? (done ? undefined : `not all is committed within ${withinMs} ms`);
  }

  /** What is wrong so far. */
  fault(): string | undefined {
    for (const end of this.ends) if (end.kind !== "stopped") return `a replica ended: ${JSON.stringify(end, shown)}`;
    for (const { stage, partition } of this.tasks) {
      const fault = commitFault(this.log, stage, partition);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
}

function shown(_: string, value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value;
}

/** All that can happen without time. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
