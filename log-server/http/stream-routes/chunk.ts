/** A piece of a stream as a body. Whole batches are read from the log, so a piece ends where a batch ends. */
import { visitValues } from "../../../src/record/batch-codec.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { StreamView } from "../../streams/views.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { refreshStream, trimmed } from "./find-stream.ts";
import { StreamBody } from "./stream-body.ts";

export type Chunk = {
  /** Of the stream's content type. */
  readonly body: Uint8Array;
  /** Whether there was nothing to read. */
  readonly empty: boolean;
  readonly nextOffset: Offset;
  /** The stream after the read: what `nextOffset` compares with. */
  readonly stream: StreamView;
  readonly upToDate: boolean;
  /** Up to date, and nothing will ever follow. */
  readonly closed: boolean;
  /** The body's memory may be used for another, once it was sent. Nobody has to call it. */
  readonly release: () => void;
};

const NOTHING: Buffer = Buffer.alloc(0);

/** `ahead`: what `readPiece` has read there before. */
export async function readChunk(
  context: HttpContext,
  known: StreamView,
  from: Offset,
  bytesMax: number,
  ahead?: Piece,
): Promise<Chunk> {
  let piece = ahead;
  let next = from;
  while (next < known.nextOffset) {
    piece ??= await readPiece(context, known, next, bytesMax);
    const { body, bytes, nextOffset } = piece;
    if (body.count > 0) {
      context.observer.read(body.count, bytes);
      return chunkAt(context, known, nextOffset, body);
    }
    // Compaction has left nothing there: on to what follows.
    body.release();
    next = nextOffset;
    piece = undefined;
  }
  return chunkAt(context, known, next, new StreamBody(known.contentType, 0, context.bodies));
}

/** Whole batches from an offset on, as far as one answer goes: `bytes` of values in it. */
export type Piece = { readonly body: StreamBody; readonly bytes: number; readonly nextOffset: Offset };

/** Throws `HttpError`. There is a record at `from`, or was before compaction. */
export async function readPiece(
  context: HttpContext,
  known: StreamView,
  from: Offset,
  bytesMax: number,
): Promise<Piece> {
  const read = await context.node.read(known, from, { maxBytes: bytesMax });
  if (!read.ok) {
    if (read.error.code === "offset-trimmed") throw trimmed(known, read.error.firstOffset);
    throw new HttpError(read.error.code, read.error.message);
  }
  let stored = 0;
  for (const batch of read.value.batches) stored += batch.bytes.length;
  const body = new StreamBody(known.contentType, stored, context.bodies);
  let bytes = 0;
  for (const batch of read.value.batches) {
    // The same one for all records of a batch.
    let source = NOTHING;
    const options = {
      ...(context.zstd !== undefined && { zstd: context.zstd }),
      rawBytesMax: context.limits.rawBatchBytesMax,
    };
    const visited = visitValues(batch.bytes, options, (offsetDelta, records, start, end) => {
      if (batch.firstOffset + offsetDelta < from) return;
      if (start < 0) {
        body.addTombstone();
        return;
      }
      if (source === NOTHING) source = Buffer.from(records.buffer, records.byteOffset, records.byteLength);
      body.add(source, start, end);
      bytes += end - start;
    });
    if (!visited.ok) throw new HttpError("damaged", visited.error.message);
  }
  if (read.value.nextOffset <= from) throw new HttpError("damaged", `no record is stored at offset ${from}`);
  return { body, bytes, nextOffset: read.value.nextOffset };
}

function chunkAt(context: HttpContext, known: StreamView, nextOffset: Offset, body: StreamBody): Chunk {
  const stream = refreshStream(context, known);
  const atEnd = nextOffset >= stream.nextOffset;
  const upToDate = atEnd && context.node.tailKnown;
  const empty = body.count === 0;
  if (atEnd && !upToDate && empty) throw context.node.tailUnknown();
  const release = (): void => body.release();
  return { body: body.finish(), empty, nextOffset, stream, upToDate, closed: upToDate && stream.closed, release };
}
