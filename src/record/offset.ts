/**
 * Offsets and their tokens.
 *
 * An offset is a record's place in its stream, dense from 0 (I7). A token is how it is written outside:
 * `incarnation_offset`, 16 decimal digits each, so that tokens of one stream sort as text and a token from a
 * deleted stream never fits its successor. Forks share their source's incarnation.
 */
import { err, ok, type Result } from "../lib/result.ts";

/** A record's place in its stream: an integer from 0. Also "the next offset", one past the last record. */
export type Offset = number;

/** The position of the entry that created a stream; 0 in a token means "any": the start. */
export type Incarnation = number;

export type OffsetToken = { readonly incarnation: Incarnation; readonly offset: Offset };

const ZEROS = "0".repeat(16);
const TOKEN = /^(\d{16})_(\d{16})$/;

/** The token `incarnation_offset`. */
export function formatOffset(incarnation: Incarnation, offset: Offset): string {
  return `${sixteenDigits(incarnation)}_${sixteenDigits(offset)}`;
}

/** Every append makes two tokens, and `padStart` takes twice as long. */
function sixteenDigits(value: number): string {
  const digits = String(value);
  return ZEROS.slice(digits.length) + digits;
}

/**
 * Reads a token. Sixteen digits reach past 2^53; what does is beyond any tail and is clamped to
 * `Number.MAX_SAFE_INTEGER`, so that it still compares as "after everything".
 */
export function parseOffset(text: string): Result<OffsetToken, "malformed-offset"> {
  const match = TOKEN.exec(text);
  if (match === null) return err("malformed-offset");
  return ok({ incarnation: clamp(match[1] as string), offset: clamp(match[2] as string) });
}

function clamp(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}
