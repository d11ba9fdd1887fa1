/**
 * Bytes as records, in the forms that `append` takes. One record at a time is held, whatever the input's size; what cannot
 * be understood is an `InputError` that says in which line.
 */
import { unreachable } from "../../src/lib/assert.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { parseExactJson } from "../../src/record/exact-json.ts";
import { parseJsonRecord, recordOfJson } from "../../src/record/record-json.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { TidemarkError, type TidemarkErrorCode } from "../error.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import { LineTooLongError, splitLines } from "./lines.ts";

export const INPUT_FORMATS = ["lines", "ndjson", "records", "csv", "whole"] as const;
/**
 * `lines`: each line is a value. `ndjson`: each line is one, and JSON. `records`: each line is a record in full, as `read -o json`
 * prints it. `csv`: each row is a JSON object by the names in the first. `whole`: the whole of a file is one value.
 */
export type InputFormat = (typeof INPUT_FORMATS)[number];

export type InputOptions = {
  readonly format: InputFormat;
  /** Of a JSON object or a CSV row: what its key is. */
  readonly keyField: string | undefined;
  readonly delimiter: string;
  /** Whether the stream holds JSON: then a text in a record in full is a JSON text. */
  readonly json: boolean;
};

/** With `line` counted from 1, where the input has lines. */
export class InputError extends TidemarkError {
  readonly line: number | undefined;

  constructor(code: TidemarkErrorCode, message: string, line: number | undefined) {
    super(code, message);
    this.line = line;
  }
}

/** Printed beside a record by `read -o json`; what the log decides, a writer cannot. */
const READ_BACK: ReadonlySet<string> = new Set(["offset", "token", "logTime"]);

export async function* readRecords(
  chunks: AsyncIterable<Uint8Array>,
  options: InputOptions,
): AsyncGenerator<StreamRecord> {
  switch (options.format) {
    case "lines":
    case "ndjson":
    case "records":
      yield* lineRecords(chunks, options);
      break;
    case "csv":
      yield* csvRecords(chunks, options);
      break;
    case "whole":
      yield { value: await readWhole(chunks) };
      break;
    default:
      unreachable(options.format);
  }
}

async function* lineRecords(chunks: AsyncIterable<Uint8Array>, options: InputOptions): AsyncGenerator<StreamRecord> {
  const { format } = options;
  let line = 0;
  try {
    for await (const bytes of splitLines(chunks, CLIENT_LIMITS.recordBytesMax)) {
      line += 1;
      if (format === "lines") {
        yield { value: bytes };
        continue;
      }
      const parsed = parseLine(bytes, format, line);
      if (parsed === undefined) continue;
      if (format === "records") yield fullRecord(parsed.value, options.json, line);
      else yield { value: bytes, ...keyOf(parsed.value, options.keyField, line) };
    }
  } catch (thrown) {
    if (thrown instanceof LineTooLongError) throw new InputError("record-too-large", thrown.message, line + 1);
    throw thrown;
  }
}

async function* csvRecords(chunks: AsyncIterable<Uint8Array>, options: InputOptions): AsyncGenerator<StreamRecord> {
  const { csvRows } = await import("./csv.ts");
  const { delimiter, keyField } = options;
  for await (const { row, line } of csvRows(chunks, { delimiter, rowBytesMax: CLIENT_LIMITS.recordBytesMax })) {
    yield { value: utf8(JSON.stringify(row)), ...keyOf(row, keyField, line) };
  }
}

/** The JSON in a line; undefined for a blank one between values. A value that is not sent as it stands must be exact. */
function parseLine(bytes: Uint8Array, format: InputFormat, line: number): { readonly value: unknown } | undefined {
  const source = text(bytes);
  if (source === undefined) throw new InputError("not-text", "is not UTF-8 text", line);
  if (source.trim() === "") return undefined;
  if (format === "records") {
    const exact = parseExactJson(source);
    if (!exact.ok) {
      const { kind, message } = exact.error;
      const fault = kind === "inexact" ? `cannot be read exactly: ${message}` : "is not valid JSON";
      throw new InputError("malformed-json", fault, line);
    }
    return exact;
  }
  try {
    return { value: JSON.parse(source) };
  } catch {
    throw new InputError("malformed-json", "is not valid JSON", line);
  }
}

function fullRecord(value: unknown, json: boolean, line: number): StreamRecord {
  if (isObject(value) && Object.hasOwn(value, "gap")) {
    throw new InputError("invalid-argument", "tells of a gap: records that are gone cannot be appended", line);
  }
  const written = isObject(value)
    ? Object.fromEntries(Object.entries(value).filter(([name]) => !READ_BACK.has(name)))
    : value;
  const parsed = parseJsonRecord(written);
  if (!parsed.ok) {
    const code = parsed.error.code === "malformed-json" ? "malformed-json" : "invalid-argument";
    throw new InputError(code, `is no record: ${parsed.error.message}`, line);
  }
  return recordOfJson(parsed.value, json);
}

function keyOf(value: unknown, field: string | undefined, line: number): { readonly key?: Uint8Array } {
  if (field === undefined) return {};
  const key = isObject(value) && Object.hasOwn(value, field) ? value[field] : undefined;
  if (typeof key === "string") return { key: utf8(key) };
  if (typeof key === "number" || typeof key === "boolean") return { key: utf8(String(key)) };
  throw new InputError("invalid-argument", `has no text, number or boolean in its field "${field}"`, line);
}

async function readWhole(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.length;
    if (length > CLIENT_LIMITS.recordBytesMax) {
      const message = `is longer than the ${CLIENT_LIMITS.recordBytesMax} bytes of one record`;
      throw new InputError("record-too-large", message, undefined);
    }
  }
  return Buffer.concat(parts, length);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
