/**
 * One record inside a batch's body; the layout is in `batch.ts`. Reading has two halves, so that a batch can be
 * verified without making objects of its records: `locate` finds and checks the parts, `materialise` makes the record.
 */
import { assert } from "../lib/assert.ts";
import { ByteReader } from "../lib/byte-reader.ts";
import type { ByteWriter } from "../lib/byte-writer.ts";
import { isTimestamp, type RecordHeader, type StreamRecord, TIMESTAMP_MAX_MS } from "./record.ts";

const HAS_KEY = 1;
const HAS_HEADERS = 2;
const HAS_TIMESTAMP = 4;
const NULL_VALUE = 8;
const KNOWN_ATTRIBUTES = HAS_KEY | HAS_HEADERS | HAS_TIMESTAMP | NULL_VALUE;

/** Length and attributes. */
export const RECORD_BYTES_MIN = 2;

/** Where the parts of a record lie in the body. One is reused for a whole batch. */
export type RecordParts = {
  attributes: number;
  /** Of what its length counts. */
  start: number;
  offsetDelta: number;
  timestamp: number;
  keyStart: number;
  keyEnd: number;
  headersStart: number;
  valueStart: number;
  end: number;
};

export function newParts(): RecordParts {
  return {
    attributes: 0,
    start: 0,
    offsetDelta: 0,
    timestamp: 0,
    keyStart: 0,
    keyEnd: 0,
    headersStart: 0,
    valueStart: 0,
    end: 0,
  };
}

/** Passes over the next record and notes its parts; what is wrong with it fails the reader. `place`: in the batch. */
export function locateRecord(
  reader: ByteReader,
  parts: RecordParts,
  place: number,
  sparse: boolean,
  baseTime: number,
): void {
  const length = reader.varint();
  parts.start = reader.position;
  const end = parts.start + length;
  const attributes = reader.u8();
  if ((attributes & ~KNOWN_ATTRIBUTES) !== 0) return reader.fail();
  parts.attributes = attributes;
  parts.offsetDelta = sparse ? reader.varint() : place;
  if ((attributes & HAS_TIMESTAMP) !== 0) {
    parts.timestamp = baseTime + reader.zigzag();
    if (Math.abs(parts.timestamp) > TIMESTAMP_MAX_MS) return reader.fail();
  }
  if ((attributes & HAS_KEY) !== 0) {
    const keyLength = reader.varint();
    parts.keyStart = reader.position;
    parts.keyEnd = parts.keyStart + keyLength;
    reader.skip(keyLength);
  }
  if ((attributes & HAS_HEADERS) !== 0) {
    parts.headersStart = reader.position;
    const count = reader.count(reader.remaining);
    // Absent headers have one encoding: no flag.
    if (count === 0) return reader.fail();
    for (let header = 0; header < count && !reader.failed; header += 1) {
      reader.string(reader.remaining);
      reader.skip(reader.varint());
    }
  }
  parts.valueStart = reader.position;
  parts.end = end;
  if ((attributes & NULL_VALUE) !== 0 && parts.valueStart !== end) return reader.fail();
  // Overruns where the record reaches past the body, is negative where a part reached past the record: both fail.
  reader.skip(end - parts.valueStart);
}

export function isTombstone({ attributes }: RecordParts): boolean {
  return (attributes & NULL_VALUE) !== 0;
}

/** What `recordBytes` counts of the record whose parts were located, without making it. One is reused. */
export function measureRecord(body: Uint8Array, parts: RecordParts): RecordSize {
  const { attributes, keyStart, keyEnd, valueStart, end } = parts;
  measured.bytes = end - valueStart + ((attributes & HAS_KEY) === 0 ? 0 : keyEnd - keyStart);
  measured.headers = 0;
  if ((attributes & HAS_HEADERS) === 0) return measured;
  const reader = new ByteReader(body, parts.headersStart, valueStart);
  measured.headers = reader.count(reader.remaining);
  for (let half = 0; half < measured.headers * 2; half += 1) {
    const length = reader.varint();
    reader.skip(length);
    measured.bytes += length;
  }
  assert(reader.complete, "headers are measured only after they were checked");
  return measured;
}

type RecordSize = { bytes: number; headers: number };
const measured: RecordSize = { bytes: 0, headers: 0 };

/** The record whose parts were located; keys and values are views of the body. */
export function materialiseRecord(body: Uint8Array, parts: RecordParts): StreamRecord {
  const { attributes } = parts;
  const value = (attributes & NULL_VALUE) === 0 ? body.subarray(parts.valueStart, parts.end) : null;
  const key = (attributes & HAS_KEY) === 0 ? undefined : body.subarray(parts.keyStart, parts.keyEnd);
  const timestamp = (attributes & HAS_TIMESTAMP) === 0 ? undefined : parts.timestamp;
  const headers = (attributes & HAS_HEADERS) === 0 ? undefined : readHeaders(body, parts);
  // The common shapes, written out: spreading conditional parts takes several times as long.
  if (headers !== undefined)
    return { value, headers, ...(key !== undefined && { key }), ...(timestamp !== undefined && { timestamp }) };
  if (key === undefined) return timestamp === undefined ? { value } : { value, timestamp };
  return timestamp === undefined ? { value, key } : { value, key, timestamp };
}

function readHeaders(body: Uint8Array, parts: RecordParts): RecordHeader[] {
  const reader = new ByteReader(body, parts.headersStart, parts.valueStart);
  const count = reader.count(reader.remaining);
  const headers: RecordHeader[] = [];
  for (let place = 0; place < count; place += 1)
    headers.push([reader.string(reader.remaining), reader.blob(reader.remaining)]);
  assert(reader.complete, "headers are materialised only after they were checked");
  return headers;
}

/** `scratch` takes the part before the value, whose length must be known first. `offsetDelta`: for sparse batches. */
export function writeRecord(
  writer: ByteWriter,
  scratch: ByteWriter,
  record: StreamRecord,
  offsetDelta: number | undefined,
  baseTime: number,
): void {
  const { key, value, headers, timestamp } = record;
  const hasHeaders = headers !== undefined && headers.length > 0;
  const attributes =
    (key === undefined ? 0 : HAS_KEY) |
    (hasHeaders ? HAS_HEADERS : 0) |
    (timestamp === undefined ? 0 : HAS_TIMESTAMP) |
    (value === null ? NULL_VALUE : 0);
  assert(timestamp === undefined || isTimestamp(timestamp), "a timestamp is whole milliseconds, in range");
  const valueLength = value === null ? 0 : value.length;
  if (attributes === 0 && offsetDelta === undefined) {
    writer.varint(1 + valueLength).u8(0);
  } else {
    scratch.reset();
    scratch.u8(attributes);
    if (offsetDelta !== undefined) scratch.varint(offsetDelta);
    if (timestamp !== undefined) scratch.zigzag(timestamp - baseTime);
    if (key !== undefined) scratch.blob(key);
    if (hasHeaders) writeHeaders(scratch, headers);
    writer.varint(scratch.length + valueLength).bytes(scratch.view());
  }
  if (value !== null) writer.bytes(value);
}

function writeHeaders(writer: ByteWriter, headers: readonly RecordHeader[]): void {
  writer.varint(headers.length);
  for (const [name, value] of headers) writer.string(name).blob(value);
}
