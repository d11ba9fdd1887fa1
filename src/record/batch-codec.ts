/**
 * Encodes, checks and decodes batches; the layout is in `batch.ts`. What is decoded may be any bytes: the answer is a
 * value, and what is allocated is bounded by the input, or by `rawBytesMax` where that is compressed.
 *
 * Three depths: `checkBatch` (header and checksum), `verifyRecords` (each record, none kept: for whoever takes a batch
 * from outside and does not look at its values), `decodeBatch` (the records).
 */
import { assert } from "../lib/assert.ts";
import { readU32, readU64 } from "../lib/bytes.ts";
import { ByteReader } from "../lib/byte-reader.ts";
import { ByteWriter } from "../lib/byte-writer.ts";
import { err, ok, type Err, type Result } from "../lib/result.ts";
import type { Zstd } from "../ports/zstd.ts";
import { BATCH_HEADER_LENGTH, BATCH_RECORDS_MAX, type BatchRef } from "./batch.ts";
import { xxh64 } from "./checksum.ts";
import { RECORD_LIMITS } from "./limits.ts";
import {
  isTombstone,
  locateRecord,
  materialiseRecord,
  measureRecord,
  newParts,
  RECORD_BYTES_MIN,
  type RecordParts,
  writeRecord,
} from "./record-codec.ts";
import { sizeFault } from "./record-size.ts";
import { type StreamRecord, TIMESTAMP_MAX_MS } from "./record.ts";

const VERSION = 1;
const HASH_LENGTH = 8;
const COMPRESSION_MASK = 0b011;
const ZSTD = 0b001;
const SPARSE = 0b100;
const KNOWN_FLAGS = COMPRESSION_MASK | SPARSE;

export type BatchErrorCode =
  | "malformed-batch"
  | "checksum-mismatch"
  | "unsupported-version"
  | "unsupported-compression"
  | "batch-too-large"
  | "record-too-large";
export type BatchError = { readonly code: BatchErrorCode; readonly message: string };

export type CheckedBatch = BatchRef & {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Compacted: not every offset it covers has a record. */
  readonly sparse: boolean;
};

export type DecodedRecord = {
  /** To the batch's first offset. */
  readonly offsetDelta: number;
  readonly record: StreamRecord;
};

export type DecodedBatch = {
  readonly count: number;
  readonly span: number;
  readonly records: readonly DecodedRecord[];
};

export type EncodeOptions = {
  /** Compresses the body, where that makes it smaller. */
  readonly zstd?: Zstd;
  /** What timestamps are stored relative to; the first one, unless given. */
  readonly baseTime?: number;
  /** Where the batch goes: so many bytes, with anything in them. Memory of its own, unless given. */
  readonly allocate?: (length: number) => Uint8Array;
};

export type DecodeOptions = {
  readonly zstd?: Zstd;
  /** Of the body, uncompressed. */
  readonly rawBytesMax: number;
};

/**
 * Makes a batch record by record, in memory that it keeps for the next one: whoever gathers records has their bytes as
 * they are now, whatever becomes of what they were given in.
 */
export class BatchEncoder {
  readonly #writer: ByteWriter;
  #count = 0;
  #baseTime: number | undefined;

  /** The memory grows to the largest batch. */
  constructor(capacityBytes: number) {
    this.#writer = new ByteWriter(capacityBytes);
    this.begin();
  }

  /** Of records so far. */
  get count(): number {
    return this.#count;
  }

  /** Of the batch so far, uncompressed, its header included. */
  get length(): number {
    return this.#writer.length;
  }

  /** A new batch. */
  begin(baseTime?: number): void {
    this.#writer.reset();
    this.#writer.skip(BATCH_HEADER_LENGTH);
    this.#count = 0;
    this.#baseTime = baseTime;
  }

