/** Reads single header values. Node joins repeated custom headers with a comma, so a repetition shows as a bad value. */
import type { IncomingHttpHeaders } from "node:http";
import { HttpError } from "./http-error.ts";

const INTEGER = /^(0|[1-9]\d{0,15})$/;

/** The header as sent, or undefined where it is absent. */
export function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" ? value : value?.join(", ");
}

/** RFC 3339. */
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

/** Milliseconds since 1970 of an RFC 3339 timestamp not before that; else undefined. */
export function parseTimestamp(text: string): number | undefined {
  const atMs = TIMESTAMP.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isSafeInteger(atMs) && atMs >= 0 ? atMs : undefined;
}

/** A non-negative safe integer in plain decimal: no sign, no leading zero, no exponent. */
export function integerHeader(headers: IncomingHttpHeaders, name: string): number | undefined {
  const value = header(headers, name);
  if (value === undefined) return undefined;
  const number = parseInteger(value);
  if (number === undefined)
    throw new HttpError("malformed-header", `${name} must be a non-negative integer, not "${value}"`);
  return number;
}

export function parseInteger(text: string): number | undefined {
  if (!INTEGER.test(text)) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** `Stream-Closed` counts only as exactly `true`, in any case; anything else is as if it were absent (section 4.1). */
export function closedHeader(headers: IncomingHttpHeaders): boolean {
  const value = header(headers, "stream-closed");
  return value !== undefined && value.toLowerCase() === "true";
}
