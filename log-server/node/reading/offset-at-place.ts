/**
 * Where in a stream a place of the log is: what a reader needs that knows how far it has read the log, and not the stream.
 * Batches of a stream lie in log order, those that a fork inherits before its own, so halving finds it.
 */
import { assert } from "../../../src/lib/assert.ts";
import { ok, type Result } from "../../../src/lib/result.ts";
import { comparePlaces, type LogPlace } from "../../../src/record/log-place.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { StreamView } from "../../streams/views.ts";
import type { MergeSource } from "./merge.ts";
import type { ReadBatch, ReadError } from "./reader.ts";

/** The first retained offset whose batch is not before `place`; the stream's tail if there is none. */
export async function offsetAtPlace(
  node: MergeSource,
  stream: StreamView,
  place: LogPlace,
): Promise<Result<Offset, ReadError>> {
  let low = stream.firstOffset;
  let high = stream.nextOffset;
  // A stream that has been silent since is the usual case, one that is read from its beginning the next.
  let probe = high - 1;
  while (low < high) {
    const found = await batchFrom(node, stream, probe, high);
    if (!found.ok) {
      const firstOffset = found.error.code === "offset-trimmed" ? found.error.firstOffset : 0;
      if (firstOffset <= low) return found;
      low = firstOffset;
    } else if (found.value === undefined) {
      high = probe;
    } else {
      const { firstOffset, span } = found.value;
      if (comparePlaces(found.value, place) < 0) low = firstOffset + span;
      else high = Math.min(high, Math.max(low, Math.min(probe, firstOffset)));
    }
    probe = low + Math.floor((high - low) / 2);
  }
  return ok(high);
}

/** The batch that holds this offset, or the next one where compaction left none; undefined if there is none up to `to`. */
async function batchFrom(
  node: MergeSource,
  stream: StreamView,
  offset: Offset,
  to: Offset,
): Promise<Result<ReadBatch | undefined, ReadError>> {
  const read = await node.read(stream, offset, { maxBytes: 1, to });
  if (!read.ok) return read;
  const [batch] = read.value.batches;
  assert(batch !== undefined || read.value.nextOffset > offset, "I7: what lies before a stream's tail can be read");
  return ok(batch);
}
