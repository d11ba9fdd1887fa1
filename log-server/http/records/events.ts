/**
 * `GET /v1/records/…` as server-sent events: an event a record, whose `id` is the token behind it, so that a reader that
 * comes back with `Last-Event-ID` goes on without gap or repeat (I7). What retention took away before it was sent is told
 * as a `gap`; `end` closes a stream that is closed, and who comes back after that is told by 204 not to.
 */
import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import { utf8 } from "../../../src/lib/bytes.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { StreamName } from "../../../src/wire/command.ts";
import { problemOf } from "../../../src/wire/problem.ts";
import type { Timer } from "../../../src/ports/clock.ts";
import type { StreamView } from "../../streams/views.ts";
import type { HttpContext } from "../context.ts";
import { describeError } from "../error-answer.ts";
import { header } from "../header-values.ts";
import { HttpError } from "../http-error.ts";
import type { LiveResponse } from "../live-responses.ts";
import { sendPiece } from "../send-piece.ts";
import { refreshStream } from "../stream-routes/find-stream.ts";
import { waitForChange } from "../stream-routes/live-wait.ts";
import { endEvent, gapEvent, recordEvents } from "./event-text.ts";
import { SSE_TYPE } from "./media.ts";
import { countRead, readPiece, showRecords } from "./piece.ts";
import { begin, type RecordsQuery } from "./read.ts";
import { startOf } from "./read-start.ts";

/** Read by nobody: what tells a proxy, and a socket that is gone, that this is still alive. */
const HEARTBEAT = utf8(":\n\n");

export async function followRecords(
  context: HttpContext,
  reply: FastifyReply,
  name: StreamName,
  query: RecordsQuery,
): Promise<void> {
  const { node, limits } = context;
  const { limit, maxBytes, wait } = query;
  if (limit !== undefined || maxBytes !== undefined || wait !== undefined)
    throw new HttpError("malformed-url", "limit, maxBytes and wait do not go with server-sent events");
  const { headers } = reply.request.raw;
  const lastEventId = header(headers, "last-event-id");
  // A browser that connects again asks for the first URL once more; where it was is only here.
  const start = (found: StreamView): Promise<Offset> => resume(context, found, lastEventId, query);
  const { stream, from } = await begin(context, reply, name, start, query);
  if (lastEventId !== undefined && stream.closed && from >= stream.nextOffset && node.tailKnown) {
    context.answers.empty(reply, 204, ["Cache-Control", "no-store"]);
    return;
  }
  const live = context.live.open(reply.raw, limits.sseMs);
  try {
    const raw = context.answers.stream(reply, 200, [
      ...["Content-Type", SSE_TYPE, "Cache-Control", "no-cache, no-store"],
      ...["X-Accel-Buffering", "no", "Vary", "Accept"],
    ]);
    const heartbeat = beat(context, raw);
    try {
      await sendEvents(context, raw, live, stream, from);
    } catch (error) {
      const { code, message } = describeError(error);
      if (code === "internal") context.observer.event("request-failed", { error: String(error) });
      if (live.connected) raw.write(utf8(`event: failed\ndata: ${JSON.stringify(problemOf(code, message))}\n\n`));
    } finally {
      heartbeat.stop();
    }
    raw.end();
  } finally {
    live.finish();
  }
}

async function resume(
  context: HttpContext,
  stream: StreamView,
  lastEventId: string | undefined,
  query: RecordsQuery,
): Promise<Offset> {
  if (lastEventId === undefined || lastEventId === "") return startOf(context, stream, query);
  try {
    return await startOf(context, stream, { offset: lastEventId });
  } catch (error) {
    // What was removed since is told as a gap, not as an error.
    if (error instanceof HttpError && error.code === "offset-trimmed") return offsetOf(lastEventId);
    throw error;
  }
}

function offsetOf(lastEventId: string): Offset {
  return Number(lastEventId.slice(lastEventId.indexOf("_") + 1));
}

/** Sends until the stream is closed and all of it sent, or there is no more time, or nobody listens. */
async function sendEvents(
  context: HttpContext,
  raw: ServerResponse,
  live: LiveResponse,
  known: StreamView,
  start: Offset,
): Promise<void> {
  const { eventBytesMax, recordsPerBatchMax } = context.limits;
  let from = start;
  while (!live.signal.aborted) {
    const stream = refreshStream(context, known);
    if (from < stream.firstOffset) {
      await sendPiece(context, raw, live, utf8(gapEvent(known.incarnation, from, stream.firstOffset)));
      from = stream.firstOffset;
    }
    if (from < stream.nextOffset) {
      const piece = await readPiece(context, stream, from, eventBytesMax);
      const { records, nextOffset } = showRecords(context, piece, recordsPerBatchMax);
      await sendPiece(context, raw, live, utf8(recordEvents(known.incarnation, from, records, nextOffset)));
      countRead(context, records.length, piece);
      from = nextOffset;
      continue;
    }
    if (stream.closed && context.node.tailKnown) {
      await sendPiece(context, raw, live, utf8(endEvent(known.incarnation, from)));
      return;
    }
    await waitForChange(context, stream, live.signal);
  }
}

function beat(context: HttpContext, raw: ServerResponse): { readonly stop: () => void } {
  const { clock } = context.node;
  let timer: Timer = clock.schedule(context.limits.heartbeatMs, function again() {
    // Behind what the reader has not taken yet, a sign of life is of no use.
    if (raw.writableLength === 0) raw.write(HEARTBEAT);
    timer = clock.schedule(context.limits.heartbeatMs, again);
  });
  return { stop: () => timer.cancel() };
}
