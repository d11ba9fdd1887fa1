/**
 * JSON mode (section 9.1): a body is cut into messages, one record each, as the bytes they arrived in; numbers and
 * spelling survive. Reading joins them to an array.
 */
import { text } from "../../src/lib/bytes.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";

export type JsonError = { readonly code: "malformed-json" | "too-many"; readonly message: string };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** The messages of a body: the elements of an array, one level flattened, or the one value. Views of `body`. */
export function splitMessages(body: Uint8Array, messagesMax: number): Result<readonly Uint8Array[], JsonError> {
  if (!isValidJson(body)) return err({ code: "malformed-json", message: "the body is not valid JSON in UTF-8" });
  const from = skipSpace(body, 0);
  const to = skipSpaceBack(body, body.length);
  if (body[from] !== OPEN_BRACKET) return ok([body.subarray(from, to)]);
  const messages = elements(body, from + 1, to - 1, messagesMax);
  return messages === undefined
    ? err({ code: "too-many", message: `the array has more than ${messagesMax} elements` })
    : ok(messages);
}

/** Whether the bytes are one JSON value. */
export function isValidJson(bytes: Uint8Array): boolean {
  const source = text(bytes);
  if (source === undefined) return false;
  try {
    JSON.parse(source);
    return true;
  } catch {
    return false;
  }
}

/** Cuts what is between the brackets of an array, known to be valid, at its own commas. */
function elements(body: Uint8Array, from: number, to: number, max: number): Uint8Array[] | undefined {
  const found: Uint8Array[] = [];
  const first = skipSpace(body, from);
  if (first >= to) return found;
  let depth = 0;
  let start = first;
  for (let place = first; place < to; place += 1) {
    switch (body[place]) {
      case QUOTE:
        place = endOfString(body, place);
        break;
      case OPEN_BRACKET:
      case OPEN_BRACE:
        depth += 1;
        break;
      case CLOSE_BRACKET:
      case CLOSE_BRACE:
        depth -= 1;
        break;
      case COMMA:
        if (depth > 0) break;
        found.push(trimmed(body, start, place));
        if (found.length >= max) return undefined;
        start = place + 1;
        break;
      default:
    }
  }
  found.push(trimmed(body, start, to));
  return found;
}

/** The place of the closing quote. */
function endOfString(body: Uint8Array, open: number): number {
  let place = open + 1;
  for (;;) {
    const close = body.indexOf(QUOTE, place);
    let backslashes = 0;
    while (body[close - 1 - backslashes] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return close;
    place = close + 1;
  }
}

function trimmed(body: Uint8Array, from: number, to: number): Uint8Array {
  return body.subarray(skipSpace(body, from), skipSpaceBack(body, to));
}

function skipSpace(body: Uint8Array, from: number): number {
  let place = from;
  while (isSpace(body[place])) place += 1;
  return place;
}

function skipSpaceBack(body: Uint8Array, to: number): number {
  let place = to;
  while (isSpace(body[place - 1])) place -= 1;
  return place;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
