/** How many records an app has yet to read: what its inputs have, behind what a replica of it has read. */
import type { Offset } from "../../../src/record/offset.ts";
import type { InputEnds } from "../../apps/input-ends.ts";

/** Of one that has read up to these offsets. Inputs that do not exist have nothing to read. */
export function lagOf(
  inputs: readonly string[],
  nextOffsets: Readonly<Record<string, Offset>>,
  ends: InputEnds,
): number {
  return inputs.reduce((sum, stream) => {
    const end = ends.get(stream);
    if (end === undefined) return sum;
    const next = Math.max(nextOffsets[stream] ?? 0, end.firstOffset);
    return sum + Math.max(0, end.nextOffset - next);
  }, 0);
}
