/**
 * Decides how far a stream is to be compacted next, from what the index knows of its segments alone. A frontier lies
 * where a sealed segment ends: only sealed ones can be rewritten, and what was appended last stays as it was. It moves
 * once what is new is worth rewriting the rest for; a stream too slow for that does not wait for ever.
 */
import type { Offset } from "../../../src/record/offset.ts";
import type { NodeLimits } from "../limits.ts";

/** A stream's data in one segment. */
export type SegmentPart = {
  /** Undefined: not sealed yet. */
  readonly sequence: number | undefined;
  readonly firstOffset: Offset;
  readonly endOffset: Offset;
  readonly bytes: number;
  readonly lastLogTime: number;
};

export type FrontierDecision = {
  /** Where the frontier is to be; undefined: where it is. */
  readonly before: Offset | undefined;
  /** Enough lies in segments that are not sealed. */
  readonly roll: boolean;
  /** Behind the frontier as it is. */
  readonly dirtyBytes: number;
};

export type FrontierLimits = Pick<
  NodeLimits,
  "compactionDirtyBytesMin" | "compactionDirtyShareMin" | "compactionDelayMsMax"
>;

/** `parts` are in order; `cleanBefore` is the frontier. */
export function decideFrontier(
  parts: readonly SegmentPart[],
  cleanBefore: Offset,
  logTime: number,
  limits: FrontierLimits,
): FrontierDecision {
  let cleanBytes = 0;
  let sealedDirty = 0;
  let openDirty = 0;
  let sealedWaited = false;
  let openWaited = false;
  let before = cleanBefore;
  for (const part of parts) {
    const dirty = bytesFrom(part, cleanBefore);
    cleanBytes += part.bytes - dirty;
    if (dirty === 0) continue;
    const waited = part.lastLogTime <= logTime - limits.compactionDelayMsMax;
    if (part.sequence === undefined) {
      openDirty += dirty;
      openWaited ||= waited;
    } else {
      sealedDirty += dirty;
      sealedWaited ||= waited;
      before = Math.max(before, part.endOffset);
    }
  }
  const isWorth = (dirty: number, waited: boolean): boolean =>
    dirty > 0 &&
    dirty >= (cleanBytes + dirty) * limits.compactionDirtyShareMin &&
    (waited || dirty >= limits.compactionDirtyBytesMin);
  return {
    before: isWorth(sealedDirty, sealedWaited) ? before : undefined,
    roll: isWorth(openDirty, openWaited),
    dirtyBytes: sealedDirty + openDirty,
  };
}

/** As if its records were all of one size. */
export function bytesFrom(part: Pick<SegmentPart, "firstOffset" | "endOffset" | "bytes">, offset: Offset): number {
  if (offset <= part.firstOffset) return part.bytes;
  if (offset >= part.endOffset) return 0;
  return (part.bytes * (part.endOffset - offset)) / (part.endOffset - part.firstOffset);
}
