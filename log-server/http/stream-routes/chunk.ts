/**
 * A piece of a stream as a body: values behind one another, or in JSON mode an array of them. Whole batches are read
 * from the log, so a piece ends where a batch ends.
 */
import { assert } from "../../../src/lib/assert.ts";
import { decodeBatch } from "../../../src/record/batch-codec.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { StreamView } from "../../streams/views.ts";
import { isJson } from "../content-type.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { refreshStream, tailUnknown, trimmed } from "./find-stream.ts";

export type Chunk = {
  /** Empty where nothing is there to read. */
  readonly values: readonly Uint8Array[];
  readonly nextOffset: Offset;
  /** The stream after the read: what `nextOffset` compares with. */
  readonly stream: StreamView;
  readonly upToDate: boolean;
  /** Up to date, and nothing will ever follow. */
  readonly closed: boolean;
};

const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
/** A tombstone, to readers of JSON. */
const NULL: Uint8Array = Buffer.from("null");
const NOTHING: Uint8Array = new Uint8Array(0);

export async function readChunk(
  context: HttpContext,
  known: StreamView,
  from: Offset,
  bytesMax: number,
): Promise<Chunk> {
  let next = from;
  while (next < known.nextOffset) {
    const piece = await readPiece(context, known, next, bytesMax);
    if (piece.values.length > 0) return chunkAt(context, known, piece.nextOffset, piece.values);
    // Compaction has left nothing there: on to what follows.
    next = piece.nextOffset;
  }
  return chunkAt(context, known, next, []);
}

type Piece = { readonly values: readonly Uint8Array[]; readonly nextOffset: Offset };

async function readPiece(context: HttpContext, known: StreamView, from: Offset, bytesMax: number): Promise<Piece> {
  const read = await context.node.read(known, from, { maxBytes: bytesMax });
  if (!read.ok) {
    if (read.error.code === "offset-trimmed") throw trimmed(known, read.error.firstOffset);
    throw new HttpError(read.error.code, read.error.message);
  }
  const values: Uint8Array[] = [];
  const tombstone = isJson(known.contentType) ? NULL : NOTHING;
  let bytes = 0;
  for (const batch of read.value.batches) {
    const decoded = decodeBatch(batch.bytes, {
      ...(context.zstd !== undefined && { zstd: context.zstd }),
      rawBytesMax: context.limits.rawBatchBytesMax,
    });
    if (!decoded.ok) throw new HttpError("damaged", decoded.error.message);
    for (const { offsetDelta, record } of decoded.value.records) {
      if (batch.firstOffset + offsetDelta < from) continue;
      const value = record.value ?? tombstone;
      bytes += value.length;
      values.push(value);
    }
  }
  if (read.value.nextOffset <= from) throw new HttpError("damaged", `no record is stored at offset ${from}`);
  context.observer.read(values.length, bytes);
  return { values, nextOffset: read.value.nextOffset };
}

/** The values as a body of the stream's content type. */
export function bodyOfValues(values: readonly Uint8Array[], contentType: string): Uint8Array {
  return isJson(contentType) ? jsonArray(values) : concatenation(values);
}

function chunkAt(context: HttpContext, known: StreamView, nextOffset: Offset, values: readonly Uint8Array[]): Chunk {
  const stream = refreshStream(context, known);
  const atEnd = nextOffset >= stream.nextOffset;
  const upToDate = atEnd && context.node.tailKnown;
  if (atEnd && !upToDate && values.length === 0) throw tailUnknown();
  return { values, nextOffset, stream, upToDate, closed: upToDate && stream.closed };
}

function concatenation(values: readonly Uint8Array[]): Uint8Array {
  if (values.length === 1) return values[0] as Uint8Array;
  let length = 0;
  for (const value of values) length += value.length;
  const whole = Buffer.allocUnsafe(length);
  let place = 0;
  for (const value of values) {
    whole.set(value, place);
    place += value.length;
  }
  return whole;
}

function jsonArray(values: readonly Uint8Array[]): Uint8Array {
  let length = 2 + Math.max(0, values.length - 1);
  for (const value of values) length += value.length;
  const whole = Buffer.allocUnsafe(length);
  whole[0] = OPEN_BRACKET;
  let place = 1;
  for (const value of values) {
    if (place > 1) {
      whole[place] = COMMA;
      place += 1;
    }
    whole.set(value, place);
    place += value.length;
  }
  whole[place] = CLOSE_BRACKET;
  assert(place === length - 1, "an array is as long as its parts");
  return whole;
}
