/** A piece of a stream, for any form of answer: batches as stored, and what their records are as JSON. */
import { decodeBatch } from "../../../src/record/batch-codec.ts";
import type { Offset } from "../../../src/record/offset.ts";
import { holdsJson, recordText } from "../../../src/record/record-json.ts";
import type { ReadBatch } from "../../node/reading/reader.ts";
import type { StreamView } from "../../streams/views.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { refreshStream, trimmed } from "../stream-routes/find-stream.ts";

export type Piece = {
  readonly from: Offset;
  readonly batches: readonly ReadBatch[];
  readonly nextOffset: Offset;
  /** As it was after the read: what `nextOffset` compares with. */
  readonly stream: StreamView;
};

/** A record in the form that all of JSON, NDJSON and SSE have. */
export type ShownRecord = { readonly offset: Offset; readonly text: string };

/** At least one batch, if there is one; whole batches, until they reach `maxBytes`. */
export async function readPiece(
  context: HttpContext,
  known: StreamView,
  from: Offset,
  maxBytes: number,
): Promise<Piece> {
  if (from >= known.nextOffset) return { from, batches: [], nextOffset: from, stream: refreshStream(context, known) };
  const read = await context.node.read(known, from, { maxBytes });
  if (!read.ok) {
    if (read.error.code === "offset-trimmed") throw trimmed(known, read.error.firstOffset);
    throw new HttpError(read.error.code, read.error.message);
  }
  const { batches, nextOffset } = read.value;
  if (nextOffset <= from) throw new HttpError("damaged", `no record is stored at offset ${from}`);
  return { from, batches, nextOffset, stream: refreshStream(context, known) };
}

/** The same without the batches behind the one that reaches `limit` records. */
export function firstBatches(piece: Piece, limit: number): Piece {
  const last = piece.batches.findIndex(({ firstOffset, span }) => firstOffset + span - piece.from >= limit);
  const batch = piece.batches[last];
  if (batch === undefined || last === piece.batches.length - 1) return piece;
  return { ...piece, batches: piece.batches.slice(0, last + 1), nextOffset: batch.firstOffset + batch.span };
}

/** The records of a piece, no more than `limit`, and where they end. */
export function showRecords(
  context: HttpContext,
  piece: Piece,
  limit: number,
): { readonly records: readonly ShownRecord[]; readonly nextOffset: Offset } {
  const { from, batches, stream } = piece;
  const json = holdsJson(stream.contentType);
  const records: ShownRecord[] = [];
  for (const batch of batches) {
    const decoded = decodeBatch(batch.bytes, {
      ...(context.zstd !== undefined && { zstd: context.zstd }),
      rawBytesMax: context.limits.rawBatchBytesMax,
    });
    if (!decoded.ok) throw new HttpError("damaged", decoded.error.message);
    for (const { offsetDelta, record } of decoded.value.records) {
      const offset = batch.firstOffset + offsetDelta;
      if (offset < from) continue;
      if (records.length >= limit) return { records, nextOffset: offset };
      records.push({ offset, text: recordText(offset, record, batch.logTime, json) });
    }
  }
  return { records, nextOffset: piece.nextOffset };
}

/** Whether nothing lies behind this offset; throws where damage keeps anyone from knowing, and nothing else can be told. */
export function isAtEnd(context: HttpContext, { stream, batches }: Piece, nextOffset: Offset): boolean {
  const atEnd = nextOffset >= stream.nextOffset;
  if (atEnd && !context.node.tailKnown && batches.length === 0) throw context.node.tailUnknown();
  return atEnd && context.node.tailKnown;
}

export function countRead(context: HttpContext, records: number, { batches }: Piece): void {
  let bytes = 0;
  for (const batch of batches) bytes += batch.bytes.length;
  context.observer.read(records, bytes);
}
