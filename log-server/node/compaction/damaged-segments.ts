/**
 * Which segments are rewritten for the damage in them, whatever that gives back. What nobody can give back as it was, the
 * others may have let go because nobody needs it: so it goes here, too. A rewrite keeps batches and no entries, so what is
 * lost of entries below a snapshot goes with them; a batch that is still needed is carried over, damaged as it is (I13).
 */
import type { Damage } from "../../log/repair/damage.ts";
import type { SealedSegmentSummary } from "../../log/segments/segment-summaries.ts";
import type { StreamsMachine } from "../../streams/machine.ts";

/** `damage` is what nobody gives back; of `segments`, those that a rewrite may rid of some of it. */
export function damagedSegments(
  damage: readonly Damage[],
  segments: readonly SealedSegmentSummary[],
  machine: Pick<StreamsMachine, "neededFrom">,
): SealedSegmentSummary[] {
  const bySegment = Map.groupBy(damage, ({ segment }) => segment);
  return segments.filter(({ sequence, rewritten }) => {
    const found = bySegment.get(sequence);
    // Without its index it is not known what is in there.
    if (found === undefined || found.some(({ kind }) => kind === "index")) return false;
    // Of a segment that was rewritten before, all that was needed then is left.
    return !rewritten || found.some((one) => isNeededByNobody(one, machine));
  });
}

function isNeededByNobody({ streamId, endOffset }: Damage, machine: Pick<StreamsMachine, "neededFrom">): boolean {
  return streamId !== undefined && endOffset !== undefined && endOffset <= machine.neededFrom(streamId);
}
