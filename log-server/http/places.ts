/** Places in a stream and in time as native requests write them: in queries, bodies and `If-Match`. */
import type { IncomingHttpHeaders } from "node:http";
import { formatOffset, type Incarnation, type Offset, parseOffset } from "../../src/record/offset.ts";
import type { StreamView } from "../streams/views.ts";
import { header, parseInteger, parseTimestamp } from "./header-values.ts";
import { HttpError } from "./http-error.ts";

export type Place = { readonly offset: Offset; readonly incarnation?: Incarnation };

const WHAT_PLACES_ARE = "a place is an offset from 0 on, or a token that this service gave";

/** An offset, or a token; of the incarnation 0 it means any stream. */
export function parsePlace(written: string | number): Place {
  if (typeof written === "number") return { offset: written };
  const plain = parseInteger(written);
  if (plain !== undefined) return { offset: plain };
  const token = parseOffset(written);
  if (!token.ok) throw new HttpError("malformed-offset", WHAT_PLACES_ARE);
  const { incarnation, offset } = token.value;
  return incarnation === 0 ? { offset } : { incarnation, offset };
}

/** Milliseconds since 1970, or RFC 3339. */
export function parseTime(written: string | number): number {
  const atMs = typeof written === "number" ? written : (parseInteger(written) ?? parseTimestamp(written));
  if (atMs === undefined)
    throw new HttpError("malformed-request", "a time is milliseconds since 1970, or an RFC 3339 timestamp");
  return atMs;
}

/** The entity tag of a stream that ends there: what `If-Match` may name. */
export function placeTag(stream: Pick<StreamView, "incarnation">, offset: Offset): string {
  return `"${formatOffset(stream.incarnation, offset)}"`;
}

/** What a stream's end must be for an append; undefined: anything. */
export function ifMatchPlace(headers: IncomingHttpHeaders): Place | undefined {
  const value = header(headers, "if-match");
  if (value === undefined || value.trim() === "*") return undefined;
  const tag = /^\s*"([0-9_]{1,40})"\s*$/.exec(value)?.[1];
  if (tag === undefined)
    throw new HttpError("malformed-header", "If-Match is *, or one token of this stream in quotes, as an ETag gave it");
  return parsePlace(tag);
}
