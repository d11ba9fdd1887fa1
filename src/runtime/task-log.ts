/**
 * The log as the runtime sees it: what a task reads, how it commits, and what is known of it. The SDK implements it on a cluster,
 * test/runtime in memory.
 *
 * Reads tell what was applied, and nothing is ever taken back (I6). Whether a commit counts is decided where it is applied (I9):
 * only if the task is still where the commit begins. So a commit may be sent again, by anyone, as often as it takes.
 */
import type { Result } from "../lib/result.ts";
import type { TaskOutput } from "../operators/engine/task-input.ts";
import type { DigestPoint } from "../record/digest-point.ts";
import type { Offset } from "../record/offset.ts";
import type { RecordHeader, StreamRecord } from "../record/record.ts";
import type { RecordPlace } from "../record/record-place.ts";
import type { TaskPlace } from "../record/task-place.ts";
import type { TaskCommit, TaskReplica, TaskSnapshotCommand, TaskTrimmedCommand } from "../wire/app-command.ts";

export interface TaskLog {
  /**
   * The streams' records in log order, and marks, from behind a place. A stream that is missing is waited for.
   * What breaks on the way is mended by itself.
   */
  follow(streams: readonly FeedStart[], after: RecordPlace): Feed;

  /**
   * The outputs, the task's new place and a record of the commit in its stream of commits: all of it in one transaction, or nothing
   * (I12).
   */
  commit(commit: TaskCommit, outputs: readonly TaskOutput[]): Promise<Result<void, CommitRefusal>>;

  /** What a record of a stream of commits says, if it is one of a commit. */
  readCommit(record: FeedRecord): TaskCommit | undefined;

  /**
   * Appends to the task's stream of commits what a replica says besides commits. An error says why that is refused, for good. Rejects
   * where it is not known whether it was appended, or may be another time.
   */
  say(by: TaskReplica, record: StreamRecord): Promise<Result<void, string>>;

  /** What it says of its snapshots (SPEC.md, W210 and W211). An error says why it is refused. Rejects if that is not known. */
  tell(command: TaskSnapshotCommand | TaskTrimmedCommand): Promise<Result<void, string>>;

  /** How the task stands, linearizable; undefined: there is no such app. Rejects if that cannot be learned now. */
  task(app: string, task: string): Promise<TaskFacts | undefined>;
}

/** With an offset, what is gone from there on is told as a gap; without one, it begins with the oldest record that is kept. */
export type FeedStart = { readonly stream: string; readonly offset?: Offset };

/** It fetches ahead no more than its bound: who asks slowly is sent slowly. */
export interface Feed {
  /** What came, in order, as soon as anything has; undefined once it is closed. One call at a time. */
  next(): Promise<readonly FeedItem[] | undefined>;
  /**
   * Of a stream that it follows the records before this offset go, as the task of this replica needs them no more: of the very one that
   * it has read, and of none that was made in its place. An error says why they stay. Rejects if it is not known whether they do.
   */
  trim(by: TaskReplica, stream: string, before: Offset): Promise<Result<void, string>>;
  /** Ends a pending `next`, too. */
  close(): void;
}

export type FeedItem = FeedRecord | FeedMark | FeedGap;

/** Those of the batch where the feed began may come again, from the batch's first. */
export type FeedRecord = {
  readonly kind: "record";
  readonly stream: string;
  readonly offset: Offset;
  readonly place: RecordPlace;
  readonly key?: Uint8Array | undefined;
  readonly value: Uint8Array | null;
  readonly headers?: readonly RecordHeader[];
  /** Event time; absent, log time. */
  readonly timestamp?: number | undefined;
  readonly logTime: number;
};

/** Everything before a place was told; no record that is still to come has an older log time. */
export type FeedMark = { readonly kind: "mark"; readonly position: number; readonly logTime: number };

/** Records that are no longer kept: offsets `from`, up to, not including, `to`. */
export type FeedGap = { readonly kind: "gap"; readonly stream: string; readonly from: Offset; readonly to: Offset };

export type CommitRefusal =
  /** The task is elsewhere: somebody else committed, or this very commit had taken effect before. */
  | { readonly kind: "moved"; readonly place: TaskPlace }
  /** A newer version of the app runs. */
  | { readonly kind: "fenced" }
  | { readonly kind: "paused" }
  | { readonly kind: "gone" }
  /** For good: it is more than a transaction takes, or not what its streams take. */
  | { readonly kind: "refused"; readonly message: string }
  /** Perhaps it takes effect, perhaps later, perhaps never. */
  | { readonly kind: "unknown" };

export type TaskFacts = {
  readonly epoch: number;
  readonly paused: boolean;
  readonly place: TaskPlace;
  readonly chain: bigint;
  /** Who committed last; undefined: nobody has. */
  readonly committing: string | undefined;
  readonly nextDue: number | undefined;
  /** The newest digest point that commits named. */
  readonly digest: DigestPoint | undefined;
  /** The manifest of its newest snapshot that is verified. */
  readonly verified: Offset | undefined;
  /** By stream: the offset of the first record that it reads, of all that it began with; what is gone from there on is lost. */
  readonly begins: ReadonlyMap<string, Offset>;
  /** The epoch in which the task began with nothing: what was kept of it before is of another life … */
  readonly born: number;
  /** … and behind which place. */
  readonly start: RecordPlace;
};
