/**
 * Reading a stream, to its tail or for ever: an async iterator over its records, each once and in order (I7).
 *
 * It fetches one chunk ahead of its consumer, so it holds two chunks of half the prefetch bound at most (plus what a single
 * larger batch takes). Its place is an offset, so whatever breaks — connection, server — it goes on exactly where it
 * was. It starts with the first `next`, `ready` or loop, and ends with `close`, the end of the loop, or the stream's closure.
 */
import type { Zstd } from "../../src/ports/zstd.ts";
import { formatOffset, type Incarnation, type Offset } from "../../src/record/offset.ts";
import type { CallSignal } from "../call-signal.ts";
import { Deadline, sleep } from "../deadline.ts";
import type { Diagnostics } from "../diagnostics.ts";
import type { Environment } from "../environment.ts";
import { asTidemarkError, TidemarkError, withOutcome, type Gap } from "../error.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import { Patience } from "../patience.ts";
import { decodeAnswer, type ReadAnswer, type ReadQuery, type Run } from "./read-answer.ts";
import type { ReceivedRecord } from "./received-record.ts";

/** One attempt; `over` fires when the reading has ended and nothing will be asked any more. */
export type SendRead = (query: ReadQuery, signal: CallSignal, over: CallSignal) => Promise<ReadAnswer>;

/** One attempt to find where a time begins. */
export type Locate = (
  atMs: number,
  signal: CallSignal,
) => Promise<{ readonly offset: Offset; readonly incarnation: Incarnation }>;

/** What a subscription tells of its connection. */
export type ReadStatus =
  | { readonly kind: "connected" }
  | {
      readonly kind: "disconnected";
      readonly error: TidemarkError;
      readonly attempts: number;
      readonly retryInMs: number;
    };

/** A complete configuration; `stream.ts` fills it from what the caller gave. */
export type RecordStreamConfig = {
  readonly stream: string;
  readonly from:
    | "start"
    | "now"
    | { readonly offset: Offset; readonly incarnation: Incarnation | undefined }
    | { readonly atMs: number };
  /** Goes on at the tail. */
  readonly live: boolean;
  readonly waitMs: number;
  readonly prefetchBytes: number;
  /** Failures in a row for this long end it. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Without it, a gap ends the reading with an error. */
  readonly onGap: ((gap: Gap) => void) | undefined;
  readonly onStatus: ((status: ReadStatus) => void) | undefined;
  readonly zstd: Zstd | undefined;
  readonly diagnostics: Diagnostics;
};

type Chunk = { readonly runs: readonly Run[]; readonly answer: ReadAnswer; readonly end: boolean };

const NO_RECORDS: readonly ReceivedRecord[] = [];
const DONE = { done: true, value: undefined } as const;

function ignore(): void {}

export class RecordStream implements AsyncIterableIterator<ReceivedRecord, undefined> {
  readonly #environment: Environment;
  readonly #send: SendRead;
  readonly #locate: Locate;
  readonly #config: RecordStreamConfig;
  readonly #deadline: Deadline;
  readonly #patience: Patience;
  /** Where the next fetch begins, once that is known. */
  #place: { readonly incarnation: Incarnation | undefined; readonly offset: Offset } | undefined;
  #incarnation: Incarnation | undefined;
  #ahead: Promise<Chunk> | undefined;
  /** What the consumer is at. */
  #runs: Run[] = [];
  #records: readonly ReceivedRecord[] = NO_RECORDS;
  #at = 0;
  #delivered: Offset | undefined;
  #latest: ReadAnswer | undefined;
  #lastChunk = false;
  #advancing: Promise<boolean> | undefined;
  #ended = false;

