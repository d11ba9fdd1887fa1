/** A log that is an array, for compaction: segments of whole batches, rewritten as the contract says. */
import type { CompactableLog } from "../../log-server/node/compaction/compactable-log.ts";
import type { StoredBatch } from "../../log-server/log/index/batch-reader.ts";
import type { Damage } from "../../log-server/log/repair/damage.ts";
import type { RewriteReport } from "../../log-server/log/rewrite/rewriter.ts";
import type { StreamSegmentSummary, SealedSegmentSummary } from "../../log-server/log/segments/segment-summaries.ts";
import type { Survivors } from "../../log-server/log/rewrite/survivors.ts";
import type { BatchPlacement } from "../../log-server/streams/views.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import { decodeBatch, encodeSparseBatch } from "../../src/record/batch-codec.ts";

type Batch = StoredBatch & { readonly streamId: number; readonly position: number; readonly ordinal: number };
type Segment = {
  sequence: number;
  firstIndex: number;
  lastIndex: number;
  sealed: boolean;
  rewritten: boolean;
  batches: Batch[];
  /** Of streams: which offsets it speaks for, whatever compaction left of them. */
  covered: Map<number, Covered>;
};
type Covered = { readonly firstOffset: number; endOffset: number; lastLogTime: number };

/** Nobody here asks. */
const NONE: RewriteReport["batches"] = { kept: 0, cut: 0, gone: 0, damaged: 0, taken: 0 };

export class ArrayLog implements CompactableLog {
  /** Batches in a segment. */
  readonly #segmentBatches: number;
  readonly #segments: Segment[] = [];
  #nextSequence = 1;
  readonly sealedEnd = undefined;
  /** Rewrites until one is refused; undefined: none is. */
  refuseAfter: number | undefined;
  /** A stream whose reads from this offset on are damaged. */
  damagedFrom: { readonly streamId: number; readonly offset: number } | undefined;
  rewrites = 0;
  reads = 0;

  constructor(segmentBatches: number) {
    this.#segmentBatches = segmentBatches;
  }

  /** An applied entry. */
  append(index: number, logTime: number, placements: readonly BatchPlacement[], batches: readonly Uint8Array[]): void {
    const active = this.#active(index);
    active.lastIndex = index;
    placements.forEach((placement, ordinal) => {
      if (!placement.accepted) return;
      const { streamId, firstOffset, span } = placement;
      const bytes = batches[ordinal] as Uint8Array;
      active.batches.push({ streamId, firstOffset, span, logTime, hash: 0n, bytes, position: index, ordinal });
      cover(active, streamId, { firstOffset, endOffset: firstOffset + span, lastLogTime: logTime });
    });
    if (active.batches.length >= this.#segmentBatches) active.sealed = true;
  }

  roll(): Promise<void> {
    const last = this.#segments.at(-1);
    if (last !== undefined) last.sealed = true;
    return Promise.resolve();
  }

  read(streamId: number, from: number, to: number, maxBytes: number): Promise<Result<StoredBatch[], Damage>> {
    this.reads += 1;
    const batches: StoredBatch[] = [];
    let bytes = 0;
    for (const batch of this.batchesOf(streamId)) {
      if (batch.firstOffset + batch.span <= from || batch.firstOffset >= to) continue;
      if (batches.length > 0 && bytes >= maxBytes) break;
      if (this.damagedFrom?.streamId === streamId && batch.firstOffset >= this.damagedFrom.offset) {
        if (batches.length > 0) break;
        return Promise.resolve(err({ kind: "index", message: "damaged" }));
      }
      batches.push(batch);
      bytes += batch.bytes.length;
    }
    return Promise.resolve(ok(batches));
  }

  batchesOf(streamId: number): Batch[] {
    return this.#segments.flatMap(({ batches }) => batches.filter((batch) => batch.streamId === streamId));
  }

  streamSegments(streamId: number): StreamSegmentSummary[] {
    return this.#segments.flatMap((segment) => summariesOf(segment).filter((part) => part.streamId === streamId));
  }

  offsetAtTime(streamId: number, atMs: number, from: number, to: number): Promise<Result<number, Damage>> {
    for (const { firstOffset, span, logTime } of this.batchesOf(streamId)) {
      if (firstOffset + span > from && logTime >= atMs)
        return Promise.resolve(ok(Math.min(to, Math.max(from, firstOffset))));
    }
    return Promise.resolve(ok(to));
  }

  sealedSegments(): SealedSegmentSummary[] {
    return this.#segments
      .filter(({ sealed }) => sealed)
      .map((segment) => ({
        sequence: segment.sequence,
        firstIndex: segment.firstIndex,
        lastIndex: segment.lastIndex,
        fileBytes: bytesOf(segment),
        dataBytes: bytesOf(segment),
        rewritten: segment.rewritten,
        streams: () => Promise.resolve(summariesOf(segment)),
      }));
  }

  async rewrite(position: number, sequences: readonly number[], survivors: Survivors): Promise<RewriteReport> {
    const run = this.#segments.filter(({ sequence }) => sequences.includes(sequence));
    const first = this.#segments.indexOf(run[0] as Segment);
    if (
      run.length !== sequences.length ||
      this.#segments.slice(first, first + run.length).some((s, at) => s !== run[at])
    )
      throw new Error("the segments of a run are neighbours");
    if (run.some((segment) => !segment.sealed || segment.lastIndex > position))
      throw new Error("only what is sealed and in a snapshot is rewritten");
    if (this.refuseAfter === 0) return { bytesBefore: 0, bytesAfter: 0, batches: NONE, refused: "told to" };
    if (this.refuseAfter !== undefined) this.refuseAfter -= 1;
    await Promise.resolve();
    const last = run.at(-1) as Segment;
    const merged: Segment = {
      sequence: last.sequence,
      firstIndex: (run[0] as Segment).firstIndex,
      lastIndex: last.lastIndex,
      sealed: true,
      rewritten: true,
      batches: run.flatMap(({ batches }) => batches.flatMap((batch) => surviving(batch, survivors))),
      covered: new Map(),
    };
    for (const { covered } of run) {
      for (const [streamId, range] of covered)
        if (merged.covered.has(streamId) || range.endOffset > survivors.liveFrom(streamId))
          cover(merged, streamId, range);
    }
    this.#segments.splice(first, run.length, ...(merged.covered.size > 0 ? [merged] : []));
    this.rewrites += 1;
    const bytesBefore = run.reduce((sum, segment) => sum + bytesOf(segment), 0);
    return { bytesBefore, bytesAfter: bytesOf(merged), batches: NONE };
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + bytesOf(segment), 0);
  }

