/**
 * A stream as users handle it: single calls, and the ways into the producer and the readers. Options are completed
 * here, so that nothing below has defaults of its own.
 */
import type { Zstd } from "../src/ports/zstd.ts";
import { formatOffset, parseOffset, type Incarnation, type Offset } from "../src/record/offset.ts";
import type { AppendedResult, CreateCommand, CreatedResult, Expiry, Retention } from "../src/wire/command.ts";
import type { Connection } from "./connection.ts";
import type { CallOptions } from "./deadline.ts";
import { toDescription, type Description } from "./description.ts";
import { asTidemarkError, TidemarkError, type Gap } from "./error.ts";
import { CLIENT_LIMITS } from "./limits.ts";
import { Producer } from "./appending/producer.ts";
import { isMany, sealBatch, toRecord, type RecordInput } from "./appending/record-input.ts";
import { RecordStream, type Locate, type ReadStatus, type RecordStreamConfig } from "./reading/record-stream.ts";

export type CreateOptions = CallOptions & {
  /** Default `application/octet-stream`. With `application/json` each record is one JSON message. */
  readonly contentType?: string;
  /** The stream ends this long after its last read or write … */
  readonly ttlSeconds?: number;
  /** … or at this moment of log time. */
  readonly expiresAt?: Date;
  /** What it may forget by itself. */
  readonly retention?: Retention;
};

export type Created = {
  /** False: it existed with the same configuration (or a lost answer made us ask twice). */
  readonly created: boolean;
  readonly contentType: string;
  readonly incarnation: Incarnation;
  readonly nextOffset: Offset;
  readonly nextToken: string;
  readonly closed: boolean;
};

export type AppendOptions = CallOptions & {
  /** Append only if the first record gets this offset: `offset-mismatch` otherwise. */
  readonly expectedOffset?: Offset;
  /** Close the stream with it, in one step. */
  readonly close?: boolean;
};

export type Appended = {
  /** Of the first record. */
  readonly offset: Offset;
  readonly nextOffset: Offset;
  readonly token: string;
  readonly nextToken: string;
};

export type ProducerOptions = {
  /** Default: a random id. With an id of your own, raise `epoch` whenever a producer starts: the older is then fenced. */
  readonly id?: string;
  /** Default 0. */
  readonly epoch?: number;
  /** How long a batch may wait for more. Default 0: it gathers only while others are under way. */
  readonly lingerMs?: number;
  /** A batch is sent when it is this large. Default 256 KiB. */
  readonly batchBytes?: number;
  /** What may be unacknowledged before `ready()` waits. Default 16 MiB. */
  readonly unacknowledgedBytes?: number;
  /** Milliseconds until an unacknowledged batch, with all its retries, fails. Default: the client's. */
  readonly timeout?: number;
  /** Gives up whatever is unacknowledged. */
  readonly signal?: AbortSignal;
};

/** A place in a stream: an offset, or a token as text, which also names the stream's incarnation. */
export type Place = Offset | string;

/** The first record that was appended at this time of the log's, or later. A number: milliseconds since the Unix epoch. */
export type FromTime = { readonly time: Date | number };

export type ReadOptions = CallOptions & {
  /** The first record to read: a place, `"start"` (the oldest that is retained; the default), `"now"` (the tail) or a time. */
  readonly from?: Place | FromTime;
  /** The last record that was read: begin behind it. */
  readonly after?: Place;
  /** What may be fetched ahead of the loop, in bytes as they come: often compressed. Default 4 MiB. */
  readonly prefetchBytes?: number;
  /**
   * Told of records that are gone, before what follows them. Without it, one that retention or a trim made ends the
   * reading, as `offset-trimmed`; what compaction removed is passed over.
   */
  readonly onGap?: (gap: Gap) => void;
};

export type SubscribeOptions = ReadOptions & {
  /** Told when the connection breaks and when it is back. */
  readonly onStatus?: (status: ReadStatus) => void;
};

export class Stream {
  readonly name: string;
  readonly #connection: Connection;
  readonly #zstd: Zstd | undefined;

  constructor(connection: Connection, name: string, zstd: Zstd | undefined) {
    this.name = name;
    this.#connection = connection;
    this.#zstd = zstd;
  }

  /** Creates the stream. One that exists with the same configuration is fine, with another it is `stream-exists`. */
  async create(options: CreateOptions = {}): Promise<Created> {
    const result = await this.#connection.execute(toCreate(this.name, options), options);
    if (result.kind !== "created")
      throw new TidemarkError("protocol-error", `a create was answered with "${result.kind}"`);
    return toCreated(result);
  }