  /** `offsetDelta`: its place, for batches with holes. */
  add(record: StreamRecord, offsetDelta?: number): void {
    this.#baseTime ??= record.timestamp;
    writeRecord(this.#writer, scratch, record, offsetDelta, this.#baseTime ?? 0);
    this.#count += 1;
  }

  /** The batch. With `span`, one with holes that covers so many offsets. */
  finish({ zstd, allocate }: Pick<EncodeOptions, "zstd" | "allocate">, span?: number): Uint8Array {
    const writer = this.#writer;
    const covered = span ?? this.#count;
    const baseTime = this.#baseTime ?? 0;
    assert(
      covered > 0 && covered <= BATCH_RECORDS_MAX,
      "I15: a batch covers at least one offset, and a bounded number",
    );
    assert(Math.abs(baseTime) <= TIMESTAMP_MAX_MS, "a base time is whole milliseconds, in range");
    const rawLength = writer.length - BATCH_HEADER_LENGTH;
    const compressed = zstd === undefined ? undefined : compressIfSmaller(zstd, writer.view(BATCH_HEADER_LENGTH));
    if (compressed !== undefined) writer.truncate(BATCH_HEADER_LENGTH).bytes(compressed);
    writer.patchU32(8, writer.length);
    writer.patchU8(12, VERSION);
    writer.patchU8(13, (compressed === undefined ? 0 : ZSTD) | (span === undefined ? 0 : SPARSE));
    writer.patchU32(16, this.#count);
    writer.patchU32(20, covered);
    writer.patchU32(24, rawLength);
    writer.patchU32(28, baseTime >>> 0);
    writer.patchU32(32, Math.floor(baseTime / HIGH) >>> 0);
    writer.patchU64(0, xxh64(writer.view(HASH_LENGTH)));
    if (allocate === undefined) return writer.finishShared();
    const bytes = allocate(writer.length);
    bytes.set(writer.view());
    return bytes;
  }
}

/** A batch of these records, offsets dense: at least one, at most `BATCH_RECORDS_MAX`. */
export function encodeBatch(records: readonly StreamRecord[], options: EncodeOptions = {}): Uint8Array {
  encoder.begin(options.baseTime);
  for (const record of records) encoder.add(record);
  return encoder.finish(options);
}

/** A compacted batch: the survivors of one that covered `span` offsets, each with its place in it. Perhaps none. */
export function encodeSparseBatch(
  survivors: readonly DecodedRecord[],
  span: number,
  options: EncodeOptions = {},
): Uint8Array {
  encoder.begin(options.baseTime);
  let previous = -1;
  for (const { offsetDelta, record } of survivors) {
    assert(offsetDelta > previous && offsetDelta < span, "I7: survivors are in offset order, inside their batch");
    encoder.add(record, offsetDelta);
    previous = offsetDelta;
  }
  return encoder.finish(options, span);
}

/** Checks the header and the checksum without looking at the records. */
export function checkBatch(
  bytes: Uint8Array,
  limits: { readonly batchBytesMax: number },
): Result<CheckedBatch, BatchError> {
  if (bytes.length < BATCH_HEADER_LENGTH) return malformed("it is shorter than its header");
  if (bytes.length > limits.batchBytesMax)
    return tooLarge(`the batch has ${bytes.length} bytes; at most ${limits.batchBytesMax} are allowed`);
  const version = bytes[12] as number;
  if (version !== VERSION)
    return err({ code: "unsupported-version", message: `batch version ${version} is not known here` });
  if (readU32(bytes, 8) !== bytes.length) return malformed("its length is not the one it claims");
  const hash = readU64(bytes, 0);
  if (xxh64(bytes.subarray(HASH_LENGTH)) !== hash)
    return err({ code: "checksum-mismatch", message: "the batch does not match its checksum" });
  const flags = bytes[13] as number;
  if ((flags & ~KNOWN_FLAGS) !== 0 || bytes[14] !== 0 || bytes[15] !== 0) return malformed("it has unknown flags");
  const compression = flags & COMPRESSION_MASK;
  if (compression > ZSTD)
    return err({ code: "unsupported-compression", message: `compression ${compression} is not known here` });
  const sparse = (flags & SPARSE) !== 0;
  const count = readU32(bytes, 16);
  const span = readU32(bytes, 20);
  const rawLength = readU32(bytes, 24);
  if (span === 0) return malformed("it covers no offset");
  if (span > BATCH_RECORDS_MAX) return tooLarge(`a batch covers at most ${BATCH_RECORDS_MAX} offsets, not ${span}`);
  if (sparse ? count > span : count !== span) return malformed("its count does not fit its span");
  if (count * RECORD_BYTES_MIN > rawLength) return malformed("it claims more records than fit");
  if (compression === 0 && rawLength !== bytes.length - BATCH_HEADER_LENGTH)
    return malformed("its body is not as long as it claims");
  return ok({ hash, length: bytes.length, span, bytes, count, sparse });
}

/**
 * Checks the records of a batch from outside, of which `checkBatch` has accepted all else, so that every reader can
 * decode it. One that compaction made is refused: nobody appends those.
 */
export function verifyRecords(
  bytes: Uint8Array,
  limits: DecodeOptions & { readonly recordBytesMax: number },
): Result<void, BatchError> {
  assert(bytes.length >= BATCH_HEADER_LENGTH, "records are verified after their batch was checked");
  if (((bytes[13] as number) & SPARSE) !== 0) return malformed("only compaction makes sparse batches");
  verifying.recordBytesMax = limits.recordBytesMax;
  verifying.fault = undefined;
  const walked = walkRecords(bytes, limits, verifyRecord);
  if (!walked.ok || verifying.fault === undefined) return walked;
  return err({ code: "record-too-large", message: verifying.fault });
}

/** Of the batch that is being verified: a closure for each costs as much as the rest of a small one. */
const verifying: { recordBytesMax: number; fault: string | undefined } = { recordBytesMax: 0, fault: undefined };

function verifyRecord(body: Uint8Array, located: RecordParts): void {
  const size = measureRecord(body, located);
  verifying.fault ??= sizeFault(size.bytes, size.headers, verifying.recordBytesMax);
}

/** Of a batch that `checkBatch` would accept. */
export function isCompressed(bytes: Uint8Array): boolean {
  return ((bytes[13] as number) & COMPRESSION_MASK) !== 0;
}

/** Checks everything and returns the records; keys and values are views of `bytes` (or of its decompressed body). */
export function decodeBatch(bytes: Uint8Array, options: DecodeOptions): Result<DecodedBatch, BatchError> {
  const checked = checkBatch(bytes, { batchBytesMax: Number.MAX_SAFE_INTEGER });
  if (!checked.ok) return checked;
  const { count, span } = checked.value;
  const records: DecodedRecord[] = [];
  const walked = walkRecords(bytes, options, (body, located) => {
    records.push({ offsetDelta: located.offsetDelta, record: materialiseRecord(body, located) });
  });
  return walked.ok ? ok({ count, span, records }) : walked;
}

/**
 * Checks everything and shows each record's value, as a range of the body that holds it; a tombstone's begins at -1. For
 * whoever wants values only, and an object for each record would be most of the work.
 */
export function visitValues(
  bytes: Uint8Array,
  options: DecodeOptions,
  visit: (offsetDelta: number, body: Uint8Array, start: number, end: number) => void,
): Result<void, BatchError> {
  const checked = checkBatch(bytes, { batchBytesMax: Number.MAX_SAFE_INTEGER });
  if (!checked.ok) return checked;
  return walkRecords(bytes, options, (body, located) => {
    const { offsetDelta, valueStart, end } = located;
    if (isTombstone(located)) visit(offsetDelta, body, -1, -1);
    else visit(offsetDelta, body, valueStart, end);
  });
}

function walkRecords(
  bytes: Uint8Array,
  options: DecodeOptions,
  visit: (body: Uint8Array, located: RecordParts) => void,
): Result<void, BatchError> {
  const sparse = ((bytes[13] as number) & SPARSE) !== 0;
  const count = readU32(bytes, 16);
  const span = readU32(bytes, 20);
  const rawLength = readU32(bytes, 24);
  const baseTime = (readU32(bytes, 32) | 0) * HIGH + readU32(bytes, 28);
  if (Math.abs(baseTime) > TIMESTAMP_MAX_MS) return malformed("its base time is out of range");
  if (rawLength > options.rawBytesMax)
    return tooLarge(`the batch has ${rawLength} bytes uncompressed; at most ${options.rawBytesMax} are allowed`);
  let body = bytes.subarray(BATCH_HEADER_LENGTH);
  if (((bytes[13] as number) & COMPRESSION_MASK) === ZSTD) {
    if (options.zstd === undefined)
      return err({ code: "unsupported-compression", message: "zstd is not available here" });
    const raw = options.zstd.decompress(body, rawLength);
    if (raw === undefined || raw.length !== rawLength)
      return malformed("its body does not decompress to what it claims");
    body = raw;
  }
  const reader = new ByteReader(body);
  let previous = -1;
  for (let place = 0; place < count; place += 1) {
    locateRecord(reader, parts, place, sparse, baseTime);
    if (reader.failed || parts.offsetDelta <= previous || parts.offsetDelta >= span)
      return malformed(`record ${place} is not valid`);
    previous = parts.offsetDelta;
    visit(body, parts);
  }
  if (!reader.complete) return malformed("bytes are left behind its records");
  return ok(undefined);
}

/** Reused, for encoding and walking are synchronous: one of each serves every batch. They grow to the largest. */
const scratch = new ByteWriter(RECORD_LIMITS.scratchBufferBytes);
const encoder = new BatchEncoder(RECORD_LIMITS.encodeBufferBytes);
const parts = newParts();

function compressIfSmaller(zstd: Zstd, raw: Uint8Array): Uint8Array | undefined {
  if (raw.length < RECORD_LIMITS.compressedBytesMin) return undefined;
  const compressed = zstd.compress(raw);
  return compressed.length < raw.length ? compressed : undefined;
}

const HIGH = 0x1_0000_0000;

function tooLarge(message: string): Err<BatchError> {
  return err({ code: "batch-too-large", message });
}

function malformed(message: string): Err<BatchError> {
  return err({ code: "malformed-batch", message: `the batch is malformed: ${message}` });
}