  #active(index: number): Segment {
    const last = this.#segments.at(-1);
    if (last !== undefined && !last.sealed) return last;
    const segment: Segment = {
      sequence: this.#nextSequence,
      firstIndex: index,
      lastIndex: index,
      sealed: false,
      rewritten: false,
      batches: [],
      covered: new Map(),
    };
    this.#nextSequence += 1;
    this.#segments.push(segment);
    return segment;
  }
}

function surviving(batch: Batch, survivors: Survivors): Batch[] {
  const { streamId, firstOffset, span } = batch;
  if (firstOffset + span <= survivors.liveFrom(streamId)) return [];
  const before = survivors.compactedBefore(streamId);
  if (firstOffset >= before) return [batch];
  const decoded = decodeBatch(batch.bytes, { rawBytesMax: 1_000_000 });
  if (!decoded.ok) throw new Error(decoded.error.message);
  const kept = decoded.value.records.filter(({ offsetDelta, record }) => {
    const offset = firstOffset + offsetDelta;
    return offset >= before || survivors.survives(streamId, offset, record);
  });
  if (kept.length === decoded.value.records.length) return [batch];
  return kept.length === 0 ? [] : [{ ...batch, bytes: encodeSparseBatch(kept, span) }];
}

function cover({ covered }: Segment, streamId: number, range: Covered): void {
  const known = covered.get(streamId);
  if (known === undefined) covered.set(streamId, { ...range });
  else {
    if (known.endOffset !== range.firstOffset) throw new Error("a stream is covered without holes");
    known.endOffset = range.endOffset;
    known.lastLogTime = range.lastLogTime;
  }
}

function summariesOf(segment: Segment): (StreamSegmentSummary & {
  streamId: number;
  firstRow: number;
  rowCount: number;
  incarnation: number;
})[] {
  return [...segment.covered].map(([streamId, covered]) => {
    const batches = segment.batches.filter((batch) => batch.streamId === streamId);
    return {
      streamId,
      firstRow: 0,
      rowCount: batches.length,
      incarnation: 0,
      sequence: segment.sealed ? segment.sequence : undefined,
      ...covered,
      bytes: batches.reduce((sum, { bytes }) => sum + bytes.length, 0),
    };
  });
}

function bytesOf({ batches }: Segment): number {
  return batches.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
