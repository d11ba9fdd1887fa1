/**
 * CSV (RFC 4180) as objects: the first row names the fields, every other row gives their texts. Streaming; a row of another
 * length, a name twice, a stray quote and bytes that are no UTF-8 are errors, never guesses.
 */
import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { concat, text } from "../../src/lib/bytes.ts";
import { InputError } from "./append-input.ts";

export type CsvOptions = {
  /** One character. */
  readonly delimiter: string;
  readonly rowBytesMax: number;
};

export type CsvRow = { readonly row: Readonly<Record<string, string>>; readonly line: number };

const MARK: readonly number[] = [0xef, 0xbb, 0xbf];

/** What the parser calls what a file can do wrong, in our words; the rest is the parser's own message. */
const FAULTS: Readonly<Record<string, string>> = {
  CSV_RECORD_INCONSISTENT_FIELDS_LENGTH: "does not have as many fields as the first line names",
  CSV_MAX_RECORD_SIZE: "is too long for a record",
  CSV_QUOTE_NOT_CLOSED: "has a quote that is not closed before the end",
  CSV_INVALID_CLOSING_QUOTE: "has something other than a delimiter behind a closing quote",
  INVALID_OPENING_QUOTE: "has a quote within a field that does not begin with one",
};

export async function* csvRows(chunks: AsyncIterable<Uint8Array>, options: CsvOptions): AsyncGenerator<CsvRow> {
  const parser = parse({
    delimiter: options.delimiter,
    // Bytes: a decoder would replace what is no text.
    encoding: null,
    max_record_size: options.rowBytesMax,
    skip_empty_lines: true,
    info: true,
  });
  const source = Readable.from(withoutMark(chunks), { objectMode: false });
  source.once("error", (error) => parser.destroy(error));
  source.pipe(parser);
  let names: readonly string[] | undefined;
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: Uint8Array[]; info: { lines: number } }>) {
      const fields = record.map((field) => textOf(field, info.lines));
      if (names === undefined) names = checkNames(fields, info.lines);
      else yield { row: rowOf(names, fields), line: info.lines };
    }
  } catch (thrown) {
    if (!(thrown instanceof CsvError)) throw thrown;
    const line: unknown = thrown["lines"];
    const message = FAULTS[thrown.code] ?? `is no CSV: ${thrown.message}`;
    throw new InputError("invalid-argument", message, typeof line === "number" ? line : undefined);
  } finally {
    source.destroy();
    parser.destroy();
  }
}

/** Editors put a byte order mark before a text; the parser would take it for a part of the first name. */
async function* withoutMark(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | undefined = new Uint8Array();
  for await (const chunk of chunks) {
    if (head === undefined) {
      yield chunk;
      continue;
    }
    head = concat([head, chunk]);
    if (head.length < MARK.length) continue;
    yield startsWithMark(head) ? head.subarray(MARK.length) : head;
    head = undefined;
  }
  if (head !== undefined && head.length > 0) yield head;
}

function startsWithMark(bytes: Uint8Array): boolean {
  return MARK.every((byte, at) => bytes[at] === byte);
}

function checkNames(names: readonly string[], line: number): readonly string[] {
  if (names.includes("")) throw new InputError("invalid-argument", "names fields, and one name is empty", line);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new InputError("invalid-argument", `names the field "${twice}" twice`, line);
  return names;
}

/** Not by assignment: a field may be called `__proto__`. */
function rowOf(names: readonly string[], fields: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name, at) => [name, fields[at] ?? ""]));
}

function textOf(field: Uint8Array, line: number): string {
  const decoded = text(field);
  if (decoded === undefined) throw new InputError("not-text", "is not UTF-8 text", line);
  return decoded;
}
