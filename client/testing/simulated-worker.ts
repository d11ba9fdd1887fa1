/**
 * A machine that runs a worker of an app, life after life: production replicas on the production SDK, with snapshots in the log. It is killed,
 * stopped, and stands still, as it is told; what it has in memory ends with each life.
 */
import { SYSTEM_ZSTD } from "../../log-server/system.ts";
import type { Prng } from "../../src/lib/prng.ts";
import type { Graph } from "../../src/operators/engine/graph.ts";
import type { StateStore } from "../../src/operators/state/state-store.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Offset } from "../../src/record/offset.ts";
import { AppRun, type AppRunConfig, type OpenTaskState } from "../../src/runtime/app-run.ts";
import type { ReplicaEnd } from "../../src/runtime/replica-end.ts";
import { openTaskState } from "../../src/runtime/snapshots/open-task-state.ts";
import type { ReplicaStatus } from "../../src/runtime/replica.ts";
import type { TaskLog } from "../../src/runtime/task-log.ts";
import { GatedClock } from "../../src/sim/gated-clock.ts";
import type { TaskName } from "../../src/wire/app-command.ts";
import { snapshotsStream } from "../../src/wire/app-streams.ts";
import type { Consistency } from "../../src/wire/consistency.ts";
import type { Client } from "../client.ts";
import { ClientSnapshots } from "../apps/snapshot-stream.ts";

/** Where it stands. */
export interface WorkerSite {
  readonly clock: Clock;
  connect(name: string, consistency: Consistency, process: GatedClock): Client;
  hangUp(name: string): void;
}

export type SimulatedWorkerOptions = {
  readonly name: string;
  readonly graph: Graph;
  readonly config: AppRunConfig;
  /** Of log time, between two snapshots. */
  readonly snapshotEveryMs: number;
  /** Resolves when who judges has read this stream up to this offset: nothing is trimmed before. */
  readonly judged: (stream: string, before: Offset) => Promise<void>;
  /** A replica has ended by itself. */
  readonly onEnd: (task: TaskName, end: ReplicaEnd) => void;
};

type Life = {
  readonly name: string;
  readonly process: GatedClock;
  readonly client: Client;
  readonly stores: Map<TaskName, StateStore>;
  readonly run: AppRun;
  /** Reasons for which it stands still. */
  pauses: number;
};

export class SimulatedWorker {
  readonly #site: WorkerSite;
  readonly #prng: Prng;
  readonly #options: SimulatedWorkerOptions;
  #life: Life | undefined;
  #lives = 0;

  constructor(site: WorkerSite, prng: Prng, options: SimulatedWorkerOptions) {
    this.#site = site;
    this.#prng = prng;
    this.#options = options;
  }

  get runs(): boolean {
    return this.#life !== undefined;
  }

  /** Of its replicas; none, while it is down. */
  get status(): readonly ReplicaStatus[] {
    return this.#life?.run.status ?? [];
  }

  /** The rows of its tasks. */
  get stores(): ReadonlyMap<TaskName, StateStore> {
    return this.#life?.stores ?? new Map();
  }

  /** A new life, unless it has one. */
  start(): void {
    if (this.#life !== undefined) return;
    const { graph, config } = this.#options;
    const name = `${this.#options.name}.${this.#lives}`;
    this.#lives += 1;
    const process = new GatedClock(this.#site.clock);
    const client = this.#site.connect(name, "session", process);
    const stores = new Map<TaskName, StateStore>();
    const openState: OpenTaskState = async (task, facts, opening) => {
      const stream = new ClientSnapshots(client.stream(snapshotsStream(graph.app, task)));
      const plan = { stream, zstd: SYSTEM_ZSTD, everyMs: this.#options.snapshotEveryMs };
      const state = await openTaskState({ plan, clock: process, facts, opening });
      stores.set(task, state.store);
      return state;
    };
    const onEnd = (task: TaskName, end: ReplicaEnd): void => {
      if (end.kind !== "stopped" && this.#life?.run === run) this.#options.onEnd(task, end);
    };
    const entropy = { bytes: (length: number) => this.#prng.bytes(length) };
    const log = trimmingLate(client.taskLog(), this.#options.judged);
    const run: AppRun = new AppRun(log, { clock: process, entropy, openState, onEnd }, graph, config);
    this.#life = { name, process, client, stores, run, pauses: 0 };
  }

  /** Its life ends at once. What it had sent may still arrive. */
  kill(): void {
    const life = this.#end();
    if (life === undefined) return;
    // For good: nobody takes this one back.
    pause(life);
    this.#site.hangUp(life.name);
    void life.run.stop();
    void life.client.close();
  }

  /** It ends between two inputs. */
  async stop(): Promise<void> {
    const life = this.#end();
    if (life === undefined) return;
    life.process.gate.open();
    await life.run.stop();
    void life.client.close();
  }

  /** Nothing runs in it, and what comes in waits. Answers what lets it go on. */
  pause(): () => void {
    const life = this.#life;
    if (life === undefined) return () => undefined;
    pause(life);
    return () => {
      life.pauses -= 1;
      if (life.pauses === 0) life.process.gate.open();
    };
  }

  /** Its connection breaks: of what is under way nobody tells it the outcome. */
  hangUp(): void {
    if (this.#life !== undefined) this.#site.hangUp(this.#life.name);
  }

  #end(): Life | undefined {
    const life = this.#life;
    this.#life = undefined;
    return life;
  }
}

function pause(life: Life): void {
  life.pauses += 1;
  life.process.gate.close();
}

function trimmingLate(log: TaskLog, judged: SimulatedWorkerOptions["judged"]): TaskLog {
  return {
    follow(streams, after) {
      const feed = log.follow(streams, after);
      return {
        next: () => feed.next(),
        async trim(by, stream, before) {
          await judged(stream, before);
          return feed.trim(by, stream, before);
        },
        close: () => feed.close(),
      };
    },
    commit: (commit, outputs) => log.commit(commit, outputs),
    readCommit: (record) => log.readCommit(record),
    say: (by, record) => log.say(by, record),
    tell: (command) => log.tell(command),
    task: (app, task) => log.task(app, task),
  };
}
