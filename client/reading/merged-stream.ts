/**
 * Following many streams as one: an async iterator over their records in log order, each once (I7).
 *
 * It holds no more than its prefetch bound (plus what a single larger batch takes). It starts with the first `next`,
 * `ready` or loop, goes on by itself whatever breaks, and ends with `close`, the end of the loop, or when all of its
 * streams are over.
 */
import { unreachable } from "../../src/lib/assert.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import { LOG_START, type LogPlace } from "../../src/record/log-place.ts";
import { formatOffset, type Incarnation, type Offset } from "../../src/record/offset.ts";
import { Deadline } from "../deadline.ts";
import type { Environment } from "../environment.ts";
import { asTidemarkError, TidemarkError, type Gap } from "../error.ts";
import { type FollowAccess, type FollowPortion, FollowReader } from "./follow-reader.ts";
import type { FollowedRecord, LogMark } from "./followed-record.ts";
import type { ReadStatus } from "./record-stream.ts";

export type FollowFrom = "start" | "now" | { readonly offset: Offset; readonly incarnation: Incarnation | undefined };

/** A complete configuration; `follow-options.ts` fills it from what the caller gave. */
export type MergedStreamConfig = {
  readonly streams: readonly { readonly name: string; readonly from: FollowFrom }[];
  readonly notBefore: LogPlace | undefined;
  /** Whether marks are delivered, too. */
  readonly marks: boolean;
  readonly markEveryMs: number;
  readonly prefetchBytes: number;
  /** Failures in a row for this long end it. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Without it, a gap ends the following with an error. */
  readonly onGap: ((stream: string, gap: Gap) => void) | undefined;
  readonly onStreamEnd: ((stream: string, reason: "closed" | "deleted") => void) | undefined;
  readonly onStatus: ((status: ReadStatus) => void) | undefined;
  readonly zstd: Zstd | undefined;
};

const DONE = { done: true, value: undefined } as const;

export class MergedStream<T extends FollowedRecord | LogMark = FollowedRecord> implements AsyncIterableIterator<
  T,
  undefined
