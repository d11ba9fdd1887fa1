/** What catch-up and long-poll answers have in common (sections 5.6 and 5.7). */
import type { FastifyReply } from "fastify";
import { formatOffset, type Offset } from "../../../src/record/offset.ts";
import type { HttpContext } from "../context.ts";
import { matchesEtag, readEtag } from "../etag.ts";
import { header } from "../header-values.ts";
import type { FlatHeaders } from "../http-error.ts";
import type { StreamView } from "../../streams/views.ts";
import type { Chunk } from "./chunk.ts";

/** Content of a stream is whatever someone appended: a browser that is sent here must not run it as ours. */
const SANDBOX = "default-src 'none'; sandbox";

/** Where the answer ends in the stream. */
export function positionHeaders(
  stream: StreamView,
  nextOffset: Offset,
  upToDate: boolean,
  closed: boolean,
): FlatHeaders {
  const headers = ["Stream-Next-Offset", formatOffset(stream.incarnation, nextOffset)];
  if (upToDate) headers.push("Stream-Up-To-Date", "true");
  if (closed) headers.push("Stream-Closed", "true");
  return headers;
}

export function contentHeaders(stream: StreamView): FlatHeaders {
  return ["Content-Type", stream.contentType, "Content-Security-Policy", SANDBOX];
}

/** Sends a piece of the stream, or 304 where the client has it already. */
export function answerChunk(
  context: HttpContext,
  reply: FastifyReply,
  from: Offset,
  chunk: Chunk,
  cacheControl: string,
  extra: FlatHeaders,
): void {
  const { stream, nextOffset, upToDate, closed } = chunk;
  const etag = readEtag(context.node.clusterId, stream.id, from, nextOffset, closed);
  const headers = [
    ...positionHeaders(stream, nextOffset, upToDate, closed),
    "ETag",
    etag,
    "Cache-Control",
    cacheControl,
    ...extra,
  ];
  const ifNoneMatch = header(reply.request.raw.headers, "if-none-match");
  if (ifNoneMatch !== undefined && matchesEtag(ifNoneMatch, etag)) {
    context.answers.empty(reply, 304, headers);
    chunk.release();
    return;
  }
  headers.push(...contentHeaders(stream));
  context.answers.bytes(reply, 200, headers, chunk.body, chunk.release);
}
