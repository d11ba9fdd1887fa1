/** `GET`: catch-up reads (section 5.6); live reads go on in `long-poll.ts` and `sse.ts`. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Offset } from "../../../src/record/offset.ts";
import type { StreamView } from "../../streams/views.ts";
import type { HttpContext } from "../context.ts";
import { sessionHeader } from "../session-token.ts";
import { type ReadQuery, readQuery, streamOfUrl } from "../stream-url.ts";
import { type Chunk, readChunk, readPiece } from "./chunk.ts";
import { findStreamToRead, resolveFrom } from "./find-stream.ts";
import { longPoll } from "./long-poll.ts";
import { answerChunk, contentHeaders, positionHeaders } from "./read-answer.ts";
import { serverSentEvents } from "./sse.ts";
import { StreamBody } from "./stream-body.ts";

/**
 * What lies before the tail never changes. What shows the tail is asked for again: it can be kept, but only to be
 * confirmed by its entity tag, or a reader would not see what it has just written.
 */
const CACHE_PAST = "public, max-age=60, stale-while-revalidate=300";
const CACHE_PAST_PRIVATE = "private, max-age=60, stale-while-revalidate=300";
const CACHE_TAIL = "no-cache";

export function readRoute(context: HttpContext): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  return async (request, reply) => {
    const url = request.raw.url ?? "";
    const name = streamOfUrl(url, context.limits.urlBytesMax);
    const query = readQuery(url);
    switch (query.live) {
      case "long-poll":
        return longPoll(context, request, reply, name, query);
      case "sse":
        return serverSentEvents(context, request, reply, name, query);
      case undefined:
        return catchUp(context, request, reply, name, query);
    }
  };
}

/** Whoever comes back where an answer ended is catching up: while it takes this one, the next is read. */
async function readNext(context: HttpContext, stream: StreamView, from: Offset): Promise<Chunk> {
  const { ahead, limits } = context;
  const expected = ahead.take(stream.id, from);
  const chunk = await readChunk(context, stream, from, limits.readBytesMax, await expected?.piece);
  const { nextOffset: next, stream: now } = chunk;
  if (next < now.nextOffset)
    ahead.expect(now.id, next, expected && (() => readPiece(context, now, next, limits.readBytesMax)));
  return chunk;
}

async function catchUp(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  name: string,
  query: ReadQuery,
): Promise<void> {
  const stream = await findStreamToRead(context, name, sessionHeader(request.raw.headers));
  context.node.touch(name);
  const from = resolveFrom(context, stream, query.from);
  if (query.from.kind === "now") {
    // Always empty, whatever is there: the tail, and where to go on from.
    const headers = [
      ...positionHeaders(stream, from, true, stream.closed),
      ...contentHeaders(stream),
      "Cache-Control",
      "no-store",
    ];
    context.answers.bytes(reply, 200, headers, new StreamBody(stream.contentType, 0, context.bodies).finish());
    return;
  }
  const chunk = await readNext(context, stream, from);
  const past = request.raw.headers.authorization === undefined ? CACHE_PAST : CACHE_PAST_PRIVATE;
  answerChunk(context, reply, from, chunk, chunk.upToDate ? CACHE_TAIL : past, []);
}
