/** `GET /v1/records/…`: a piece of a stream as JSON, NDJSON or batches; as server-sent events it goes on (`events.ts`). */
import type { FastifyReply } from "fastify";
import { concat, utf8 } from "../../../src/lib/bytes.ts";
import { formatOffset, type Offset } from "../../../src/record/offset.ts";
import type { StreamName } from "../../../src/wire/command.ts";
import type { StreamView } from "../../streams/views.ts";
import { atAskedLevel } from "../consistency.ts";
import type { HttpContext } from "../context.ts";
import type { FlatHeaders } from "../http-error.ts";
import { placeTag } from "../places.ts";
import { findStreamToRead, refreshStream } from "../stream-routes/find-stream.ts";
import { waitForChange } from "../stream-routes/live-wait.ts";
import { positionHeaders } from "../stream-routes/read-answer.ts";
import { type AnswerForm, BATCH_TYPE, NDJSON_TYPE } from "./media.ts";
import { countRead, firstBatches, isAtEnd, type Piece, readPiece, showRecords } from "./piece.ts";
import { type AskedStart, startOf } from "./read-start.ts";

export type RecordsQuery = AskedStart & {
  readonly limit?: number;
  readonly maxBytes?: number;
  readonly wait?: number;
};

const BATCH_PREFIX_BYTES = 16;
const LOG_TIME_PLACE = 8;

export async function answerRecords(
  context: HttpContext,
  reply: FastifyReply,
  name: StreamName,
  query: RecordsQuery,
  form: Exclude<AnswerForm, "events">,
): Promise<void> {
  const { limits } = context;
  const { from, stream: found } = await begin(context, reply, name, (stream) => startOf(context, stream, query), query);
  const stream = await waitAtTail(context, reply, found, from, Math.min(query.wait ?? 0, limits.frameWaitMsMax));
  if (reply.raw.destroyed) {
    reply.hijack();
    return;
  }
  const maxBytes = Math.min(Math.max(1, query.maxBytes ?? limits.readBytesMax), limits.frameReadBytesMax);
  const limit = Math.min(query.limit ?? limits.recordsPerBatchMax, limits.recordsPerBatchMax);
  const piece = await readPiece(context, stream, from, maxBytes);
  if (form === "batch") {
    const whole = firstBatches(piece, limit);
    countRead(context, whole.nextOffset - from, whole);
    send(context, reply, whole, whole.nextOffset, BATCH_TYPE, () => batchesBody(whole));
    return;
  }
  const { records, nextOffset } = showRecords(context, piece, limit);
  countRead(context, records.length, piece);
  if (form === "ndjson") {
    send(context, reply, piece, nextOffset, NDJSON_TYPE, () => utf8(records.map(({ text }) => `${text}\n`).join("")));
    return;
  }
  send(context, reply, piece, nextOffset, "application/json", (upToDate) => {
    const { incarnation, contentType, firstOffset, closed } = piece.stream;
    const token = formatOffset(incarnation, nextOffset);
    const facts = { next: nextOffset, token, first: firstOffset, upToDate, closed, contentType };
    const texts = records.map(({ text }) => text).join(",");
    return utf8(`{"records":[${texts}],${JSON.stringify(facts).slice(1)}`);
  });
}

/** The stream, and where in it the answer begins. */
export async function begin(
  context: HttpContext,
  reply: FastifyReply,
  name: StreamName,
  start: (stream: StreamView) => Promise<Offset>,
  { offset, time }: AskedStart,
): Promise<{ readonly stream: StreamView; readonly from: Offset }> {
  const edge = offset === "now" || time !== undefined;
  return atAskedLevel(context, reply.request.raw.headers, async (level) => {
    const stream = await findStreamToRead(context, name, undefined, level, edge);
    context.node.touch(name);
    return { stream, from: await start(stream) };
  });
}

/** At the tail of an open stream, until something comes or the time is over. */
async function waitAtTail(
  context: HttpContext,
  reply: FastifyReply,
  known: StreamView,
  from: number,
  waitMs: number,
): Promise<StreamView> {
  let stream = refreshStream(context, known);
  if (waitMs === 0 || from < stream.nextOffset || stream.closed || !context.node.tailKnown) return stream;
  const live = context.live.open(reply.raw, waitMs);
  try {
    while (from >= stream.nextOffset && !stream.closed && !live.signal.aborted) {
      await waitForChange(context, stream, live.signal);
      stream = refreshStream(context, stream);
    }
    return stream;
  } finally {
    live.finish();
  }
}

/** `nextOffset` is where the answer ends: its entity tag, so that an append may ask that nothing came after. */
function send(
  context: HttpContext,
  reply: FastifyReply,
  piece: Piece,
  nextOffset: number,
  contentType: string,
  body: (upToDate: boolean) => Uint8Array,
): void {
  const { stream } = piece;
  const upToDate = isAtEnd(context, piece, nextOffset);
  const headers: FlatHeaders = positionHeaders(stream, nextOffset, upToDate, upToDate && stream.closed);
  headers.push("Stream-First-Offset", formatOffset(stream.incarnation, stream.firstOffset));
  headers.push("ETag", placeTag(stream, nextOffset), "Content-Type", contentType, "Cache-Control", "no-store");
  headers.push("Vary", "Accept");
  context.answers.bytes(reply, 200, headers, body(upToDate));
}

/** Before each batch, as u64: its first offset and its log time (W126). The first may begin before the offset asked for. */
function batchesBody({ batches }: Piece): Uint8Array {
  return concat(
    batches.flatMap(({ firstOffset, logTime, bytes }) => {
      const prefix = new DataView(new ArrayBuffer(BATCH_PREFIX_BYTES));
      prefix.setBigUint64(0, BigInt(firstOffset), true);
      prefix.setBigUint64(LOG_TIME_PLACE, BigInt(logTime), true);
      return [new Uint8Array(prefix.buffer), bytes];
    }),
  );
}
