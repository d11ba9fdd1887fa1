/** Places in a stream as the command line takes them: `start`, `now`, an offset, a token, a time, or how long ago. */
import { InvalidArgumentError } from "commander";
import { parseOffset } from "../../src/record/offset.ts";
import type { Place, Stream } from "../stream.ts";
import { parseDuration } from "./durations.ts";

/** Where to read, before the stream was asked. */
export type Where =
  | { readonly kind: "place"; readonly place: Place }
  | { readonly kind: "time"; readonly atMs: number };

export const PLACE_HELP = "start, now, an offset, a token, a time (2026-01-31T12:00Z) or how long ago (15m)";

/** With a date: a bare number is an offset, never a year. Without a zone it is local time. */
const TIME = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?$/;

export function whereArgument(text: string): Where {
  const where = parseWhere(text, Date.now());
  if (where === undefined) throw new InvalidArgumentError(`It must be ${PLACE_HELP}.`);
  return where;
}

export function parseWhere(text: string, nowMs: number): Where | undefined {
  if (text === "start" || text === "now") return { kind: "place", place: text };
  if (/^\d+$/.test(text)) {
    return Number.isSafeInteger(Number(text)) ? { kind: "place", place: Number(text) } : undefined;
  }
  if (parseOffset(text).ok) return { kind: "place", place: text };
  const ago = parseDuration(text);
  if (ago !== undefined) return { kind: "time", atMs: Math.max(0, nowMs - ago) };
  const atMs = TIME.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : { kind: "time", atMs };
}

/** A time is the first record that the log took at it or later. */
export async function placeOf(stream: Stream, where: Where): Promise<Place> {
  return where.kind === "place" ? where.place : stream.offsetAt(new Date(where.atMs));
}

/** For options that count. */
export function countArgument(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < 1) {
    throw new InvalidArgumentError("It must be a whole number from 1.");
  }
  return count;
}
