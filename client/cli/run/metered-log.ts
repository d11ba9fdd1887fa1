/** A worker's log, which counts what became of its commits, and how long those took that counted. */
import type { Result } from "../../../src/lib/result.ts";
import type { TaskOutput } from "../../../src/operators/engine/task-input.ts";
import type { StreamRecord } from "../../../src/record/record.ts";
import type { RecordPlace } from "../../../src/record/record-place.ts";
import type { CommitRefusal, Feed, FeedRecord, FeedStart, TaskFacts, TaskLog } from "../../../src/runtime/task-log.ts";
import type {
  TaskCommit,
  TaskReplica,
  TaskSnapshotCommand,
  TaskTrimmedCommand,
} from "../../../src/wire/app-command.ts";

/** Since it was asked before. */
export type CommitTally = {
  /** Seconds, of each that counted: in the order in which they did. */
  readonly seconds: readonly number[];
  /** By why. */
  readonly refused: Readonly<Partial<Record<CommitRefusal["kind"], number>>>;
};

const MS_PER_SECOND = 1_000;

export class MeteredLog implements TaskLog {
  readonly #log: TaskLog;
  #seconds: number[] = [];
  #refused: Partial<Record<CommitRefusal["kind"], number>> = {};

  constructor(log: TaskLog) {
    this.#log = log;
  }

  take(): CommitTally {
    const tally = { seconds: this.#seconds, refused: this.#refused };
    this.#seconds = [];
    this.#refused = {};
    return tally;
  }

  async commit(commit: TaskCommit, outputs: readonly TaskOutput[]): Promise<Result<void, CommitRefusal>> {
    const startedMs = performance.now();
    const done = await this.#log.commit(commit, outputs);
    if (done.ok) this.#seconds.push((performance.now() - startedMs) / MS_PER_SECOND);
    else this.#refused[done.error.kind] = (this.#refused[done.error.kind] ?? 0) + 1;
    return done;
  }

  follow(streams: readonly FeedStart[], after: RecordPlace): Feed {
    return this.#log.follow(streams, after);
  }

  readCommit(record: FeedRecord): TaskCommit | undefined {
    return this.#log.readCommit(record);
  }

  say(by: TaskReplica, record: StreamRecord): Promise<Result<void, string>> {
    return this.#log.say(by, record);
  }

  tell(command: TaskSnapshotCommand | TaskTrimmedCommand): Promise<Result<void, string>> {
    return this.#log.tell(command);
  }

  task(app: string, task: string): Promise<TaskFacts | undefined> {
    return this.#log.task(app, task);
  }
}
