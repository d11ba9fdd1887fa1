/** Reads all that an app reads and writes, from the beginning, as any client would: what is judged by. */
import type { Graph } from "../../src/operators/engine/graph.ts";
import type { Offset } from "../../src/record/offset.ts";
import { BEFORE_RECORDS } from "../../src/record/record-place.ts";
import { taskSpecsOf, writtenStreamsOf } from "../../src/runtime/app-streams.ts";
import type { Feed, FeedRecord, TaskLog } from "../../src/runtime/task-log.ts";
import type { TaskCommit } from "../../src/wire/app-command.ts";
import { commitsStream } from "../../src/wire/app-streams.ts";
import type { LogView } from "./batch-answer.ts";

export class LogObserver implements LogView {
  logTime = -Infinity;
  /** Everything before it was seen. */
  position = 0;
  readonly #log: TaskLog;
  readonly #feed: Feed;
  readonly #commits: ReadonlySet<string>;
  readonly #streams = new Map<string, FeedRecord[]>();
  /** Who waits until it has read on. */
  readonly #waiting: (() => void)[] = [];

  constructor(log: TaskLog, graph: Graph) {
    const tasks = taskSpecsOf(graph);
    const streams = new Set([...tasks.flatMap(({ inputs }) => inputs), ...writtenStreamsOf(graph)]);
    this.#log = log;
    this.#commits = new Set(tasks.map(({ task }) => commitsStream(graph.app, task)));
    this.#feed = log.follow(
      [...streams].map((stream) => ({ stream })),
      BEFORE_RECORDS,
    );
  }

  of(stream: string): readonly FeedRecord[] {
    return this.#streams.get(stream) ?? [];
  }

  readCommit(record: FeedRecord): TaskCommit | undefined {
    return this.#commits.has(record.stream) ? this.#log.readCommit(record) : undefined;
  }

  /** Until `close`. Rejects if records are gone. */
  async read(): Promise<void> {
    for (let items = await this.#feed.next(); items !== undefined; items = await this.#feed.next()) {
      for (const item of items) {
        if (item.kind === "gap") throw new Error(`I7: an observer was told of a gap in ${item.stream}`);
        if (item.kind === "mark") this.position = item.position;
        else this.#keep(item);
        this.logTime = item.logTime;
      }
      for (const goOn of this.#waiting.splice(0)) goOn();
    }
  }

  /** Resolves when it has what is before this offset. */
  async seen(stream: string, before: Offset): Promise<void> {
    while ((this.of(stream).at(-1)?.offset ?? -1) < before - 1)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    this.#feed.close();
  }

  #keep(record: FeedRecord): void {
    const known = this.#streams.get(record.stream);
    if (known === undefined) this.#streams.set(record.stream, [record]);
    else known.push(record);
  }
}
