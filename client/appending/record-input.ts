/**
 * Records as callers write them, made into records as they travel, and into sealed batches.
 */
import { readU64, utf8 } from "../../src/lib/bytes.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import { recordBytes, sizeFault } from "../../src/record/record-size.ts";
import { isTimestamp, type RecordHeader, type StreamRecord, TIMESTAMP_MAX_MS } from "../../src/record/record.ts";
import type { BatchMemory } from "./batch-memory.ts";
import { TidemarkError } from "../error.ts";
import { CLIENT_LIMITS, RECORD_OVERHEAD_BYTES } from "../limits.ts";

/** Text is sent as UTF-8. */
export type BytesInput = string | Uint8Array;

type RecordAttributes = {
  /** For partitioning, tables and key compaction. */
  readonly key?: BytesInput;
  /** Names may repeat in the array form; order is kept. */
  readonly headers?: Readonly<Record<string, BytesInput>> | readonly (readonly [name: string, value: BytesInput])[];
  /** Event time, milliseconds since the Unix epoch; before it negative. Absent: the log's time when it is appended. */
  readonly timestamp?: number | Date;
};

/** What `append` takes: a bare value, or a record with a value (`null`: a tombstone) or a `json` value to be serialised. */
export type RecordInput =
  | BytesInput
  | (RecordAttributes & { readonly value: BytesInput | null })
  | (RecordAttributes & { readonly json: unknown });

export function isMany(records: RecordInput | readonly RecordInput[]): records is readonly RecordInput[] {
  return Array.isArray(records);
}

/** Throws `invalid-argument` for anything else. */
export function toBytes(input: BytesInput): Uint8Array {
  const given: unknown = input;
  if (typeof given === "string") return wellFormed(given);
  if (given instanceof Uint8Array) return given;
  throw new TidemarkError(
    "invalid-argument",
    "keys, values of headers and cursors, and bytes to append are text or a Uint8Array",
  );
}

/** Throws `invalid-argument` for what cannot be a record, and `record-too-large`. */
export function toRecord(input: RecordInput): StreamRecord {
  const given: unknown = input;
  if (typeof given !== "string" && (typeof given !== "object" || given === null))
    throw new TidemarkError("invalid-argument", "a record is text, a Uint8Array, or an object with `value` or `json`");
  const record =
    typeof input === "string" || input instanceof Uint8Array ? { value: toBytes(input) } : fromObject(input);
  const fault = sizeFault(recordBytes(record), record.headers?.length ?? 0, CLIENT_LIMITS.recordBytesMax);
  if (fault !== undefined) throw new TidemarkError("record-too-large", fault);
  return record;
}

function fromObject(input: Exclude<RecordInput, BytesInput>): StreamRecord {
  const timestamp = input.timestamp instanceof Date ? input.timestamp.getTime() : input.timestamp;
  if (timestamp !== undefined && !isTimestamp(timestamp)) {
    const range = `from -${TIMESTAMP_MAX_MS} to ${TIMESTAMP_MAX_MS}`;
    throw new TidemarkError("invalid-argument", `a record's timestamp is a whole number of milliseconds ${range}`);
  }
  const headers = input.headers === undefined ? undefined : toHeaders(input.headers);
  return {
    value: "json" in input ? jsonBytes(input.json) : valueBytes(input.value),
    ...(input.key !== undefined && { key: toBytes(input.key) }),
    ...(headers !== undefined && headers.length > 0 && { headers }),
    ...(timestamp !== undefined && { timestamp }),
  };
}

function valueBytes(value: unknown): Uint8Array | null {
  if (value === null || value instanceof Uint8Array) return value;
  if (typeof value === "string") return wellFormed(value);
  throw new TidemarkError("invalid-argument", "a record's value is text, bytes or null; use `json` for anything else");
}

function jsonBytes(value: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new TidemarkError("invalid-argument", `this value has no JSON form: ${(cause as Error).message}`, { cause });
  }
  if (text === undefined) throw new TidemarkError("invalid-argument", "this value has no JSON form");
  return utf8(text);
}

/** Half a surrogate pair has no UTF-8, and would silently be stored as something else (W4). */
function wellFormed(text: string): Uint8Array {
  if (text.isWellFormed()) return utf8(text);
  throw new TidemarkError("invalid-argument", "a text is not well-formed Unicode: send its bytes");
}

function toHeaders(headers: NonNullable<RecordAttributes["headers"]>): RecordHeader[] {
  const pairs: readonly unknown[] = Array.isArray(headers) ? headers : Object.entries(headers);
  return pairs.map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== "string") {
      throw new TidemarkError("invalid-argument", "a record's headers are an object, or pairs of a name and a value");
    }
    if (!pair[0].isWellFormed())
      throw new TidemarkError("invalid-argument", "the name of a header is not well-formed Unicode");
    return [pair[0], toBytes(pair[1] as BytesInput)] as const;
  });
}

/** What a record counts for in buffers and batches. */
export function heldBytes(record: StreamRecord): number {
  return recordBytes(record) + RECORD_OVERHEAD_BYTES * (1 + (record.headers?.length ?? 0));
}

/** Encodes records as one batch, in memory from there if it is given; its checksum is made here, once. */
export function sealBatch(records: readonly StreamRecord[], zstd: Zstd | undefined, memory?: BatchMemory): BatchRef {
  const bytes = encodeBatch(records, {
    ...(zstd !== undefined && { zstd }),
    ...(memory !== undefined && { allocate: memory.take }),
  });
  return toBatchRef(bytes, records.length);
}

/** Of a batch just made. Throws `batch-too-large`. */
export function toBatchRef(bytes: Uint8Array, span: number): BatchRef {
  if (bytes.length > CLIENT_LIMITS.sealedBatchBytesMax) {
    throw new TidemarkError(
      "batch-too-large",
      `an append holds at most ${CLIENT_LIMITS.sealedBatchBytesMax} bytes; append in parts, or use a producer`,
    );
  }
  return { hash: readU64(bytes, 0), length: bytes.length, span, bytes };
}
