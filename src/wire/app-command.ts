/**
 * Commands of apps and their tasks, and what applying them answers: a part of `command.ts`, encoded by
 * `app-command-codec.ts`. An app is a topology that runs under a name; a task is one stage of it on one partition of its
 * input, and is run by any number of replicas, which are equals.
 *
 * What has become of a task's input is decided by applied commits alone (I9, I12): a commit counts only if the task is where
 * the commit begins. So of replicas that run ahead of each other, die, or come back late, whatever they commit, each output
 * is there once.
 */
import type { DigestPoint } from "../record/digest-point.ts";
import type { RecordPlace } from "../record/record-place.ts";
import type { TaskPlace } from "../record/task-place.ts";
import type { Incarnation, Offset } from "../record/offset.ts";
import type { AppShape } from "./app-shape.ts";
import type { StreamName } from "./command.ts";

/** One segment of a stream's name. */
export type AppName = string;

/** `<stage>.<partition>`, both numbers. */
export type TaskName = string;

export type TaskSpec = {
  readonly task: TaskName;
  /** What it reads, for whoever looks at it. */
  readonly inputs: readonly StreamName[];
};

export type AppConfig = {
  readonly app: AppName;
  /** From 1. */
  readonly version: number;
  readonly tasks: readonly TaskSpec[];
  /** The topology, for people. */
  readonly description: string;
  /** What all replicas must have alike; nothing here depends on it. */
  readonly options: string;
  /** What another version must have alike to go on with the state of tasks; empty: nothing is known of it. */
  readonly shape: AppShape;
};

/**
 * Deploys an app. The same again changes nothing, so that each of many replicas may say it. A higher version fences those
 * who run the old one; tasks of the same name stay where they are. A lower one is `task-fenced`, the same version with
 * anything else different is `app-exists`, and a higher one of another shape is `app-changed` where a task has done anything
 * of which the stage is not the same.
 */
export type AppPutCommand = AppConfig & { readonly kind: "app-put" };

/** Commits of a paused app are refused. */
export type AppStateCommand = { readonly kind: "app-state"; readonly app: AppName; readonly paused: boolean };

/** It begins anew, without state, behind `start`. */
export type TaskStart = { readonly task: TaskName; readonly start: RecordPlace };

/** Begins tasks anew, and fences those who run them. No tasks: all of them, from the beginning. */
export type AppResetCommand = {
  readonly kind: "app-reset";
  readonly app: AppName;
  readonly tasks: readonly TaskStart[];
};

/** Its streams stay. */
export type AppDeleteCommand = { readonly kind: "app-delete"; readonly app: AppName };

/** Who says something of a task. */
export type TaskReplica = {
  readonly app: AppName;
  readonly task: TaskName;
  /** Of the app: an older one is `task-fenced`. */
  readonly epoch: number;
  /** Drawn when it starts. */
  readonly replica: string;
};

/** What a task did between two places. */
export type TaskCommit = TaskReplica & {
  /** Where the task must be: elsewhere it is `task-moved`. */
  readonly from: TaskPlace;
  readonly to: TaskPlace;
  /** Over all outputs until `to`. */
  readonly chain: bigint;
  /** The newest that were passed since `from`. */
  readonly digests: readonly DigestPoint[];
  /** Log time at which something falls due even if no record comes: the log goes past it. */
  readonly nextDue?: number;
};

/** Makes sense in the transaction that appends the outputs, and the commit itself to the task's stream of commits. */
export type TaskCommitCommand = TaskCommit & { readonly kind: "task-commit" };

/** What stands in the task's stream of snapshots. */
export type TaskSnapshot = {
  /** Of its last record: who has it has the snapshot. */
  readonly manifest: Offset;
  /** Of the first record that it needs. */
  readonly neededFrom: Offset;
  /** Where it was taken, and what it must be. */
  readonly point: DigestPoint;
};

/**
 * Tells of a snapshot that is written. It is *verified* once two have come to the same there: a commit of another replica
 * named its digest point. The log remembers only the newest points: `verified` says that this replica has read such a commit,
 * or has restored the snapshot and digested it again. A digest that differs from what was committed is `condition-failed`.
 */
export type TaskSnapshotCommand = TaskReplica &
  TaskSnapshot & { readonly kind: "task-snapshot"; readonly verified: boolean };

/**
 * Input is trimmed as far as the verified snapshot with this manifest goes: there is no other way to what it holds. From then on
 * the newest verified one cannot be taken away: `snapshot-needed`.
 */
export type TaskTrimmedCommand = TaskReplica & { readonly kind: "task-trimmed"; readonly manifest: Offset };

/**
 * Makes sense in the transaction that appends to the task's stream of commits what else a replica says there: nobody appends to it but
 * who says which replica it is.
 */
export type TaskStatementCommand = TaskReplica & { readonly kind: "task-statement" };

/** Trims what the task needs no more: of its input, or of its commits. Nobody else trims what an app needs. */
export type TaskTrimCommand = TaskReplica & {
  readonly kind: "task-trim";
  readonly stream: StreamName;
  readonly incarnation: Incarnation;
  /** Records before this offset go. */
  readonly before: Offset;
};

export type AppCommand =
  | AppPutCommand
  | AppStateCommand
  | AppResetCommand
  | AppDeleteCommand
  | TaskCommitCommand
  | TaskSnapshotCommand
  | TaskTrimmedCommand
  | TaskStatementCommand
  | TaskTrimCommand;

/** What a transaction can undo. */
export type AppOperation = Exclude<AppCommand, TaskTrimCommand>;

/** To `app-put` and `app-reset`. */
export type AppEpochResult = {
  readonly kind: "app-epoch";
  /** Replicas of it may commit; it is never given twice, and only grows. */
  readonly epoch: number;
  /** False: all was so already. */
  readonly changed: boolean;
};
