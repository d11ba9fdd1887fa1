/**
 * Content types: read once at the edge into a normal form, so that "the same type" is equality of strings from there
 * on. Type, subtype and parameter names are lower-cased, parameters sorted; `charset` values are lower-cased, too.
 */

import { HttpError } from "./http-error.ts";
import { memoized } from "./memo.ts";

export const JSON_CONTENT_TYPE = "application/json";
/** A value a line. The first is the one that answers have. */
export const NDJSON_CONTENT_TYPES = ["application/x-ndjson", "application/ndjson", "application/jsonl"] as const;
export const DEFAULT_CONTENT_TYPE = "application/octet-stream";

/** Printable ASCII only: content types are repeated in headers. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const PARAMETER = /^\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=("(?:[ !#-[\]-~]|\\[ -~])*"|[!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*$/;

const KNOWN_MAX = 256;

/** The normal form, or undefined where the text is not a media type. */
export const normalizeContentType: (text: string) => string | undefined = memoized(normalize, KNOWN_MAX);

function normalize(text: string): string | undefined {
  const parts = text.split(";");
  const [type, subtype, ...rest] = (parts[0] as string).trim().split("/");
  if (type === undefined || subtype === undefined || rest.length > 0 || !TOKEN.test(type) || !TOKEN.test(subtype))
    return undefined;
  const parameters: string[] = [];
  for (const part of parts.slice(1)) {
    if (part.trim() === "") continue;
    const match = PARAMETER.exec(part);
    if (match === null) return undefined;
    const name = (match[1] as string).toLowerCase();
    const value = match[2] as string;
    parameters.push(`${name}=${name === "charset" ? value.toLowerCase() : value}`);
  }
  return [`${type}/${subtype}`.toLowerCase(), ...parameters.sort()].join("; ");
}

/** Without parameters. */
export function mediaType(contentType: string): string {
  const end = contentType.indexOf(";");
  return end < 0 ? contentType : contentType.slice(0, end);
}

/** Refuses JSON in another encoding than UTF-8, which is all it is ever read as (RFC 8259, section 8.1). */
export function checkJsonEncoding(contentType: string): void {
  const other = contentType.split("; ").find((part) => part.startsWith("charset=") && !UTF_8.test(part));
  if (other === undefined || !HOLDS_JSON.has(mediaType(contentType))) return;
  throw new HttpError("unsupported-media-type", `JSON is in UTF-8 here, not ${other}`);
}

const UTF_8 = /^charset="?utf-?8"?$/i;
const HOLDS_JSON: ReadonlySet<string> = new Set([JSON_CONTENT_TYPE, ...NDJSON_CONTENT_TYPES]);

/** One record per message, and answers are arrays of them (section 9.1). */
export function isJson(contentType: string): boolean {
  return mediaType(contentType) === JSON_CONTENT_TYPE;
}

/** Whether SSE carries the bytes as text; all else is base64 (section 5.8). */
export function isText(contentType: string): boolean {
  return contentType.startsWith("text/") || isJson(contentType);
}
