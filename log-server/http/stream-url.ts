/** Stream names and read queries in request URLs, taken from the raw URL: routers decode too much. */
import { parseOffset, type OffsetToken } from "../../src/record/offset.ts";
import type { StreamName } from "../../src/wire/command.ts";
import { parseStreamName } from "../../src/wire/stream-name.ts";
import { HttpError } from "./http-error.ts";
import { memoized } from "./memo.ts";

export const STREAM_PREFIX = "/v1/stream/";

/** What may stand in a URL (RFC 3986) and does not end its path. */
const URL_CHARACTERS = /^[!"$-~]*$/;

export type ReadFrom =
  | { readonly kind: "start" }
  | { readonly kind: "now" }
  | { readonly kind: "token"; readonly token: OffsetToken };
export type LiveMode = "long-poll" | "sse";

export type ReadQuery = {
  readonly from: ReadFrom;
  readonly live: LiveMode | undefined;
  readonly cursor: string | undefined;
};

/** The stream that a URL names. */
export function streamOfUrl(url: string, urlBytesMax: number): StreamName {
  if (url.length > urlBytesMax) throw new HttpError("url-too-long", `a URL may have at most ${urlBytesMax} bytes`);
  const end = url.indexOf("?");
  return streamOfPath(end < 0 ? url : url.slice(0, end));
}

/** The stream that a URL names behind another prefix than the protocol's. */
export function streamBehind(prefix: string, url: string, urlBytesMax: number): StreamName {
  const name = parseStreamName(tailOfUrl(prefix, url, urlBytesMax));
  if (!name.ok) throw new HttpError(name.error.code, name.error.message);
  return name.value;
}

/** What a path has behind the prefix, still encoded. */
export function tailOfUrl(prefix: string, url: string, urlBytesMax: number): string {
  if (url.length > urlBytesMax) throw new HttpError("url-too-long", `a URL may have at most ${urlBytesMax} bytes`);
  const end = url.indexOf("?");
  const path = end < 0 ? url : url.slice(0, end);
  if (!path.startsWith(prefix) || !URL_CHARACTERS.test(path))
    throw new HttpError("malformed-url", `the path begins with ${prefix} and is percent-encoded`);
  return path.slice(prefix.length);
}

const KNOWN_MAX = 4_096;

/** The stream that a path names, as it stands in URLs and in `Stream-Forked-From`. */
export const streamOfPath: (path: string) => StreamName = memoized(parsePath, KNOWN_MAX);

function parsePath(path: string): StreamName {
  if (!path.startsWith(STREAM_PREFIX) || !URL_CHARACTERS.test(path)) {
    throw new HttpError("malformed-url", `a stream's path begins with ${STREAM_PREFIX} and is percent-encoded`);
  }
  const name = parseStreamName(path.slice(STREAM_PREFIX.length));
  if (!name.ok) throw new HttpError(name.error.code, name.error.message);
  return name.value;
}

/** The query of a read. Parameters that are not ours are ignored. */
export function readQuery(url: string): ReadQuery {
  const start = url.indexOf("?");
  if (start < 0) return { from: { kind: "start" }, live: undefined, cursor: undefined };
  const parameters = new URLSearchParams(url.slice(start + 1));
  const offsets = parameters.getAll("offset");
  const live = parameters.get("live") ?? undefined;
  if (offsets.length > 1) throw new HttpError("malformed-offset", "offset is given more than once");
  if (live !== undefined && live !== "long-poll" && live !== "sse") {
    throw new HttpError("malformed-url", `live must be long-poll or sse, not "${live}"`);
  }
  const [offset] = offsets;
  if (live !== undefined && offset === undefined)
    throw new HttpError("malformed-offset", "a live read needs an offset");
  return {
    from: offset === undefined ? { kind: "start" } : readFrom(offset),
    live,
    cursor: parameters.get("cursor") ?? undefined,
  };
}

function readFrom(offset: string): ReadFrom {
  if (offset === "-1") return { kind: "start" };
  if (offset === "now") return { kind: "now" };
  const token = parseOffset(offset);
  if (!token.ok) throw new HttpError("malformed-offset", "offset must be -1, now, or one that this service gave");
  return { kind: "token", token: token.value };
}