  /**
   * Appends a record, or several: all or none, next to each other. Resolves when durable. Calls may overlap: they are
   * applied in the order in which they were made, and each exactly once, however often it is retried. Small ones that are
   * made together cost little more than one, if they have no options.
   */
  async append(records: RecordInput | readonly RecordInput[], options: AppendOptions = {}): Promise<Appended> {
    const inputs = isMany(records) ? records : [records];
    if (inputs.length === 0) throw new TidemarkError("invalid-argument", "an append has at least one record");
    const { signal, timeout, expectedOffset, close = false } = options;
    const session = this.#connection.appends(this.name);
    if (signal === undefined && timeout === undefined && expectedOffset === undefined && !close)
      return toAppended(await session.appendRecords(inputs.map(toRecord)), inputs.length);
    const result = await session.append(
      {
        batch: sealBatch(inputs.map(toRecord), this.#zstd, this.#connection.memory),
        close,
        ...(expectedOffset !== undefined && { expectedOffset: toOffset(expectedOffset) }),
      },
      { ...(signal !== undefined && { signal }), ...(timeout !== undefined && { timeout }) },
    );
    return toAppended(result, inputs.length);
  }

  /** Closes the stream, after everything this client appended to it by `append`: it takes no more. Idempotent. */
  async close(options: CallOptions = {}): Promise<{ readonly nextOffset: Offset }> {
    try {
      const result = await this.#connection.appends(this.name).append({ close: true }, options);
      return { nextOffset: result.tail };
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      if (error.code !== "stream-closed" || error.tail === undefined) throw error;
      return { nextOffset: error.tail };
    }
  }

  /** Deletes the stream. */
  async delete(options: CallOptions = {}): Promise<void> {
    await this.#connection.execute({ kind: "delete", stream: this.name }, options);
    this.#connection.forget(this.name);
  }

  /** What the stream is and how far it reaches; `stream-not-found` if there is none. */
  async describe(options: CallOptions = {}): Promise<Description> {
    return toDescription(this.name, await this.#connection.lookUp({ kind: "describe", stream: this.name }, options));
  }

  /** Sets what the stream may forget by itself, in place of what was set before: `{}` keeps everything. */
  async settings(retention: Retention, options: CallOptions = {}): Promise<void> {
    await this.#connection.execute({ kind: "settings", stream: this.name, retention }, options);
  }

  /**
   * Forgets the records before this place, for ever. Never goes back, and not beyond the tail. Resolves to what is now the
   * oldest that is retained.
   */
  async trim(before: Place, options: CallOptions = {}): Promise<{ readonly firstOffset: Offset }> {
    const { offset, incarnation } = toPlace(before);
    const result = await this.#connection.execute(
      { kind: "trim", stream: this.name, before: offset, ...(incarnation !== undefined && { incarnation }) },
      options,
    );
    if (result.kind === "trimmed") return { firstOffset: result.firstOffset };
    throw new TidemarkError("protocol-error", `a trim was answered with "${result.kind}"`);
  }

  /**
   * The offset of the first retained record that was appended at this time of the log's or later; if there is none yet,
   * the next offset. A number: milliseconds since the Unix epoch.
   */
  async offsetAt(time: Date | number, options: CallOptions = {}): Promise<Offset> {
    const atMs = toMilliseconds(time);
    const { offset } = await this.#connection.lookUp({ kind: "locate", stream: this.name, atMs }, options);
    return offset;
  }

  /** A producer: gathers records into batches, each appended exactly once and in order. */
  producer(options: ProducerOptions = {}): Producer {
    const { environment } = this.#connection;
    const epoch = options.epoch ?? 0;
    if (!Number.isSafeInteger(epoch) || epoch < 0)
      throw new TidemarkError("invalid-argument", "an epoch is a whole number from 0");
    return new Producer(environment, this.#connection.sendCommand, {
      stream: this.name,
      id: options.id ?? this.#connection.newId(),
      epoch,
      sharedId: options.id !== undefined,
      lingerMs: options.lingerMs ?? 0,
      batchBytesMax: Math.min(options.batchBytes ?? CLIENT_LIMITS.batchBytesMax, CLIENT_LIMITS.sealedBatchBytesMax / 2),
      unacknowledgedBytesMax: options.unacknowledgedBytes ?? CLIENT_LIMITS.unacknowledgedBytesMax,
      timeoutMs: options.timeout ?? this.#connection.timeoutMs,
      signal: options.signal,
      zstd: this.#zstd,
      diagnostics: this.#connection.diagnostics,
      gathering: this.#connection.gathering,
      memory: this.#connection.memory,
    });
  }

