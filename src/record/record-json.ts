/**
 * Records as JSON, for people and for programs without the binary format (src/wire/SPEC.md, W110 and W125): the same
 * form wherever JSON is spoken. Reading is strict: a key that is not known is refused, for it is usually a slip.
 */
import { fromBase64, toBase64 } from "../lib/base64.ts";
import { text, utf8 } from "../lib/bytes.ts";
import { err, ok, type Err, type Result } from "../lib/result.ts";
import type { Offset } from "./offset.ts";
import { isTimestamp, type RecordHeader, type StreamRecord } from "./record.ts";

/** A value as it was written; how it becomes bytes depends on the stream's content type. */
export type JsonRecord = Omit<StreamRecord, "value"> & {
  readonly value:
    | { readonly kind: "json"; readonly json: unknown; readonly text: string }
    | { readonly kind: "bytes"; readonly bytes: Uint8Array };
};

export type JsonRecordError = { readonly code: "malformed-request" | "malformed-json"; readonly message: string };

type Fields = Readonly<Record<string, unknown>>;

const RECORD_KEYS: readonly string[] = ["value", "base64", "key", "headers", "timestamp"];
const JSON_TYPE = /^application\/json(?:;|$)/;
const SHOWN_NAME_LENGTH_MAX = 40;

/** Whether the values of a stream of this content type are JSON. */
export function holdsJson(contentType: string): boolean {
  return JSON_TYPE.test(contentType);
}

/** An object is a record in full; anything else stands for its value. */
export function parseJsonRecord(value: unknown): Result<JsonRecord, JsonRecordError> {
  if (!isObject(value)) {
    const parsed = jsonValue(value);
    return parsed.ok ? ok({ value: parsed.value }) : parsed;
  }
  const unknown = Object.keys(value).find((key) => !RECORD_KEYS.includes(key));
  if (unknown !== undefined) {
    const shown = unknown.slice(0, SHOWN_NAME_LENGTH_MAX).toWellFormed();
    return malformed(`a record in full has ${RECORD_KEYS.join(", ")}, not "${shown}"`);
  }
  const { timestamp } = value;
  if (timestamp !== undefined && !isTimestamp(timestamp))
    return malformed('a record\'s "timestamp" is whole milliseconds since 1970, before that negative');
  const parsed = valueOf(value);
  if (!parsed.ok) return parsed;
  const key = value["key"] === undefined ? undefined : parseJsonBytes(value["key"]);
  if (key === null) return malformed('a record\'s "key" is a text or {"base64": …}');
  const headers = headersOf(value["headers"]);
  if (!headers.ok) return headers;
  return ok({
    value: parsed.value,
    ...(key !== undefined && { key }),
    ...(timestamp !== undefined && { timestamp }),
    ...(headers.value.length > 0 && { headers: headers.value }),
  });
}

/** Texts stand for themselves, except where the stream holds JSON; `null` is a tombstone. */
export function recordOfJson({ value, ...rest }: JsonRecord, jsonStream: boolean): StreamRecord {
  if (value.kind === "bytes") return { ...rest, value: value.bytes };
  if (value.json === null) return { ...rest, value: null };
  return { ...rest, value: utf8(typeof value.json === "string" && !jsonStream ? value.json : value.text) };
}

/** A text stands for its UTF-8; bytes that are no text are `{"base64": …}`. Null: it is neither. */
export function parseJsonBytes(value: unknown): Uint8Array | null {
  if (isString(value)) return utf8(value);
  if (!isObject(value) || Object.keys(value).length !== 1 || !isString(value["base64"])) return null;
  return fromBase64(value["base64"]) ?? null;
}

export function showBytes(bytes: Uint8Array): string | { readonly base64: string } {
  return text(bytes) ?? { base64: toBase64(bytes) };
}

/**
 * A record as JSON text, on one line. In a stream of JSON the value is what was appended, to the letter: numbers and
 * spelling survive.
 */
export function recordText(offset: Offset, record: StreamRecord, logTime: number, jsonStream: boolean): string {
  const { value, key, headers, timestamp } = record;
  let shown = `{"offset":${offset},${valueText(value, jsonStream)}`;
  if (key !== undefined) shown += `,"key":${JSON.stringify(showBytes(key))}`;
  if (headers !== undefined) {
    shown += `,"headers":${JSON.stringify(headers.map(([name, bytes]) => [name, showBytes(bytes)]))}`;
  }
  return `${shown},"timestamp":${timestamp ?? logTime}}`;
}

function valueText(value: Uint8Array | null, jsonStream: boolean): string {
  if (value === null) return '"value":null';
  const shown = text(value);
  if (shown === undefined) return `"base64":"${toBase64(value)}"`;
  // Between tokens line breaks mean nothing, and within a text JSON has none.
  return `"value":${jsonStream ? shown.replaceAll(/[\r\n]/g, " ") : JSON.stringify(shown)}`;
}

function valueOf(fields: Fields): Result<JsonRecord["value"], JsonRecordError> {
  const { value, base64 } = fields;
  if ((value === undefined) === (base64 === undefined)) return malformed('a record in full has a "value" or "base64"');
  if (base64 === undefined) return jsonValue(value);
  const bytes = isString(base64) ? fromBase64(base64) : undefined;
  return bytes === undefined ? malformed('"base64" is not well-formed') : ok({ kind: "bytes", bytes });
}

function jsonValue(json: unknown): Result<JsonRecord["value"], JsonRecordError> {
  if (typeof json === "string" && !json.isWellFormed()) return malformed("a text is not well-formed Unicode");
  try {
    return ok({ kind: "json", json, text: JSON.stringify(json) });
  } catch {
    // The platform reads deeper nesting than it writes.
    return err({ code: "malformed-json", message: "a value is nested too deeply" });
  }
}

/** An object of texts, or a list of pairs where names repeat or values are bytes. */
function headersOf(value: unknown): Result<readonly RecordHeader[], JsonRecordError> {
  if (value === undefined) return ok([]);
  const pairs: readonly unknown[] | undefined = Array.isArray(value)
    ? value
    : isObject(value)
      ? Object.entries(value)
      : undefined;
  if (pairs === undefined) return malformed('a record\'s "headers" are an object, or a list of pairs');
  const headers: RecordHeader[] = [];
  for (const pair of pairs) {
    const [name, shown, ...rest] = Array.isArray(pair) ? (pair as readonly unknown[]) : [];
    const bytes = parseJsonBytes(shown);
    if (!isString(name) || bytes === null || rest.length > 0)
      return malformed('a header is a name and a text or {"base64": …}');
    headers.push([name, bytes]);
  }
  return ok(headers);
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isString(value: unknown): value is string {
  return typeof value === "string" && value.isWellFormed();
}

function malformed(message: string): Err<JsonRecordError> {
  return err({ code: "malformed-request", message });
}
