/**
 * `GET …&live=sse` (section 5.8): a stream as server-sent events. Every data event is followed at once by the control
 * event that says where it ends. One event is written at a time, and the next only once the socket has taken it.
 */
import type { ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { formatOffset, type Offset } from "../../../src/record/offset.ts";
import type { HttpContext } from "../context.ts";
import { sessionHeader } from "../session-token.ts";
import { laterCursor, nextCursor } from "../cursor.ts";
import { describeError } from "../error-answer.ts";
import type { FlatHeaders } from "../http-error.ts";
import type { LiveResponse } from "../live-responses.ts";
import { randomU32 } from "../random.ts";
import { sendPiece } from "../send-piece.ts";
import type { ReadQuery } from "../stream-url.ts";
import type { StreamView } from "../../streams/views.ts";
import { type Chunk, readChunk } from "./chunk.ts";
import { findStreamToRead, refreshStream, resolveFrom } from "./find-stream.ts";
import { waitForChange } from "./live-wait.ts";
import { controlEvent, dataEvent, isBase64 } from "./sse-events.ts";

export async function serverSentEvents(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  name: string,
  query: ReadQuery,
): Promise<void> {
  const { node, limits } = context;
  const stream = await findStreamToRead(context, name, sessionHeader(request.raw.headers));
  node.touch(name);
  const from = resolveFrom(context, stream, query.from);
  const live = context.live.open(reply.raw, limits.sseMs);
  try {
    const headers: FlatHeaders = [
      "Content-Type",
      "text/event-stream",
      "Cache-Control",
      "no-cache, no-store",
      "X-Accel-Buffering",
      "no",
    ];
    if (isBase64(stream.contentType)) headers.push("Stream-SSE-Data-Encoding", "base64");
    const raw = context.answers.stream(reply, 200, headers);
    try {
      await sendEvents(context, raw, live, stream, from, query.cursor);
    } catch (error) {
      // The stream went, or cannot be read on: the reader comes back and is told why.
      if (describeError(error).code === "internal") context.observer.event("request-failed", { error: String(error) });
    }
    raw.end();
  } finally {
    live.finish();
  }
}

/** Sends until the stream is closed and all of it sent, or there is no more time, or nobody listens. */
async function sendEvents(
  context: HttpContext,
  raw: ServerResponse,
  live: LiveResponse,
  known: StreamView,
  start: Offset,
  shownCursor: string | undefined,
): Promise<void> {
  const { clock, entropy } = context.node;
  let cursor = nextCursor(shownCursor, clock.now(), randomU32(entropy));
  let from = start;
  let greeted = false;
  while (!live.signal.aborted) {
    const before = refreshStream(context, known);
    if (!greeted || from < before.nextOffset || before.closed) {
      const chunk = await readChunk(context, before, from, context.limits.eventBytesMax);
      cursor = laterCursor(cursor, nextCursor(undefined, clock.now(), 0));
      const end = control(chunk, cursor);
      const events = chunk.empty ? end : Buffer.concat([dataEvent(chunk.body, known.contentType), end]);
      chunk.release();
      await sendPiece(context, raw, live, events);
      if (chunk.closed) return;
      from = chunk.nextOffset;
      greeted = true;
      continue;
    }
    await waitForChange(context, before, live.signal);
  }
}

function control(chunk: Chunk, cursor: string): Uint8Array {
  return controlEvent({
    streamNextOffset: formatOffset(chunk.stream.incarnation, chunk.nextOffset),
    ...(!chunk.closed && { streamCursor: cursor }),
    ...(chunk.upToDate && { upToDate: true }),
    ...(chunk.closed && { streamClosed: true }),
  });
}
