/** A stream: what the state machine knows of it. Its records are in the log; here is only how many there are. */
import { compareBytes, utf8 } from "../../src/lib/bytes.ts";
import type { ByteReader } from "../../src/lib/byte-reader.ts";
import type { ByteWriter } from "../../src/lib/byte-writer.ts";
import type { Incarnation, Offset } from "../../src/record/offset.ts";
import type { Expiry, Retention, StreamName } from "../../src/wire/command.ts";
import { Deadline } from "./deadlines.ts";
import type { GroupLink } from "./groups/group.ts";
import type { GroupQueue } from "./groups/group-queue.ts";
import type { Link } from "./subscriptions/link.ts";
import type { Producer } from "./producer.ts";
import { encodeRow, FAMILY, RowOwner, writeKeyNumber } from "./rows.ts";
import type { ForkedFrom, StreamView } from "./views.ts";

/** Where a fork left its source; see `ForkedFrom`. */
export type ForkOrigin = { readonly source: Stream; readonly offset: Offset; readonly partialBytes: number };

export type StreamIdentity = {
  readonly id: number;
  readonly name: StreamName;
  readonly incarnation: Incarnation;
  readonly contentType: string;
  readonly expiry: Expiry;
  readonly createdAtMs: number;
  readonly origin: ForkOrigin | undefined;
};

export const NO_EXPIRY: Expiry = { kind: "never" };
export const NO_RETENTION: Retention = {};

const SECOND_MS = 1_000;
/** Of a row: what is in it, and what is so. */
const FLAG_BITS = 10;

export class Stream extends RowOwner {
  readonly id: number;
  readonly name: StreamName;
  readonly incarnation: Incarnation;
  readonly contentType: string;
  readonly expiry: Expiry;
  readonly createdAtMs: number;
  readonly origin: ForkOrigin | undefined;
  /** Its first own record; what is before is its sources'. */
  readonly ownFrom: Offset;
  /** Sources above it. */
  readonly depth: number;

  retention: Retention = NO_RETENTION;
  firstOffset: Offset = 0;
  /** Its own records before this are compacted; see `CompactCommand`. */
  compactedBefore: Offset = 0;
  /** Of these, tombstones before this are gone, too. */
  tombstonesBefore: Offset = 0;
  nextOffset: Offset;
  closed = false;
  deleted = false;
  lastSequence: string | undefined = undefined;
  /** When it expires; absent where it never does. */
  readonly deadline: Deadline<Stream> | undefined;

  /** These are found again from other rows. Absent means none. */
  producers: Map<string, Producer> | undefined = undefined;
  forks: Set<Stream> | undefined = undefined;
  links: Set<Link> | undefined = undefined;
  /** Of its links, those with nothing pending: what an append has to look at. */
  caughtUp: Set<Link> | undefined = undefined;
  /** As followed by consumer groups, and of these the queues that have given out all of it. */
  groupLinks: Set<GroupLink> | undefined = undefined;
  idleQueues: Set<GroupQueue> | undefined = undefined;

  constructor(identity: StreamIdentity) {
    super();
    this.id = identity.id;
    this.name = identity.name;
    this.incarnation = identity.incarnation;
    this.contentType = identity.contentType;
    this.expiry = identity.expiry;
    this.createdAtMs = identity.createdAtMs;
    const { origin } = identity;
    this.origin = origin;
    this.ownFrom = origin === undefined ? 0 : origin.offset + (origin.partialBytes > 0 ? 1 : 0);
    this.depth = origin === undefined ? 0 : origin.source.depth + 1;
    this.nextOffset = this.ownFrom;
    this.deadline = identity.expiry.kind === "never" ? undefined : new Deadline<Stream>(this);
  }

  get hasForks(): boolean {
    return this.forks !== undefined && this.forks.size > 0;
  }

  /** Whether it is over at this log time, though nothing has ended it yet. */
  isDue(logTime: number): boolean {
    return this.deadline !== undefined && this.deadline.atMs <= logTime;
  }

