/**
 * Stream names: a URL path below `/v1/stream/`, decoded (SPEC.md, "Stream names"). Whatever could be read as another name,
 * or as a path on some disk, is refused rather than repaired: no two spellings of a URL that mean different things to
 * different software may reach one stream.
 */
import { text, utf8 } from "../lib/bytes.ts";
import { err, ok, type Err, type Result } from "../lib/result.ts";
import type { StreamName } from "./command.ts";
import { WIRE_LIMITS } from "./limits.ts";

/** Paths whose first segment is this are the protocol's own (Durable Streams, section 6). */
const RESERVED_SEGMENT = "__ds";

/** One byte of a name takes at most three characters of a path. */
const PATH_LENGTH_MAX = WIRE_LIMITS.nameBytesMax * 3;
/** Printable ASCII, without what ends a path and without the backslash, which some software takes for a slash. */
const PATH_CHARACTERS = /^[!"$->@-[\]-~]*$/;
const HEX_DIGITS = /^[0-9a-fA-F]{2}$/;
/** C0 and C1 controls and DEL; the backslash; U+FFFD, the trace of a decoding that lost something. */
// oxlint-disable-next-line no-control-regex -- these are what is looked for
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\\\ufffd]/;
/** RFC 3986 `pchar` without the percent sign, and the slash. */
const PLAIN_IN_URLS = /^[A-Za-z0-9\-._~!$&'()*+,;=:@/]$/;

export type StreamNameError = { readonly code: "malformed-name" | "url-too-long"; readonly message: string };

/** The name in a raw, percent-encoded path: without the leading `/v1/stream/`, without the query. */
export function parseStreamName(urlPath: string): Result<StreamName, StreamNameError> {
  if (urlPath.length > PATH_LENGTH_MAX) {
    return err({ code: "url-too-long", message: `a stream's path has at most ${PATH_LENGTH_MAX} characters` });
  }
  if (!PATH_CHARACTERS.test(urlPath)) return malformed("its path holds a character that must be percent-encoded");
  if (/%2f/i.test(urlPath)) return malformed("a segment holds an encoded slash");
  const bytes = percentDecode(urlPath);
  if (bytes === undefined) return malformed("a percent sign is not followed by two hexadecimal digits");
  const name = text(bytes);
  return name === undefined ? malformed("it is not UTF-8") : checkStreamName(name);
}

/** Whether a decoded name is one: names also come in commands, bodies and command lines. */
export function checkStreamName(name: string): Result<StreamName, StreamNameError> {
  if (name === "") return malformed("it is empty");
  if (name.length > WIRE_LIMITS.nameBytesMax || utf8(name).length > WIRE_LIMITS.nameBytesMax) {
    return malformed(`it is longer than ${WIRE_LIMITS.nameBytesMax} bytes`);
  }
  if (!name.isWellFormed()) return malformed("it is not well-formed Unicode");
  if (FORBIDDEN.test(name)) return malformed("it holds a control character, a backslash or U+FFFD");
  const segments = name.split("/");
  if (segments.length > WIRE_LIMITS.nameSegmentsMax)
    return malformed(`it has more than ${WIRE_LIMITS.nameSegmentsMax} segments`);
  if (segments[0] === RESERVED_SEGMENT) return malformed(`names below "${RESERVED_SEGMENT}" are reserved`);
  for (const segment of segments) {
    if (segment === "") return malformed("a segment is empty");
    if (segment === "." || segment === "..") return malformed(`a segment is "${segment}"`);
  }
  return ok(name);
}

/** The name as a URL path; `parseStreamName` reads it back. */
export function encodeStreamName(name: StreamName): string {
  let path = "";
  for (const byte of utf8(name)) {
    const character = String.fromCharCode(byte);
    path += PLAIN_IN_URLS.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return path;
}

/** The bytes that a path of ASCII stands for; undefined where a percent sign is not followed by two hex digits. */
function percentDecode(path: string): Uint8Array | undefined {
  const bytes = new Uint8Array(path.length);
  let length = 0;
  for (let place = 0; place < path.length; place += 1) {
    let byte = path.charCodeAt(place);
    if (byte === 0x25) {
      const digits = path.slice(place + 1, place + 3);
      if (!HEX_DIGITS.test(digits)) return undefined;
      byte = Number.parseInt(digits, 16);
      place += 2;
    }
    bytes[length] = byte;
    length += 1;
  }
  return bytes.subarray(0, length);
}

function malformed(message: string): Err<StreamNameError> {
  return err({ code: "malformed-name", message: `the stream name is not allowed: ${message}` });
}
