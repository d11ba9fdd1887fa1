/**
 * Patterns over stream names (Durable Streams, section 6.2): `*` is one segment, `**` is zero or more. A `*` beside
 * other characters stands for any of the segment's.
 */
import { utf8 } from "../../src/lib/bytes.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { StreamName } from "../../src/wire/command.ts";

export type PatternLimits = { readonly patternBytesMax: number; readonly patternSegmentsMax: number };

const ANY_SEGMENTS = "**";
// oxlint-disable-next-line no-control-regex -- these are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

export class Glob {
  readonly #segments: readonly string[];
  /** What every match begins with: most names are told apart by it. */
  readonly #prefix: string;

  constructor(pattern: string) {
    this.#segments = pattern.split("/");
    const star = pattern.indexOf("*");
    // Before a `**` even the slash may be missing.
    const literal = star < 0 ? pattern : pattern.slice(0, star);
    this.#prefix = literal.endsWith("/") ? literal.slice(0, -1) : literal;
  }

  matches(name: StreamName): boolean {
    return name.startsWith(this.#prefix) && matchSequence(this.#segments, name.split("/"), ANY_SEGMENTS, matchSegment);
  }
}

export function checkPattern(pattern: string, limits: PatternLimits): Result<string, string> {
  if (!pattern.isWellFormed() || CONTROL.test(pattern)) return err("the pattern holds a character that no name has");
  if (utf8(pattern).length > limits.patternBytesMax) {
    return err(`the pattern is longer than ${limits.patternBytesMax} bytes`);
  }
  const segments = pattern.split("/");
  if (segments.length > limits.patternSegmentsMax) {
    return err(`the pattern has more than ${limits.patternSegmentsMax} segments`);
  }
  if (segments.includes("")) return err("a segment of the pattern is empty");
  return ok(pattern);
}

function matchSegment(pattern: string, segment: string): boolean {
  if (pattern === "*") return true;
  if (!pattern.includes("*")) return pattern === segment;
  return matchSequence(pattern, segment, "*", (a, b) => a === b);
}

/**
 * Matches item by item; `any` stands for zero or more. Going back only to the last `any` suffices, so the time is at
 * most the product of the lengths.
 */
function matchSequence<T extends string | readonly string[]>(
  pattern: T,
  items: T,
  any: string,
  matchOne: (pattern: string, item: string) => boolean,
): boolean {
  let patternPlace = 0;
  let place = 0;
  let anyPlace = -1;
  let retryPlace = 0;
  while (place < items.length) {
    const expected = pattern[patternPlace];
    if (expected === any) {
      anyPlace = patternPlace;
      retryPlace = place;
      patternPlace += 1;
    } else if (expected !== undefined && matchOne(expected, items[place] as string)) {
      patternPlace += 1;
      place += 1;
    } else if (anyPlace >= 0) {
      retryPlace += 1;
      place = retryPlace;
      patternPlace = anyPlace + 1;
    } else {
      return false;
    }
  }
  while (pattern[patternPlace] === any) patternPlace += 1;
  return patternPlace === pattern.length;
}
