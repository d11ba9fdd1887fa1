/**
 * Which stretches of streams a sealed segment has lost: those of its batches that cannot be read. Where its index cannot be read
 * either, all that it covered; that the sparse index still says.
 */
import type { BatchIndex, StreamSegment } from "../index/batch-index.ts";
import { NO_STREAM } from "../index/index-block.ts";
import type { SealedSegment } from "../segments/sealed-segment.ts";
import { damagedRows } from "./rewritten-check.ts";
import type { CheckParts } from "./segment-check.ts";
import type { StreamRange } from "./stream-range.ts";

export type LostRanges = {
  readonly ranges: readonly StreamRange[];
  /** Not even its index can be read: nothing of it is used. */
  readonly unreadable: boolean;
};

/** Undefined: what it covered is not known either. */
export async function lostRanges(
  parts: CheckParts & { readonly batchIndex: BatchIndex },
  segment: SealedSegment,
): Promise<LostRanges | undefined> {
  const streams = await parts.indexReader.streams(segment);
  const damaged = streams && (await damagedRows(parts, segment));
  if (damaged !== undefined) {
    const ranges = damaged
      .filter(({ streamId }) => streamId !== NO_STREAM)
      .map(({ streamId, firstOffset, span }) => ({ streamId, from: firstOffset, to: firstOffset + span }));
    return { ranges, unreadable: false };
  }
  const covered = coveredBy(parts.batchIndex, segment);
  const ranges = covered?.map(({ streamId, part }) => ({ streamId, from: part.firstOffset, to: part.endOffset }));
  return ranges && { ranges, unreadable: true };
}

/** What the sparse index says of a segment's streams; undefined where it does not know of all of them. */
export function coveredBy(
  batchIndex: BatchIndex,
  { sequence, facts, isRewritten }: SealedSegment,
): readonly { readonly streamId: number; readonly part: StreamSegment }[] | undefined {
  const covered = batchIndex.streamsIn(sequence);
  const bytes = covered.reduce((sum, { part }) => sum + part.bytes, 0);
  // Batches that were not accepted are of no stream that it would say anything of.
  const ofNoStream = facts.streamCount - covered.length;
  const isAll = ofNoStream === 0 || (ofNoStream === 1 && !isRewritten);
  return isAll && bytes === facts.dataBytes ? covered : undefined;
}
