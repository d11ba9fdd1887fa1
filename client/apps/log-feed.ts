/**
 * What a task reads: its streams as one, in log order, with marks, and with what is gone told in its place. It waits for streams
 * that are missing, since what comes of one later could not be put in order; and it ends with an error where one is deleted.
 */
import { LOG_START } from "../../src/record/log-place.ts";
import { err, type Result } from "../../src/lib/result.ts";
import { type Offset, parseOffset } from "../../src/record/offset.ts";
import type { RecordPlace } from "../../src/record/record-place.ts";
import type { Feed, FeedItem, FeedStart } from "../../src/runtime/task-log.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import type { TaskReplica } from "../../src/wire/app-command.ts";
import type { Connection } from "../connection.ts";
import { Deadline, sleep } from "../deadline.ts";
import { asTidemarkError, TidemarkError } from "../error.ts";
import type { FollowedRecord, LogMark } from "../reading/followed-record.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import type { MergedStream } from "../reading/merged-stream.ts";
import { settled } from "../settled.ts";
import { orBeforeUpgrade } from "./or-before-upgrade.ts";

type Item = FollowedRecord | LogMark;

export class LogFeed implements Feed {
  readonly #connection: Connection;
  readonly #zstd: Zstd | undefined;
  readonly #starts: readonly FeedStart[];
  readonly #after: RecordPlace;
  readonly #deadline: Deadline;
  /** What comes before the next items. */
  #told: FeedItem[] = [];
  #deleted: TidemarkError | undefined;
  #batches: AsyncGenerator<readonly Item[], void, undefined> | undefined;
  #merged: MergedStream<Item> | undefined;

  constructor(connection: Connection, zstd: Zstd | undefined, starts: readonly FeedStart[], after: RecordPlace) {
    this.#connection = connection;
    this.#zstd = zstd;
    this.#starts = starts;
    this.#after = after;
    this.#deadline = new Deadline(connection.environment.clock, undefined, Number.POSITIVE_INFINITY);
  }

  async next(): Promise<readonly FeedItem[] | undefined> {
    try {
      this.#batches ??= (await this.#begin()).batches();
      const { done, value } = await this.#batches.next();
      if (this.#deleted !== undefined) throw this.#deleted;
      if (done === true) return undefined;
      const items = [...this.#told, ...value.map(toItem)];
      this.#told = [];
      return items;
    } catch (thrown) {
      if (this.#deadline.error !== undefined) return undefined;
      throw thrown;
    }
  }

  trim(by: TaskReplica, stream: string, before: Offset): Promise<Result<void, string>> {
    const place = this.#merged?.places[stream];
    const begun = place === undefined ? undefined : parseOffset(place);
    if (begun?.ok !== true) return Promise.resolve(err("nothing of it was read"));
    const { incarnation } = begun.value;
    return settled(
      orBeforeUpgrade(
        () => this.#connection.execute({ kind: "task-trim", ...by, stream, incarnation, before }, {}),
        () => this.#connection.execute({ kind: "trim", stream, incarnation, before }, {}),
      ),
    );
  }

  close(): void {
    this.#deadline.cancel(new TidemarkError("aborted", "the feed was closed"));
    this.#merged?.close();
  }

  async #begin(): Promise<MergedStream<Item>> {
    for (;;) {
      const merged = this.#follow();
      this.#merged = merged;
      try {
        await merged.ready();
        if (this.#deadline.error !== undefined) throw this.#deadline.error;
        this.#tellGaps(merged);
        return merged;
      } catch (thrown) {
        merged.close();
        const error = asTidemarkError(thrown);
        if (error.code !== "stream-not-found" && error.code !== "stream-gone") throw error;
        await sleep(this.#connection.environment.clock, CLIENT_LIMITS.missingStreamEveryMs, this.#deadline.signal);
      }
    }
  }

  #follow(): MergedStream<Item> {
    const { position, ordinal } = this.#after;
    return this.#connection.follow<Item>({
      // What is missing of what was asked for is told by us: an offset would be one of any stream of that name.
      streams: this.#starts.map(({ stream: name }) => ({ name, from: "start" })),
      notBefore: position === LOG_START.position ? undefined : { position, ordinal },
      marks: true,
      markEveryMs: CLIENT_LIMITS.markEveryMs,
      prefetchBytes: CLIENT_LIMITS.prefetchBytes,
      timeoutMs: Number.POSITIVE_INFINITY,
      signal: undefined,
      onGap: (stream, { from, to }) => this.#told.push({ kind: "gap", stream, from, to }),
      onStreamEnd: (stream, reason) => {
        if (reason === "deleted") this.#deleted = new TidemarkError("stream-gone", `"${stream}" was deleted`);
      },
      onStatus: undefined,
      zstd: this.#zstd,
    });
  }

  /** Where it begins behind the offset that was asked for, what lies between is no longer kept. */
  #tellGaps({ places }: MergedStream<Item>): void {
    for (const { stream, offset: from } of this.#starts) {
      const place = places[stream];
      const begun = place === undefined ? undefined : parseOffset(place);
      if (from !== undefined && begun?.ok === true && begun.value.offset > from)
        this.#told.push({ kind: "gap", stream, from, to: begun.value.offset });
    }
  }
}

function toItem(item: Item): FeedItem {
  return item.kind === "record" ? item : { kind: "mark", position: item.next.position, logTime: item.logTime };
}
