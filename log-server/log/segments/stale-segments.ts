/**
 * Which segments are no more, though their files are there: put back from an older copy of the disk, or left where the store that
 * would have told of their drop is lost. A stretch of a stream is in one segment only. Where a rewrite that is younger covers one, too,
 * and does not name the segment as its source, it has what was left of that; if it does name it, the rewrite is finished instead.
 */
import { NO_STREAM, type StreamRecord } from "../index/index-block.ts";
import type { IndexReader, SealedSegment } from "./sealed-segment.ts";

/** Of `unknown`, of which the sparse index does not know. `there`: all segments whose data is there. */
export async function staleSegments(
  indexReader: IndexReader,
  unknown: readonly SealedSegment[],
  there: readonly SealedSegment[],
): Promise<readonly number[]> {
  const stale: number[] = [];
  for (const segment of unknown) {
    for (const later of there.filter((one) => mayReplace(one, segment))) {
      if (!(await coversAnyOf(indexReader, later, (await indexReader.streams(segment)) ?? []))) continue;
      stale.push(segment.sequence);
      break;
    }
  }
  return stale;
}

/** It is a rewrite, younger, and of those entries among others. */
function mayReplace(later: SealedSegment, { sequence, firstIndex, lastIndex }: SealedSegment): boolean {
  const isYounger = later.isRewritten && later.sequence > sequence && !later.sources.includes(sequence);
  return isYounger && later.firstIndex <= firstIndex && lastIndex <= later.lastIndex;
}

async function coversAnyOf(
  indexReader: IndexReader,
  later: SealedSegment,
  streams: readonly StreamRecord[],
): Promise<boolean> {
  for (const { streamId, firstOffset, endOffset } of streams) {
    const covered = streamId === NO_STREAM ? "absent" : await indexReader.stream(later, streamId);
    if (covered === undefined || covered === "absent") continue;
    if (covered.firstOffset < endOffset && firstOffset < covered.endOffset) return true;
  }
  return false;
}
