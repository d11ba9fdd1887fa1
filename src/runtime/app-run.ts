/**
 * An app in one worker: a replica of each of its tasks. Workers know nothing of each other; the log is all that they share. Deploying the
 * app and making its streams goes before, and is somebody else's.
 */
import { hex } from "../lib/bytes.ts";
import type { Graph } from "../operators/engine/graph.ts";
import type { TaskWatch } from "../operators/engine/task-watch.ts";
import { MemoryStore } from "../operators/state/memory-store.ts";
import type { Clock } from "../ports/clock.ts";
import type { Entropy } from "../ports/entropy.ts";
import type { TaskName } from "../wire/app-command.ts";
import { type TaskOfApp, tasksOf } from "./app-streams.ts";
import type { Evidence } from "./evidence.ts";
import { RUNTIME_LIMITS } from "./limits.ts";
import { type Opening, Replica, type ReplicaStatus } from "./replica.ts";
import type { ReplicaConfig } from "./replica-config.ts";
import type { ReplicaEnd } from "./replica-end.ts";
import type { TaskFacts, TaskLog } from "./task-log.ts";
import type { TaskState } from "./task-state.ts";

export type AppRunConfig = Omit<ReplicaConfig, "stage" | "partition" | "id" | "watch">;

/** Where the rows of a task are. */
export type OpenTaskState = (task: TaskName, facts: TaskFacts, opening: Opening) => Promise<TaskState>;

export type AppRunPorts = {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly openState: OpenTaskState;
  readonly watch?: (task: TaskName) => TaskWatch;
  /** A replica has ended; the others go on. */
  readonly onEnd?: (task: TaskName, end: ReplicaEnd) => void;
  /** A replica differs from another, no majority is against either, and both go on. */
  readonly onDispute?: (task: TaskName, evidence: Evidence) => void;
};

export type EndedTask = { readonly task: TaskName; readonly end: ReplicaEnd };

export const APP_RUN_DEFAULTS: AppRunConfig = {
  commitEveryMs: RUNTIME_LIMITS.commitEveryMsDefault,
  takeoverMs: RUNTIME_LIMITS.takeoverMsDefault,
  cursorEveryMs: RUNTIME_LIMITS.cursorEveryMsDefault,
  poison: "dead-letter",
};

const ID_BYTES = 8;

export class AppRun {
  readonly #replicas: readonly Replica[];
  readonly #finished: Promise<readonly EndedTask[]>;

  /** Begins at once. */
  constructor(log: TaskLog, ports: AppRunPorts, graph: Graph, config: AppRunConfig) {
    const { clock, entropy, openState, watch, onEnd, onDispute } = ports;
    const id = hex(entropy.bytes(ID_BYTES));
    const start = ({ stage, partition, task }: TaskOfApp): Replica =>
      new Replica(
        log,
        clock,
        (facts, opening) => openState(task, facts, opening),
        { ...config, stage, partition, id, ...(watch !== undefined && { watch: watch(task) }) },
        (evidence) => onDispute?.(task, evidence),
      );
    const tasks = tasksOf(graph);
    this.#replicas = tasks.map(start);
    const ended = async ({ task }: TaskOfApp, place: number): Promise<EndedTask> => {
      const end = await (this.#replicas[place] as Replica).finished;
      onEnd?.(task, end);
      return { task, end };
    };
    this.#finished = Promise.all(tasks.map(ended));
  }

  /** By task. */
  get status(): readonly ReplicaStatus[] {
    return this.#replicas.map(({ status }) => status);
  }

  /** Resolves when all its replicas have ended, to why. */
  get finished(): Promise<readonly EndedTask[]> {
    return this.#finished;
  }

  /** Ends all of them. */
  async stop(): Promise<void> {
    await Promise.all(this.#replicas.map((replica) => replica.stop()));
  }
}

/** For state that is made anew whenever a worker starts. */
export function openInMemory(): Promise<TaskState> {
  return Promise.resolve({ store: new MemoryStore() });
}