  /**
   * Reads what the stream holds, and ends at its tail.
   * With `timeout`, it fails when the server could not be reached for so long.
   */
  read(options: ReadOptions = {}): RecordStream {
    return this.#reader(options, {
      live: false,
      timeoutMs: options.timeout ?? this.#connection.timeoutMs,
      onStatus: undefined,
    });
  }

  /**
   * Reads what the stream holds and then whatever is appended, until the stream is closed. Goes on by itself, without
   * gap or repeat, when the connection or the server was gone: for ever, unless `timeout` says for how long.
   */
  subscribe(options: SubscribeOptions = {}): RecordStream {
    return this.#reader(options, {
      live: true,
      timeoutMs: options.timeout ?? Number.POSITIVE_INFINITY,
      onStatus: options.onStatus,
    });
  }

  /** One attempt. */
  readonly #locate: Locate = (atMs, signal) =>
    this.#connection.lookUpOnce({ kind: "locate", stream: this.name, atMs }, signal);

  #reader(options: ReadOptions, mode: Pick<RecordStreamConfig, "live" | "timeoutMs" | "onStatus">): RecordStream {
    return new RecordStream(this.#connection.environment, this.#connection.reader(), this.#locate, {
      ...mode,
      stream: this.name,
      from: toFrom(options),
      waitMs: CLIENT_LIMITS.longPollMs,
      prefetchBytes: Math.max(options.prefetchBytes ?? CLIENT_LIMITS.prefetchBytes, CLIENT_LIMITS.prefetchBytesMin),
      signal: options.signal,
      onGap: options.onGap,
      zstd: this.#zstd,
      diagnostics: this.#connection.diagnostics,
    });
  }
}

export function toCreate(stream: string, options: CreateOptions): CreateCommand {
  const expiry = toExpiry(options);
  return {
    kind: "create",
    stream,
    closed: false,
    ...(options.contentType !== undefined && { contentType: options.contentType }),
    ...(expiry !== undefined && { expiry }),
    ...(options.retention !== undefined && { retention: options.retention }),
  };
}

function toExpiry(options: CreateOptions): Expiry | undefined {
  if (options.ttlSeconds !== undefined && options.expiresAt !== undefined) {
    throw new TidemarkError("invalid-argument", "give `ttlSeconds` or `expiresAt`, not both");
  }
  const { ttlSeconds, expiresAt } = options;
  if (ttlSeconds !== undefined) {
    if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1)
      throw new TidemarkError("invalid-argument", "`ttlSeconds` is a whole number from 1");
    return { kind: "sliding", ttlSeconds };
  }
  return expiresAt === undefined ? undefined : { kind: "absolute", atMs: toMilliseconds(expiresAt) };
}

export function toAppended(result: AppendedResult, count: number): Appended {
  const { incarnation, firstOffset: offset } = result;
  if (offset === undefined) throw new TidemarkError("protocol-error", "an append was answered without its offset");
  const nextOffset = offset + count;
  return {
    offset,
    nextOffset,
    token: formatOffset(incarnation, offset),
    nextToken: formatOffset(incarnation, nextOffset),
  };
}

export function toCreated(result: CreatedResult): Created {
  const { created, contentType, incarnation, nextOffset, closed } = result;
  return { created, contentType, incarnation, nextOffset, nextToken: formatOffset(incarnation, nextOffset), closed };
}

function toFrom(options: ReadOptions): RecordStreamConfig["from"] {
  const { from, after } = options;
  if (after !== undefined) {
    if (from !== undefined) throw new TidemarkError("invalid-argument", "give `from` or `after`, not both");
    const place = toPlace(after);
    return { ...place, offset: place.offset + 1 };
  }
  if (from === undefined || from === "start" || from === "now") return from ?? "start";
  return typeof from === "object" ? { atMs: toMilliseconds(from.time) } : toPlace(from);
}

export function toMilliseconds(time: Date | number): number {
  const atMs = typeof time === "number" ? time : time.getTime();
  if (Number.isSafeInteger(atMs) && atMs >= 0) return atMs;
  throw new TidemarkError("invalid-argument", "a time is a Date, or whole milliseconds since 1970");
}

export function toOffset(offset: number): Offset {
  if (Number.isSafeInteger(offset) && offset >= 0) return offset;
  throw new TidemarkError("malformed-offset", "an offset is a whole number from 0");
}

export function toPlace(place: Place): { readonly offset: Offset; readonly incarnation: Incarnation | undefined } {
  if (typeof place === "number") return { offset: toOffset(place), incarnation: undefined };
  const token = parseOffset(place);
  if (!token.ok) throw new TidemarkError("malformed-offset", `"${place}" is neither an offset nor a token`);
  // All zeros means the start, of any stream.
  return {
    offset: token.value.offset,
    incarnation: token.value.incarnation === 0 ? undefined : token.value.incarnation,
  };
}
