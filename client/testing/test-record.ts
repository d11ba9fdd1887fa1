/** Records as tests write and read them. */
import { text } from "../../src/lib/bytes.ts";
import type { SourceFormat } from "../../src/operators/engine/operator.ts";
import type { SourceSettings } from "../../src/operators/engine/graph.ts";
import type { RecordHeader, StreamRecord } from "../../src/record/record.ts";
import { toRecord } from "../appending/record-input.ts";
import { checkNames, invalid } from "./options.ts";

export type WrittenRecord = {
  readonly key?: string | Uint8Array;
  readonly headers?: readonly RecordHeader[];
  /** Event time; default: the log time at which it is appended. */
  readonly timestamp?: number;
};

export type ReadRecord = {
  /** As text; bytes where it is none; null where there is no key. */
  readonly key: string | Uint8Array | null;
  /** JSON's value; bytes where it is none; null for a tombstone. */
  readonly value: unknown;
  readonly timestamp: number;
  readonly headers: readonly RecordHeader[];
};

/** What a topology knows of a stream that it reads. */
export function sourceOf(sources: ReadonlyMap<string, SourceSettings>, stream: string): SourceSettings {
  const source = sources.get(stream);
  if (source !== undefined) return source;
  const known = [...sources].flatMap(([name, { internal }]) => (internal ? [] : [name]));
  throw invalid(`the topology does not read "${stream}"; it reads ${known.join(", ")}`);
}

/** A value as JSON, or as text where the topology reads text; bytes as they are, null as a tombstone. */
export function writtenRecord(
  value: unknown,
  record: WrittenRecord,
  format: SourceFormat,
  stream: string,
): StreamRecord {
  checkNames("a record", record, ["key", "headers", "timestamp"]);
  if (value === null || value instanceof Uint8Array) return toRecord({ ...record, value });
  if (format === "json") return toRecord({ ...record, json: value });
  if (format === "text" && typeof value === "string") return toRecord({ ...record, value });
  throw invalid(`the topology reads "${stream}" as ${format}, and was given ${JSON.stringify(value)}`);
}

export function readRecord(record: {
  readonly key?: Uint8Array | undefined;
  readonly value: Uint8Array | null;
  readonly timestamp: number;
  readonly headers?: readonly RecordHeader[];
}): ReadRecord {
  const { key, value, timestamp, headers = [] } = record;
  return {
    key: key === undefined ? null : (text(key) ?? key),
    value: value === null ? null : jsonOrBytes(value),
    timestamp,
    headers,
  };
}

function jsonOrBytes(bytes: Uint8Array): unknown {
  const decoded = text(bytes);
  if (decoded === undefined) return bytes;
  try {
    return JSON.parse(decoded);
  } catch {
    return bytes;
  }
}
