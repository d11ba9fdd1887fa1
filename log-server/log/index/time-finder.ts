/**
 * Finds where in a stream a log time is. Log time follows the log's order, so halving finds it: first the segment, by
 * what the sparse index says of each, then the batch, in that segment's index.
 */
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { BatchIndex, StreamSegment } from "./batch-index.ts";
import type { Damage, DamageList } from "../repair/damage.ts";
import type { IndexReader } from "../segments/sealed-segment.ts";
import type { SegmentList } from "../segments/segment-list.ts";
import type { UnsealedSegment } from "../segments/unsealed-segment.ts";

export type TimeFinderParts = {
  readonly segments: SegmentList;
  readonly batchIndex: BatchIndex;
  readonly indexReader: IndexReader;
  readonly damage: DamageList;
};

/** The segment whose index it is, so that it can be made again; absent: it is the sparse index. */
type Unreadable = Pick<Damage, "segment">;

export class TimeFinder {
  readonly #parts: TimeFinderParts;

  constructor(parts: TimeFinderParts) {
    this.#parts = parts;
  }

  /** See `SegmentedLog.offsetAtTime`. */
  async find(streamId: number, atMs: number, from: number, to: number): Promise<Result<number, Damage>> {
    const { segments, damage } = this.#parts;
    const { removals } = segments;
    // A segment that is sealed meanwhile is in neither place; one that is rewritten, in another.
    for (;;) {
      const { changes } = segments;
      const found = await this.#find(streamId, atMs, from, to);
      if (found.ok) return ok(Math.min(to, Math.max(from, found.value)));
      if (changes !== segments.changes) continue;
      const message = `where stream ${streamId} was at ${atMs} cannot be known`;
      const fault: Damage = { kind: "index", ...found.error, streamId, firstOffset: from, message };
      // What was dropped meanwhile is gone, not damaged.
      return err(removals === segments.removals ? damage.add(fault) : fault);
    }
  }

  /** An error: what would say so cannot be read. */
  async #find(streamId: number, atMs: number, from: number, to: number): Promise<Result<number, Unreadable>> {
    const { batchIndex, segments } = this.#parts;
    const unsealed = segments.unsealed.filter((segment) => segment.index.streams.has(streamId));
    const tailFrom = unsealed[0] && firstOffsetIn(unsealed[0], streamId);
    let low = from;
    let high = Math.min(to, tailFrom ?? to);
    let reached: StreamSegment | undefined;
    while (low < high) {
      const near = batchIndex.before(streamId, low + Math.floor((high - low) / 2));
      if (near === undefined || near.endOffset <= low) return err({});
      if (near.lastLogTime < atMs) {
        low = near.endOffset;
      } else {
        reached = near;
        high = near.firstOffset;
      }
    }
    if (reached !== undefined) return this.#inSealed(reached, atMs);
    for (const segment of unsealed) {
      const found = inUnsealed(segment, streamId, atMs);
      if (found !== undefined) return ok(found);
    }
    return ok(to);
  }

  async #inSealed(near: StreamSegment, atMs: number): Promise<Result<number, Unreadable>> {
    const { segments, indexReader } = this.#parts;
    const unreadable = err({ segment: near.sequence });
    const segment = segments.bySequence(near.sequence);
    if (segment?.kind !== "sealed") return unreadable;
    const at = await indexReader.findRowAt(segment, near.firstRow, near.rowCount, atMs);
    if (at === undefined) return unreadable;
    // Compaction may have left nothing that is as new: what follows is.
    if (at === near.firstRow + near.rowCount) return ok(near.endOffset);
    const row = await indexReader.row(segment, at);
    return row === undefined ? unreadable : ok(row.firstOffset);
  }
}

function inUnsealed(segment: UnsealedSegment, streamId: number, atMs: number): number | undefined {
  const { index } = segment;
  const at = index.findAt(streamId, atMs);
  if (at < 0) return undefined;
  return index.rows.firstOffset[index.streams.get(streamId)?.rows[at] as number];
}

function firstOffsetIn({ index }: UnsealedSegment, streamId: number): number {
  return index.rows.firstOffset[index.streams.get(streamId)?.rows[0] as number] as number;
}