  /** Returns what puts its own fields back as they are now. */
  beforeImage(): () => void {
    const { retention, firstOffset, nextOffset, closed, deleted, lastSequence, producers } = this;
    const { compactedBefore, tombstonesBefore } = this;
    return () => {
      this.retention = retention;
      this.firstOffset = firstOffset;
      this.compactedBefore = compactedBefore;
      this.tombstonesBefore = tombstonesBefore;
      this.nextOffset = nextOffset;
      this.closed = closed;
      this.deleted = deleted;
      this.lastSequence = lastSequence;
      this.producers = producers;
    };
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => {
      writer.u8(FAMILY.stream);
      writeKeyNumber(writer, this.id);
    });
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => this.#writeValue(writer));
  }

  #writeValue(writer: ByteWriter): void {
    const { origin, retention, expiry, compactedBefore, tombstonesBefore } = this;
    const has: readonly boolean[] = [
      this.closed,
      this.deleted,
      origin !== undefined,
      this.lastSequence !== undefined,
      retention.maxAgeMs !== undefined,
      retention.maxBytes !== undefined,
      expiry.kind === "sliding",
      expiry.kind === "absolute",
      retention.compaction !== undefined,
      compactedBefore > 0,
    ];
    writer.varint(has.reduce((flags, is, bit) => (is ? flags | (1 << bit) : flags), 0));
    writer.string(this.name).varint(this.incarnation).string(this.contentType).varint(this.createdAtMs);
    writer.varint(this.firstOffset).varint(this.nextOffset);
    if (origin !== undefined) writer.varint(origin.source.id).varint(origin.offset).varint(origin.partialBytes);
    if (this.lastSequence !== undefined) writer.string(this.lastSequence);
    if (retention.maxAgeMs !== undefined) writer.varint(retention.maxAgeMs);
    if (retention.maxBytes !== undefined) writer.varint(retention.maxBytes);
    if (retention.compaction !== undefined) writer.varint(retention.compaction.tombstoneMs);
    if (compactedBefore > 0) writer.varint(compactedBefore).varint(tombstonesBefore);
    if (expiry.kind === "sliding") writer.varint(expiry.ttlSeconds);
    if (expiry.kind === "absolute") writer.varint(expiry.atMs);
    // A soft-deleted stream expires no more.
    if (expiry.kind === "sliding" && !this.deleted) writer.varint(this.deadline?.atMs ?? 0);
  }
}

/** A stream's row, read; `expiresAtMs` is set by whoever keeps the deadlines. */
export type ReadStream = { readonly stream: Stream; readonly expiresAtMs: number | undefined };

