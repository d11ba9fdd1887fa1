/** Forks: where the records they share lie, and which of a stream's records somebody still needs. */
import type { Offset } from "../../src/record/offset.ts";
import type { Stream } from "./stream.ts";
import type { ReadRange } from "./views.ts";

/** `[from, to)` of a stream as ranges of the streams the records were appended to, in order. */
export function readRanges(stream: Stream, from: Offset, to: Offset): ReadRange[] {
  const ranges: ReadRange[] = [];
  collect(stream, Math.max(from, stream.firstOffset), Math.min(to, stream.nextOffset), ranges);
  return ranges;
}

/**
 * Whether a fork that inherits the stream's records before `end` would leave it where it is compacted: a record there may
 * be gone for the sake of a newer one that the fork would not get.
 */
export function cutsCompacted(stream: Stream, end: Offset): boolean {
  let holder = stream;
  while (holder.origin !== undefined && end <= holder.ownFrom) holder = holder.origin.source;
  return end < holder.compactedBefore;
}

/** At most `forkDepthMax` deep. */
function collect(stream: Stream, from: Offset, to: Offset, ranges: ReadRange[]): void {
  if (from >= to) return;
  const { origin, ownFrom } = stream;
  if (origin !== undefined && from < ownFrom) {
    collect(origin.source, from, Math.min(to, origin.offset), ranges);
    // The record that was cut, if the range reaches it.
    if (from <= origin.offset && to > origin.offset && ownFrom > origin.offset) {
      ranges.push(partOf(origin.source, origin.offset, origin.partialBytes));
    }
  }
  const ownStart = Math.max(from, ownFrom);
  if (ownStart < to) ranges.push({ streamId: stream.id, from: ownStart, to });
}

/** The leading bytes of one record, which may itself be inherited, whole or cut. */
function partOf(stream: Stream, offset: Offset, bytes: number): ReadRange {
  let holder = stream;
  let partialBytes = bytes;
  while (holder.origin !== undefined && offset < holder.ownFrom) {
    if (offset === holder.origin.offset) partialBytes = Math.min(partialBytes, holder.origin.partialBytes);
    holder = holder.origin.source;
  }
  return { streamId: holder.id, from: offset, to: offset + 1, partialBytes };
}

/**
 * The first record of each stream that somebody may still read: its own readers from its frontier on, its forks' from
 * theirs. Infinite if there is none.
 */
export class NeededRecords {
  readonly #from = new Map<Stream, Offset>();

  from(stream: Stream): Offset {
    const known = this.#from.get(stream);
    if (known !== undefined) return known;
    let from = stream.deleted ? Number.POSITIVE_INFINITY : stream.firstOffset;
    for (const fork of stream.forks ?? []) {
      const forkFrom = this.from(fork);
      if (forkFrom < fork.ownFrom) from = Math.min(from, forkFrom);
    }
    this.#from.set(stream, from);
    return from;
  }
}