  constructor(environment: Environment, send: SendRead, locate: Locate, config: RecordStreamConfig) {
    this.#environment = environment;
    this.#send = send;
    this.#locate = locate;
    this.#config = config;
    this.#deadline = new Deadline(environment.clock, config.signal, Number.POSITIVE_INFINITY);
    this.#patience = new Patience(environment, config.timeoutMs);
    if (typeof config.from === "object" && "offset" in config.from) this.#place = config.from;
    // Given up means now, not after what is still held.
    this.#deadline.signal.addEventListener("abort", () => {
      this.#records = NO_RECORDS;
      this.#runs = [];
    });
  }

  /** The offset after the last record that was delivered: where to go on later. Known once reading has begun. */
  get nextOffset(): Offset | undefined {
    return this.#delivered;
  }

  /** The same as text, for `from` of a later read. */
  get nextToken(): string | undefined {
    if (this.#delivered === undefined || this.#incarnation === undefined) return undefined;
    return formatOffset(this.#incarnation, this.#delivered);
  }

  /** The stream's next offset, as of the newest answer that was delivered. */
  get tail(): Offset | undefined {
    return this.#latest?.tail;
  }

  /** Everything the stream held at the newest answer was delivered. */
  get upToDate(): boolean {
    return this.#latest !== undefined && this.#latest.upToDate && this.#delivered === this.#latest.nextOffset;
  }

  get contentType(): string | undefined {
    return this.#latest?.contentType;
  }

  /** Resolves when the place to read from is settled: with `from: "now"`, whatever is appended after it will be seen. */
  async ready(): Promise<this> {
    if (this.#latest === undefined && !this.#ended) await this.#fetched();
    return this;
  }

  next(): Promise<IteratorResult<ReceivedRecord, undefined>> {
    const record = this.#records[this.#at];
    if (record !== undefined) return Promise.resolve({ done: false, value: this.#take(record) });
    return this.#nextAfterAdvance();
  }

  async #nextAfterAdvance(): Promise<IteratorResult<ReceivedRecord, undefined>> {
    for (;;) {
      const record = this.#records[this.#at];
      if (record !== undefined) return { done: false, value: this.#take(record) };
      if (!(await this.#advance())) return DONE;
    }
  }

  #take(record: ReceivedRecord): ReceivedRecord {
    this.#at += 1;
    this.#delivered = record.offset + 1;
    return record;
  }

  /** The records in the portions in which they arrive: for bulk work, without a promise for each record. */
  async *batches(): AsyncGenerator<readonly ReceivedRecord[], void, undefined> {
    try {
      for (;;) {
        const records = this.#at === 0 ? this.#records : this.#records.slice(this.#at);
        const last = records.at(-1);
        if (last !== undefined) {
          this.#at = this.#records.length;
          this.#delivered = last.offset + 1;
          yield records;
        }
        if (!(await this.#advance())) return;
      }
    } finally {
      this.close();
    }
  }

  /** Ends the reading; a pending `next` ends with it. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#deadline.cancel(new TidemarkError("aborted", "the reading was closed"));
  }

  return(): Promise<IteratorResult<ReceivedRecord, undefined>> {
    this.close();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#ahead?.catch(ignore);
  }

  /** Goes on to the next run of records; false at the end. */
  #advance(): Promise<boolean> {
    this.#advancing ??= this.#advanceOnce().finally(() => {
      this.#advancing = undefined;
    });
    return this.#advancing;
  }

  async #advanceOnce(): Promise<boolean> {
    if (this.#ended) return false;
    const run = this.#runs.shift();
    if (run !== undefined) {
      this.#enter(run);
      return true;
    }
    if (this.#lastChunk && this.#deadline.error === undefined) {
      this.close();
      return false;
    }
    let chunk: Chunk;
    try {
      if (this.#deadline.error !== undefined) throw this.#deadline.error;
      chunk = await this.#fetched();
    } catch (error) {
      const closed = this.#ended;
      this.close();
      if (closed) return false;
      throw error;
    }
    if (this.#ended) return false;
    this.#ahead = undefined;
    this.#latest = chunk.answer;
    this.#lastChunk = chunk.end;
    this.#runs = [...chunk.runs];
    this.#records = NO_RECORDS;
    this.#delivered ??= chunk.answer.nextOffset;
    if (!chunk.end) void this.#fetched();
    return true;
  }

  #enter(run: Run): void {
    this.#records = run.records;
    this.#at = 0;
    if (run.gap === undefined) return;
    this.#delivered = run.gap.to;
    this.#config.onGap?.(run.gap);
  }

  /** The chunk after the last one taken; asked for once. */
  #fetched(): Promise<Chunk> {
    if (this.#ahead === undefined) {
      this.#ahead = this.#config.diagnostics.hears("read") ? this.#tracedFetch() : this.#fetch();
      // Its failure is the consumer's once it gets there, and nobody's before.
      this.#ahead.catch(ignore);
    }
    return this.#ahead;
  }

  #tracedFetch(): Promise<Chunk> {
    const { diagnostics, stream } = this.#config;
    const attributes = {
      "messaging.operation.name": "read",
      "messaging.operation.type": "receive",
      "messaging.destination.name": stream,
    };
    return diagnostics.trace("read", attributes, async (told) => {
      const chunk = await this.#fetch();
      told["messaging.batch.message_count"] = chunk.runs.reduce((count, { records }) => count + records.length, 0);
      return chunk;
    });
  }

  async #fetch(): Promise<Chunk> {
    let gap: Gap | undefined;
    for (;;) {
      try {
        const askedAtMs = this.#environment.clock.monotonic();
        const answer = await this.#ask();
        this.#onConnected();
        const chunk = this.#decode(answer, gap);
        if (chunk.runs.length === 0 && !chunk.end) await this.#pace(askedAtMs);
        return chunk;
      } catch (thrown) {
        const error = asTidemarkError(thrown);
        if (this.#deadline.error !== undefined) throw this.#deadline.error;
        if (error.code === "timeout") throw error;
        if (error.code === "offset-trimmed" && error.gap !== undefined && this.#config.onGap !== undefined) {
          gap = { from: gap?.from ?? error.gap.from, to: error.gap.to };
          this.#place = { incarnation: this.#place?.incarnation, offset: error.gap.to };
          continue;
        }
        if (!error.retryable) throw withOutcome(error, "not-applied");
        await sleep(this.#environment.clock, this.#onDisconnected(error), this.#deadline.signal);
      }
    }
  }

  /** One attempt, within the time that is left; what the server is asked to wait does not count. */
  async #ask(): Promise<ReadAnswer> {
    const { from } = this.#config;
    const waitMs = this.#waitMs();
    const { leftMs } = this.#patience;
    const attempt = new Deadline(this.#environment.clock, this.#deadline.signal, leftMs + waitMs);
    try {
      if (this.#place === undefined && typeof from === "object" && "atMs" in from)
        this.#place = await this.#locate(from.atMs, attempt.signal);
      return await this.#send(this.#query(waitMs), attempt.signal, this.#deadline.signal);
    } catch (error) {
      if (attempt.error?.code !== "timeout") throw error;
      throw this.#patience.over();
    } finally {
      attempt.release();
    }
  }

  /** A server that answers "nothing yet" without waiting, say because it stops, is not asked in a tight loop. */
  async #pace(askedAtMs: number): Promise<void> {
    const waitedMs = this.#environment.clock.monotonic() - askedAtMs;
    if (waitedMs >= CLIENT_LIMITS.backoffFirstMs || this.#latest === undefined) return;
    await sleep(this.#environment.clock, CLIENT_LIMITS.backoffFirstMs - waitedMs, this.#deadline.signal);
  }

  /** The first answer settles the place, and comes at once. */
  #waitMs(): number {
    return this.#config.live && this.#incarnation !== undefined ? this.#config.waitMs : 0;
  }

  #query(waitMs: number): ReadQuery {
    const { stream, prefetchBytes, from } = this.#config;
    return {
      stream,
      incarnation: this.#place?.incarnation,
      from: this.#place !== undefined || typeof from === "object" ? "offset" : from,
      offset: this.#place?.offset ?? 0,
      maxBytes: Math.ceil(prefetchBytes / 2),
      waitMs,
    };
  }

  #decode(answer: ReadAnswer, gapBefore: Gap | undefined): Chunk {
    if (this.#incarnation !== undefined && answer.incarnation !== this.#incarnation) {
      throw new TidemarkError("protocol-error", "the server answered for another stream of this name");
    }
    const from = this.#place?.offset ?? beginningOf(answer);
    const runs = decodeAnswer(answer, from, this.#config.zstd);
    this.#incarnation = answer.incarnation;
    this.#delivered ??= from;
    this.#place = { incarnation: answer.incarnation, offset: answer.nextOffset };
    return {
      runs: gapBefore === undefined ? runs : [{ gap: gapBefore, records: [] }, ...runs],
      answer,
      end: answer.upToDate && (answer.closed || !this.#config.live),
    };
  }

  #onConnected(): void {
    const wasConnected = !this.#patience.failing && this.#incarnation !== undefined;
    this.#patience.heard();
    if (!wasConnected) this.#config.onStatus?.({ kind: "connected" });
  }

  /** How long to wait before the next attempt; throws when the time is up. */
  #onDisconnected(error: TidemarkError): number {
    const retryInMs = this.#patience.failed(error);
    this.#config.onStatus?.({ kind: "disconnected", error, attempts: this.#patience.attempts, retryInMs });
    return retryInMs;
  }
}

/** Where an answer to a read from the start, or from now on, begins: a trim may have cut its first batch. */
function beginningOf({ batches, firstOffset, nextOffset }: ReadAnswer): Offset {
  return Math.max(batches[0]?.firstOffset ?? nextOffset, Math.min(firstOffset, nextOffset));
}
