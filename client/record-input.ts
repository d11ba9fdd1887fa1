/**
 * Records as callers write them, made into records as they travel, and into sealed batches.
 */
import { utf8 } from "../src/lib/bytes.ts";
import type { Zstd } from "../src/ports/zstd.ts";
import { BATCH_HEADER_LENGTH, type BatchRef } from "../src/record/batch.ts";
import { encodeBatch } from "../src/record/batch-codec.ts";
import type { RecordHeader, StreamRecord } from "../src/record/record.ts";
import { TidemarkError } from "./error.ts";
import { CLIENT_LIMITS, RECORD_OVERHEAD_BYTES } from "./limits.ts";

/** Text is sent as UTF-8. */
export type BytesInput = string | Uint8Array;

type RecordAttributes = {
  /** For partitioning, tables and key compaction. */
  readonly key?: BytesInput;
  /** Names may repeat in the array form; order is kept. */
  readonly headers?: Readonly<Record<string, BytesInput>> | readonly (readonly [name: string, value: BytesInput])[];
  /** Event time, milliseconds since the Unix epoch. Absent: the log's time when it is appended. */
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
  if (typeof given === "string") return utf8(given);
  if (given instanceof Uint8Array) return given;
  throw new TidemarkError(
    "invalid-argument",
    "keys, values of headers and cursors, and bytes to append are text or a Uint8Array",
  );
}

/** Throws `invalid-argument` for what cannot be a record, and `record-too-large`. */
export function toRecord(input: RecordInput): StreamRecord {
  const record =
    typeof input === "string" || input instanceof Uint8Array ? { value: toBytes(input) } : fromObject(input);
  if (recordBytes(record) > CLIENT_LIMITS.recordBytesMax) {
    throw new TidemarkError("record-too-large", `a record holds at most ${CLIENT_LIMITS.recordBytesMax} bytes`);
  }
  return record;
}

function fromObject(input: Exclude<RecordInput, BytesInput>): StreamRecord {
  const timestamp = input.timestamp instanceof Date ? input.timestamp.getTime() : input.timestamp;
  if (timestamp !== undefined && !Number.isSafeInteger(timestamp)) {
    throw new TidemarkError("invalid-argument", "a record's timestamp is a whole number of milliseconds");
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
  if (typeof value === "string") return utf8(value);
  throw new TidemarkError("invalid-argument", "a record's value is text, bytes or null; use `json` for anything else");
}

function jsonBytes(value: unknown): Uint8Array {
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined) throw new TidemarkError("invalid-argument", "this value has no JSON form");
  return utf8(text);
}

function toHeaders(headers: NonNullable<RecordAttributes["headers"]>): RecordHeader[] {
  const pairs: readonly unknown[] = Array.isArray(headers) ? headers : Object.entries(headers);
  return pairs.map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== "string") {
      throw new TidemarkError("invalid-argument", "a record's headers are an object, or pairs of a name and a value");
    }
    return [pair[0], toBytes(pair[1] as BytesInput)] as const;
  });
}

/** What a record counts for in every bound. */
export function recordBytes(record: StreamRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const [name, value] of record.headers ?? []) bytes += name.length + value.length + RECORD_OVERHEAD_BYTES;
  return bytes;
}

/** Encodes records as one batch; its checksum is made here, once. */
export function sealBatch(records: readonly StreamRecord[], zstd: Zstd | undefined): BatchRef {
  const bytes = encodeBatch(records, zstd === undefined ? {} : { zstd });
  if (bytes.length > CLIENT_LIMITS.sealedBatchBytesMax) {
    throw new TidemarkError(
      "batch-too-large",
      `an append holds at most ${CLIENT_LIMITS.sealedBatchBytesMax} bytes; append in parts, or use a producer`,
    );
  }
  const hash = new DataView(bytes.buffer, bytes.byteOffset, BATCH_HEADER_LENGTH).getBigUint64(0, true);
  return { hash, length: bytes.length, span: records.length, bytes };
}
