/**
 * Reads what a section needs: first what is dirty, for the newest offset of each key, as far as memory goes; then what
 * is clean, for what of it is superseded now. On the way it counts, segment by segment, what a rewrite would leave out,
 * so that no segment is rewritten for nothing.
 */
import { firstNotBefore } from "../../../src/lib/sorted.ts";
import type { Zstd } from "../../../src/ports/zstd.ts";
import { decodeBatch } from "../../../src/record/batch-codec.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { StreamRecord } from "../../../src/record/record.ts";
import type { CompactableLog } from "./compactable-log.ts";
import type { SegmentPart } from "./frontier.ts";
import { OffsetMap } from "./offset-map.ts";
import { type Section, survivesIn } from "./section.ts";

export type ScanParts = {
  readonly log: Pick<CompactableLog, "read">;
  readonly zstd: Zstd | undefined;
  readonly rawBatchBytesMax: number;
  readonly readBytes: number;
  /** Lets others work between two reads. */
  readonly turn: () => Promise<void>;
  readonly stopped: () => boolean;
};

export type ScanRequest = {
  readonly streamId: number;
  /** Its first own record that is retained. */
  readonly from: Offset;
  readonly cleanBefore: Offset;
  /** The stream's frontiers. */
  readonly before: Offset;
  readonly tombstonesBefore: Offset;
  readonly segments: readonly SegmentPart[];
  readonly mapBytesMax: number;
};

export type Scan = {
  readonly section: Section;
  /** Of the stream, by the sequence of the segment: bytes that a rewrite leaves out, roughly. Only those with some. */
  readonly deadBytes: ReadonlyMap<number, number>;
  /** Why the section ends before the frontier. */
  readonly cut: "memory" | "damaged" | undefined;
};

/** Undefined where it was stopped. */
export async function scanSection(parts: ScanParts, request: ScanRequest): Promise<Scan | undefined> {
  const { streamId, from, cleanBefore, segments } = request;
  const newest = new OffsetMap(request.mapBytesMax);
  const counts = new SegmentCounts(segments);
  const dirtyFrom = Math.max(from, cleanBefore);
  const dirty = await walk(parts, streamId, dirtyFrom, request.before, (offset, record) => {
    if (newest.full) return false;
    counts.count(offset);
    if (record.key === undefined) return true;
    const superseded = newest.put(record.key, offset);
    if (superseded !== undefined) counts.dead(superseded);
    return true;
  });
  const before = dirty.end;
  const { tombstonesBefore } = request;
  const section: Section = { streamId, cleanBefore: dirtyFrom, before, tombstonesBefore, newest };
  // Tombstones among what is dirty are met once more where some may be old enough; else the map has told of all.
  const again = Math.max(dirtyFrom, Math.min(before, tombstonesBefore));
  const clean = await walk(parts, streamId, from, again, (offset, record) => {
    if (offset < dirtyFrom) counts.count(offset);
    const isOldTombstone = record.value === null && offset < tombstonesBefore;
    if ((offset < dirtyFrom || isOldTombstone) && !survivesIn(section, offset, record)) counts.dead(offset);
    return true;
  });
  if (parts.stopped()) return undefined;
  // What the index leaves out is booked to no segment, or to another: the right one would not be rewritten (I6).
  const damaged = dirty.damaged || clean.damaged || !isCovered(segments, from, request.before);
  const memory = before < request.before ? "memory" : undefined;
  return { section, deadBytes: counts.deadBytes(), cut: damaged ? "damaged" : memory };
}

type Walked = { readonly end: Offset; readonly damaged: boolean };

/** Shows the records of `[from, to)` until one is not taken; `end` is where the walk ended, `to` if it got there. */
async function walk(
  parts: ScanParts,
  streamId: number,
  from: Offset,
  to: Offset,
  take: (offset: Offset, record: StreamRecord) => boolean,
): Promise<Walked> {
  for (let next = from; next < to && !parts.stopped();) {
    const read = await parts.log.read(streamId, next, to, parts.readBytes);
    if (!read.ok) return { end: next, damaged: true };
    if (read.value.length === 0) break;
    for (const { firstOffset, span, bytes } of read.value) {
      const decoded = decodeBatch(bytes, {
        ...(parts.zstd && { zstd: parts.zstd }),
        rawBytesMax: parts.rawBatchBytesMax,
      });
      if (!decoded.ok) return { end: Math.max(next, firstOffset), damaged: true };
      for (const { offsetDelta, record } of decoded.value.records) {
        const offset = firstOffset + offsetDelta;
        if (offset >= next && offset < to && !take(offset, record)) return { end: offset, damaged: false };
      }
      next = firstOffset + span;
    }
    await parts.turn();
  }
  return { end: to, damaged: false };
}

/** Whether the parts leave nothing of the range out. */
function isCovered(parts: readonly SegmentPart[], from: Offset, to: Offset): boolean {
  let covered = from;
  for (const { firstOffset, endOffset } of parts) {
    if (firstOffset > covered) break;
    covered = Math.max(covered, endOffset);
  }
  return covered >= to;
}

/** How many of a stream's records each segment has, and how many of these are to go. */
class SegmentCounts {
  readonly #segments: readonly SegmentPart[];
  readonly #records: number[];
  readonly #dead: number[];

  constructor(segments: readonly SegmentPart[]) {
    this.#segments = segments;
    this.#records = segments.map(() => 0);
    this.#dead = segments.map(() => 0);
  }

  count(offset: Offset): void {
    const at = this.#find(offset);
    this.#records[at] = (this.#records[at] ?? 0) + 1;
  }

  dead(offset: Offset): void {
    const at = this.#find(offset);
    this.#dead[at] = (this.#dead[at] ?? 0) + 1;
  }

  deadBytes(): ReadonlyMap<number, number> {
    const bytes = new Map<number, number>();
    this.#segments.forEach((segment, at) => {
      const dead = this.#dead[at] as number;
      if (dead === 0 || segment.sequence === undefined) return;
      const share = Math.min(1, dead / Math.max(1, this.#records[at] as number));
      bytes.set(segment.sequence, segment.bytes * share);
    });
    return bytes;
  }

  /** The last that begins at or before the offset. */
  #find(offset: Offset): number {
    return firstNotBefore(this.#segments, ({ firstOffset }) => firstOffset <= offset) - 1;
  }
}
