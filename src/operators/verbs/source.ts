/** Reads a record of a stream or a table: its value as JSON, text or bytes, as the schema makes it; its key; its event time. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { text } from "../../lib/bytes.ts";
import { parseExactJson } from "../../record/exact-json.ts";
import { isTimestamp } from "../../record/record.ts";
import type { Key } from "../encoding/key-codec.ts";
import { notPromise } from "../engine/guards.ts";
import type { SourceFormat, SourceReader } from "../engine/operator.ts";
import type { TaskInput } from "../engine/task-input.ts";

/** What a source's own callbacks may look at besides the value. */
export type SourceRecord = Pick<TaskInput, "source" | "offset" | "key" | "headers" | "timestamp" | "logTime">;

export type SourceForm = {
  readonly format: SourceFormat;
  readonly schema: StandardSchemaV1 | undefined;
  readonly key: ((value: never, record: SourceRecord) => Key) | undefined;
  readonly timestamp: ((value: never, record: SourceRecord) => number) | undefined;
  /** A table's tombstone deletes its key; in a stream it is nothing. */
  readonly tombstones: boolean;
};

/** A record that is not what the topology says it is. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}

export function reader({ format, schema, key, timestamp, tombstones }: SourceForm): SourceReader {
  return (input) => {
    if (input.value === null) return tombstones ? tombstone(input) : { lane: 0 };
    const value = validated(parsed(format, input.value), schema);
    const time =
      timestamp === undefined ? (input.timestamp ?? input.logTime) : notPromise(timestamp(value as never, input));
    if (!isTimestamp(time))
      throw new SourceError(`its event time is ${String(time)}, not whole milliseconds since 1970`);
    const item = {
      key: key === undefined ? textKey(input) : notPromise(key(value as never, input)),
      value,
      timestamp: time,
      ...(input.headers !== undefined && { headers: input.headers }),
    };
    return { item, lane: 0, eventTime: time };
  };
}

/** It has no value, so a table's key is always the record's. */
function tombstone(input: TaskInput): ReturnType<SourceReader> {
  const timestamp = input.timestamp ?? input.logTime;
  return { item: { key: textKey(input), value: null, timestamp }, lane: 0, eventTime: timestamp };
}

function textKey({ key }: TaskInput): Key {
  if (key === undefined) return null;
  const decoded = text(key);
  if (decoded === undefined) throw new SourceError("its key is no text; give the source `key` to say what it is");
  return decoded;
}

function parsed(format: SourceFormat, bytes: Uint8Array): unknown {
  if (format === "bytes") return bytes;
  const decoded = text(bytes);
  if (decoded === undefined) throw new SourceError("its value is no text");
  if (format === "text") return decoded;
  const json = parseExactJson(decoded);
  if (!json.ok) throw new SourceError(`its value is not JSON: ${json.error.message}`);
  return json.value;
}

function validated(value: unknown, schema: StandardSchemaV1 | undefined): unknown {
  if (schema === undefined) return value;
  const result = notPromise(schema["~standard"].validate(value)) as StandardSchemaV1.Result<unknown>;
  if (result.issues === undefined) return result.value;
  const [issue] = result.issues;
  const path = (issue?.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
  const place = path === "" ? "" : ` (${path})`;
  throw new SourceError(`its value is not what the schema allows: ${issue?.message ?? "no reason given"}${place}`);
}