export function readStream(
  id: number,
  reader: ByteReader,
  findSource: (id: number) => Stream | undefined,
): ReadStream | undefined {
  const flags = reader.varint();
  if (flags >= 1 << FLAG_BITS) return undefined;
  const has = (bit: number): boolean => ((flags >> bit) & 1) === 1;
  const textMax = reader.remaining;
  const name = reader.string(textMax);
  const incarnation = reader.varint();
  const contentType = reader.string(textMax);
  const createdAtMs = reader.varint();
  const firstOffset = reader.varint();
  const nextOffset = reader.varint();
  const sourceId = has(2) ? reader.varint() : undefined;
  const forkOffset = has(2) ? reader.varint() : 0;
  const partialBytes = has(2) ? reader.varint() : 0;
  const lastSequence = has(3) ? reader.string(textMax) : undefined;
  const retention = {
    ...(has(4) && { maxAgeMs: reader.varint() }),
    ...(has(5) && { maxBytes: reader.varint() }),
    ...(has(8) && { compaction: { tombstoneMs: reader.varint() } }),
  };
  const compactedBefore = has(9) ? reader.varint() : 0;
  const tombstonesBefore = has(9) ? reader.varint() : 0;
  if (has(6) && has(7)) return undefined;
  let expiry = NO_EXPIRY;
  if (has(6)) expiry = { kind: "sliding", ttlSeconds: reader.varint() };
  if (has(7)) expiry = { kind: "absolute", atMs: reader.varint() };
  const deleted = has(1);
  const slidingAtMs = has(6) && !deleted ? reader.varint() : undefined;
  if (!reader.complete || firstOffset > nextOffset) return undefined;
  if (compactedBefore > nextOffset || tombstonesBefore > compactedBefore) return undefined;

  let origin: ForkOrigin | undefined;
  if (sourceId !== undefined) {
    const source = findSource(sourceId);
    if (source === undefined || forkOffset + (partialBytes > 0 ? 1 : 0) > source.nextOffset) return undefined;
    origin = { source, offset: forkOffset, partialBytes };
  }
  const stream = new Stream({ id, name, incarnation, contentType, expiry, createdAtMs, origin });
  if (nextOffset < stream.ownFrom) return undefined;
  stream.firstOffset = firstOffset;
  stream.nextOffset = nextOffset;
  stream.compactedBefore = compactedBefore;
  stream.tombstonesBefore = tombstonesBefore;
  stream.closed = has(0);
  stream.deleted = deleted;
  stream.lastSequence = lastSequence;
  if (has(4) || has(5) || has(8)) stream.retention = retention;
  if (deleted) return { stream, expiresAtMs: undefined };
  return { stream, expiresAtMs: expiry.kind === "absolute" ? expiry.atMs : slidingAtMs };
}

/** When a stream with this expiry ends if it is last used now; undefined: never. */
export function expiresAt(expiry: Expiry, logTime: number): number | undefined {
  if (expiry.kind === "never") return undefined;
  if (expiry.kind === "absolute") return expiry.atMs;
  return Math.min(logTime + expiry.ttlSeconds * SECOND_MS, Number.MAX_SAFE_INTEGER);
}

export function sameExpiry(a: Expiry, b: Expiry): boolean {
  if (a.kind === "sliding") return b.kind === "sliding" && a.ttlSeconds === b.ttlSeconds;
  if (a.kind === "absolute") return b.kind === "absolute" && a.atMs === b.atMs;
  return b.kind === "never";
}

export function sameRetention(a: Retention, b: Retention): boolean {
  return (
    a.maxAgeMs === b.maxAgeMs && a.maxBytes === b.maxBytes && a.compaction?.tombstoneMs === b.compaction?.tombstoneMs
  );
}

/** By and by, and by itself. */
export function losesRecords({ maxAgeMs, maxBytes, compaction }: Retention): boolean {
  return maxAgeMs !== undefined || maxBytes !== undefined || compaction !== undefined;
}

export function viewOfStream(stream: Stream, logTime: number): StreamView {
  const { deadline, origin, lastSequence } = stream;
  const forkedFrom: ForkedFrom | undefined = origin && {
    streamId: origin.source.id,
    offset: origin.offset,
    partialBytes: origin.partialBytes,
  };
  const expiresAtMs = stream.deleted ? undefined : deadline?.atMs;
  return {
    id: stream.id,
    name: stream.name,
    incarnation: stream.incarnation,
    contentType: stream.contentType,
    expiry: stream.expiry,
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    retention: stream.retention,
    firstOffset: stream.firstOffset,
    nextOffset: stream.nextOffset,
    compactedBefore: stream.compactedBefore,
    tombstonesBefore: stream.tombstonesBefore,
    closed: stream.closed,
    deleted: stream.deleted || stream.isDue(logTime),
    createdAtMs: stream.createdAtMs,
    ...(forkedFrom !== undefined && { forkedFrom }),
    ...(lastSequence !== undefined && { lastSequence }),
    forks: stream.forks?.size ?? 0,
  };
}

/** Whether `a` is after `b` in the order of their UTF-8 bytes. */
export function isAfterBytewise(a: string, b: string): boolean {
  return compareBytes(utf8(a), utf8(b)) > 0;
}
