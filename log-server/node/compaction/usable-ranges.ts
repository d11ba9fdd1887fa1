/**
 * Which of what others gave (`range-exchange.ts`) may take the place of what is lost here. A node compacts when it likes, so what
 * another keeps of a stretch is as good as what was lost, if nobody here can see records go that the log has not taken yet:
 *
 * - The giver may be ahead: it dropped a record for the sake of a later one that was not applied here. So a snapshot here has to
 *   have everything that the giver had applied; the state that is served then has it, whatever crash comes.
 * - It may have dropped tombstones with what they deleted, while that is still here. So either no tombstone of the stretch may
 *   have gone yet, or the stretch has all of the stream that is before, too.
 * - It may be wrong. What neither a trim nor compaction may take has to be there, and as it was appended.
 */
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { StreamsMachine } from "../../streams/machine.ts";
import type { StreamView } from "../../streams/views.ts";
import type { GivenRange } from "../repair/range-exchange.ts";
import type { CompactableLog } from "./compactable-log.ts";

/** `position`: everything to here is in a verified snapshot. */
export function usableRanges(
  given: readonly GivenRange[],
  position: LogIndex,
  machine: Pick<StreamsMachine, "streamById" | "neededFrom">,
  log: Pick<CompactableLog, "streamSegments">,
): readonly GivenRange[] {
  return given.filter((range) => {
    const { streamId, from, incarnation } = range;
    const stream = machine.streamById(streamId);
    if (range.position > position || stream?.incarnation !== incarnation) return false;
    const first = log.streamSegments(streamId)[0]?.firstOffset ?? 0;
    const neededFrom = machine.neededFrom(streamId);
    if (from < stream.tombstonesBefore && from > Math.max(first, neededFrom)) return false;
    return hasAllThatStays(range, stream, neededFrom);
  });
}

function hasAllThatStays({ from, to, batches }: GivenRange, { compactedBefore }: StreamView, needed: number): boolean {
  const mayBeGoneBefore = Math.max(compactedBefore, needed);
  let end = from;
  for (const { firstOffset, span, identity, hash } of batches) {
    const isWhole = identity === hash;
    if (firstOffset > end && firstOffset > mayBeGoneBefore) return false;
    if (firstOffset >= compactedBefore && !isWhole) return false;
    end = firstOffset + span;
  }
  return end === to || to <= mayBeGoneBefore;
}
