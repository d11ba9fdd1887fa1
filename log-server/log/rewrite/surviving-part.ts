/**
 * What is left of one batch. That follows from the batch as it was appended and from the frontiers alone, not from how
 * often it was looked at before: the same on every node, byte for byte.
 */
import type { Zstd } from "../../../src/ports/zstd.ts";
import { decodeBatch, encodeSparseBatch } from "../../../src/record/batch-codec.ts";
import type { Survivors } from "./survivors.ts";

export type BatchInQuestion = {
  readonly streamId: number;
  readonly firstOffset: number;
  readonly span: number;
  readonly bytes: Uint8Array;
  /** When it was appended. */
  readonly wasCompressed: boolean;
};

export type CodecParts = { readonly zstd: Zstd | undefined; readonly rawBatchBytesMax: number };

/** Whether anything of a stream's batch with this range may be left. */
export function mayBeLeft(survivors: Survivors, streamId: number, endOffset: number): boolean {
  return endOffset > survivors.liveFrom(streamId);
}

/**
 * The batch itself where no record goes, a sparse one of those that stay, or undefined if none does. One that only a
 * trim cuts is left whole: what is before the frontier is not served, and the batch keeps its hash. One that cannot be
 * decoded is left whole, too.
 */
export function survivingPart(batch: BatchInQuestion, survivors: Survivors, parts: CodecParts): Uint8Array | undefined {
  const { streamId, firstOffset, span, bytes, wasCompressed } = batch;
  const compactedBefore = survivors.compactedBefore(streamId);
  if (firstOffset >= compactedBefore) return bytes;
  const { zstd, rawBatchBytesMax } = parts;
  const decoded = decodeBatch(bytes, { ...(zstd && { zstd }), rawBytesMax: rawBatchBytesMax });
  if (!decoded.ok) return bytes;
  const liveFrom = survivors.liveFrom(streamId);
  const { records } = decoded.value;
  const kept = records.filter(({ offsetDelta, record }) => {
    const offset = firstOffset + offsetDelta;
    return offset >= liveFrom && (offset >= compactedBefore || survivors.survives(streamId, offset, record));
  });
  if (kept.length === records.length) return bytes;
  if (kept.length === 0) return undefined;
  // Whoever appended it compressed reads it compressed.
  return encodeSparseBatch(kept, span, wasCompressed && zstd !== undefined ? { zstd } : {});
}