> {
  readonly #config: MergedStreamConfig;
  readonly #deadline: Deadline;
  readonly #reader: FollowReader;
  /** By name: the offset behind what was delivered. */
  readonly #delivered = new Map<string, Offset>();
  #mark: LogPlace;
  #portions: FollowPortion[] = [];
  /** What the consumer is at. */
  #items: readonly T[] = [];
  #at = 0;
  #advancing: Promise<boolean> | undefined;
  #reading: Promise<void> | undefined;
  #ended = false;

  constructor(environment: Environment, access: FollowAccess, config: MergedStreamConfig) {
    this.#config = config;
    this.#mark = config.notBefore ?? LOG_START;
    this.#deadline = new Deadline(environment.clock, config.signal, Number.POSITIVE_INFINITY);
    this.#reader = new FollowReader(environment, access, config, this.#deadline);
    // Given up means now, not after what is still held.
    this.#deadline.signal.addEventListener("abort", () => {
      this.#settle();
      this.#portions = [];
    });
  }

  /** Of all its streams, everything that the log has before this place was delivered. */
  get mark(): LogPlace {
    return this.#mark;
  }

  /**
   * Of each stream the token of the record to go on with, true after each single record: for `from` of a later follow.
   * Known once it has begun.
   */
  get places(): Readonly<Record<string, string>> {
    const offsets = new Map(this.#delivered);
    note(this.#items.slice(0, this.#at), offsets);
    const places: Record<string, string> = {};
    for (const { name, incarnation } of this.#reader.streams) {
      const offset = offsets.get(name);
      if (offset !== undefined && incarnation !== undefined) places[name] = formatOffset(incarnation, offset);
    }
    return places;
  }

  /** Resolves when the places to begin at are settled: with `from: "now"`, whatever is appended after it will be seen. */
  async ready(): Promise<this> {
    while (!this.#reader.begun && !this.#ended) await this.#read();
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const item = this.#items[this.#at];
    if (item === undefined) return this.#nextAfterAdvance();
    this.#at += 1;
    return Promise.resolve({ done: false, value: item });
  }

  async #nextAfterAdvance(): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      const item = this.#items[this.#at];
      if (item !== undefined) {
        this.#at += 1;
        return { done: false, value: item };
      }
      if (!(await this.#advance())) return DONE;
    }
  }

  /** What comes in the portions in which it arrives: for bulk work, without a promise for each record. */
  async *batches(): AsyncGenerator<readonly T[], void, undefined> {
    try {
      for (;;) {
        const items = this.#at === 0 ? this.#items : this.#items.slice(this.#at);
        this.#at = this.#items.length;
        if (items.length > 0) yield items;
        if (!(await this.#advance())) return;
      }
    } finally {
      this.close();
    }
  }

  /** Ends the following; a pending `next` ends with it. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#deadline.cancel(new TidemarkError("aborted", "the following was closed"));
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.close();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#reading?.catch(() => undefined);
  }

  /** Goes on to the next portion; false at the end. */
  #advance(): Promise<boolean> {
    this.#advancing ??= this.#advanceOnce().finally(() => {
      this.#advancing = undefined;
    });
    return this.#advancing;
  }

  async #advanceOnce(): Promise<boolean> {
    this.#settle();
    try {
      while (this.#portions.length === 0 && !this.#ended) {
        if (this.#reader.over) this.close();
        else await this.#read();
      }
      this.#checkOpen();
      const portion = this.#portions.shift();
      if (portion !== undefined) this.#enter(portion);
      // Whoever was told something may have closed it.
      this.#checkOpen();
      return true;
    } catch (error) {
      const closed = this.#ended;
      this.close();
      if (closed) return false;
      throw error;
    }
  }

  #enter(portion: FollowPortion): void {
    switch (portion.kind) {
      case "records":
        this.#items = asItems(portion.records);
        break;
      case "gap":
        this.#onGap(portion.stream, portion.gap);
        this.#items = asItems(portion.records);
        break;
      case "ended":
        this.#config.onStreamEnd?.(portion.stream, portion.reason);
        break;
      case "mark":
        this.#mark = portion.next;
        if (this.#config.marks) this.#items = asItems([portion]);
        break;
      default:
        unreachable(portion);
    }
  }

  #onGap(stream: string, gap: Gap): void {
    this.#delivered.set(stream, gap.to);
    if (this.#config.onGap !== undefined) {
      this.#config.onGap(stream, gap);
      return;
    }
    const message = `records of "${stream}" from offset ${gap.from} up to ${gap.to} are no longer kept`;
    throw new TidemarkError("offset-trimmed", message, { gap });
  }

  /** The portion that the consumer was at was delivered, as far as it went. */
  #settle(): void {
    note(this.#items.slice(0, this.#at), this.#delivered);
    this.#items = [];
    this.#at = 0;
  }

  /** One at a time, whether for `ready` or for who consumes. */
  #read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readOnce(): Promise<void> {
    try {
      const portion = await this.#reader.read();
      for (const { name, next } of this.#reader.begun && this.#delivered.size === 0 ? this.#reader.streams : [])
        if (next !== undefined) this.#delivered.set(name, next);
      if (portion !== undefined) this.#portions.push(portion);
    } catch (error) {
      // Whatever ends it once, ends it for good.
      this.#deadline.cancel(asTidemarkError(error));
      throw error;
    }
  }

  #checkOpen(): void {
    if (this.#deadline.error !== undefined) throw this.#deadline.error;
  }
}

/** Whether marks are among them is in the configuration, and so in `T`. */
function asItems<T extends FollowedRecord | LogMark>(items: readonly (FollowedRecord | LogMark)[]): readonly T[] {
  return items as readonly T[];
}

/** Where the streams are behind these items. */
function note(items: readonly (FollowedRecord | LogMark)[], offsets: Map<string, Offset>): void {
  for (let at = 0; at < items.length; at += 1) {
    const item = items[at] as FollowedRecord | LogMark;
    const next = items[at + 1];
    if (item.kind === "mark") continue;
    // The last one of each stretch is enough.
    if (next?.kind !== "record" || next.stream !== item.stream) offsets.set(item.stream, item.offset + 1);
  }
}
