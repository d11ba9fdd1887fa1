/** `GET …&live=long-poll` (section 5.7): answers as soon as there is something, or says that there was nothing. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { HttpContext } from "../context.ts";
import { sessionHeader } from "../session-token.ts";
import { nextCursor } from "../cursor.ts";
import { randomU32 } from "../random.ts";
import type { ReadQuery } from "../stream-url.ts";
import { readChunk } from "./chunk.ts";
import { findStreamToRead, refreshStream, resolveFrom } from "./find-stream.ts";
import { waitForChange } from "./live-wait.ts";
import { answerChunk, positionHeaders } from "./read-answer.ts";

/** The cursor makes each answer's URL its own, so caches may let many readers share it. */
const CACHE_DATA = "public, max-age=60, stale-while-revalidate=300";
const CACHE_DATA_PRIVATE = "private, max-age=60, stale-while-revalidate=300";

export async function longPoll(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  name: string,
  query: ReadQuery,
): Promise<void> {
  const { node, limits } = context;
  let stream = await findStreamToRead(context, name, sessionHeader(request.raw.headers));
  node.touch(name);
  const from = resolveFrom(context, stream, query.from);
  const live = context.live.open(reply.raw, limits.longPollMs);
  try {
    for (;;) {
      // Looked up again in the same turn that begins to wait: nothing can happen unseen in between.
      stream = refreshStream(context, stream);
      if (from < stream.nextOffset || stream.closed || !node.tailKnown || live.signal.aborted) break;
      await waitForChange(context, stream, live.signal);
    }
    if (!live.connected) {
      reply.hijack();
      return;
    }
    const cursor = ["Stream-Cursor", nextCursor(query.cursor, node.clock.now(), randomU32(node.entropy))];
    if (from >= stream.nextOffset) {
      if (!node.tailKnown) throw node.tailUnknown();
      const headers = [...positionHeaders(stream, from, true, stream.closed), "Cache-Control", "no-store"];
      context.answers.empty(reply, 204, stream.closed ? headers : [...headers, ...cursor]);
      return;
    }
    const chunk = await readChunk(context, stream, from, limits.readBytesMax);
    const cacheControl = request.raw.headers.authorization === undefined ? CACHE_DATA : CACHE_DATA_PRIVATE;
    answerChunk(context, reply, from, chunk, cacheControl, cursor);
  } finally {
    live.finish();
  }
}
