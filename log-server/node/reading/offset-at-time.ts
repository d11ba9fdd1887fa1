/** Where in a stream a time begins, across the streams it was forked from: of these the log knows each by itself. */
import { ok, type Result } from "../../../src/lib/result.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { Damage } from "../../log/repair/damage.ts";
import type { SegmentedLog } from "../../log/segmented-log.ts";
import type { StreamsMachine } from "../../streams/machine.ts";
import type { StreamView } from "../../streams/views.ts";

/** The first retained offset that was appended at `atMs` of log time or later; the stream's tail if there is none. */
export async function offsetAtTime(
  log: Pick<SegmentedLog, "offsetAtTime">,
  machine: StreamsMachine,
  { id, firstOffset, nextOffset }: StreamView,
  atMs: number,
): Promise<Result<Offset, Damage>> {
  // Log time follows the log's order (W52), and so do the ranges: what a fork inherits is older than its own.
  for (const { streamId, from, to } of machine.readRanges(id, firstOffset, nextOffset)) {
    const found = await log.offsetAtTime(streamId, atMs, from, to);
    if (!found.ok) return found;
    if (found.value < to) return ok(found.value);
  }
  return ok(nextOffset);
}
