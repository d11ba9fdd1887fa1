/**
 * Chooses which sealed segments are rewritten together: runs of neighbours, each becoming one, oldest first. A segment
 * is rewritten where that gives much of it back; small ones are merged with their neighbours, so that they do not pile
 * up. A run is bounded, and with it the room that its copy takes.
 */
import type { NodeLimits } from "../limits.ts";

export type SegmentState = {
  readonly sequence: number;
  readonly fileBytes: number;
  /** What is to stay, roughly; the file's bytes where that is not known. */
  readonly liveBytes: number;
  /** Something in it is to go for the sake of compaction, or is damaged for good: it is rewritten, whatever that gives back. */
  readonly due: boolean;
};

export type RunLimits = Pick<
  NodeLimits,
  "rewriteRunBytesMax" | "rewriteRunSegmentsMax" | "rewriteGainShareMin" | "rewriteGainBytesMin" | "mergeSegmentsMin"
>;

/** A segment this much smaller than a run may be is small. */
const SMALL_SHARE = 1 / 8;

/** `segments` are all that may be rewritten, in order; the sequences of each run. */
export function chooseRuns(segments: readonly SegmentState[], limits: RunLimits): number[][] {
  const runs: number[][] = [];
  let run: SegmentState[] = [];
  let bytes = 0;
  const finish = (): void => {
    // Small ones go with a neighbour that is wanted; without one, only if they are many.
    if (run.some((segment) => isWanted(segment, limits)) || run.length >= limits.mergeSegmentsMin) {
      runs.push(run.map(({ sequence }) => sequence));
    }
    run = [];
    bytes = 0;
  };
  for (const segment of segments) {
    const fits = bytes + segment.liveBytes <= limits.rewriteRunBytesMax && run.length < limits.rewriteRunSegmentsMax;
    if (run.length > 0 && !fits) finish();
    if (isWanted(segment, limits) || isSmall(segment, limits)) {
      run.push(segment);
      bytes += segment.liveBytes;
    } else {
      finish();
    }
  }
  finish();
  return runs;
}

function isWanted({ fileBytes, liveBytes, due }: SegmentState, limits: RunLimits): boolean {
  const gain = fileBytes - liveBytes;
  return due || (gain >= limits.rewriteGainBytesMin && gain >= fileBytes * limits.rewriteGainShareMin);
}

function isSmall({ fileBytes }: SegmentState, limits: RunLimits): boolean {
  return fileBytes <= limits.rewriteRunBytesMax * SMALL_SHARE;
}
