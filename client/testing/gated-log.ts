/** A worker's clock and its log, behind one gate. What was sent is out, whatever becomes of the sender. */
import type { Result } from "../../src/lib/result.ts";
import type { TaskOutput } from "../../src/operators/engine/task-input.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import type { RecordPlace } from "../../src/record/record-place.ts";
import type { CommitRefusal, Feed, FeedRecord, FeedStart, TaskFacts, TaskLog } from "../../src/runtime/task-log.ts";
import { GatedClock } from "../../src/sim/gated-clock.ts";
import type { TaskCommit, TaskSnapshotCommand, TaskTrimmedCommand } from "../../src/wire/app-command.ts";

export class GatedLog extends GatedClock implements TaskLog {
  readonly #log: TaskLog;

  constructor(clock: Clock, log: TaskLog) {
    super(clock);
    this.#log = log;
  }

  follow(streams: readonly FeedStart[], after: RecordPlace): Feed {
    const feed = this.#log.follow(streams, after);
    return {
      next: () => this.gate.through(feed.next()),
      trim: (stream, before) => this.gate.through(feed.trim(stream, before)),
      close: () => feed.close(),
    };
  }

  commit(commit: TaskCommit, outputs: readonly TaskOutput[]): Promise<Result<void, CommitRefusal>> {
    return this.gate.through(this.#log.commit(commit, outputs));
  }

  tell(command: TaskSnapshotCommand | TaskTrimmedCommand): Promise<Result<void, string>> {
    return this.gate.through(this.#log.tell(command));
  }

  readCommit(record: FeedRecord): TaskCommit | undefined {
    return this.#log.readCommit(record);
  }

  append(stream: string, records: readonly StreamRecord[]): Promise<Result<void, string>> {
    return this.gate.through(this.#log.append(stream, records));
  }

  task(app: string, task: string): Promise<TaskFacts | undefined> {
    return this.gate.through(this.#log.task(app, task));
  }
}
