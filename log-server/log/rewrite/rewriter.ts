/**
 * Rewrites runs of sealed segments: what survives of them becomes one new segment in their place, and their space is
 * given back. All of it lies below a verified snapshot, so nobody needs their entries any more, only their batches.
 *
 * Both new files are written and synced under names that a start removes; then the index block gets its name, and last
 * the file with the batches. With that name, durable, the run is replaced: whatever comes, its sources are then removed,
 * at the latest at the next start (`segment-inventory.ts`), for the block says which they were. Before it nothing has
 * happened. A reader finds each batch in the old segments or in the new one, at every moment.
 */
import { type Disk, DiskError, type DiskFile } from "../../../src/ports/disk.ts";
import type { Zstd } from "../../../src/ports/zstd.ts";
import type { BatchIndex } from "../index/batch-index.ts";
import { batchFrameBytes, encodeCompactedHeader } from "./compacted-file.ts";
import { createAnew } from "../disk/create-anew.ts";
import type { Damage, DamageList } from "../repair/damage.ts";
import { coveredBy } from "../repair/lost-ranges.ts";
import { damageInRows } from "../repair/rewritten-check.ts";
import type { FilePool } from "../segments/file-pool.ts";
import { type BatchRow, NO_STREAM, type SealedFacts, type StreamRecord } from "../index/index-block.ts";
import { writeBlock } from "../index/index-block-writer.ts";
import { KeptBatches } from "./kept-batches.ts";
import type { LogLimits } from "../limits.ts";
import type { LogLayout } from "../log-layout.ts";
import type { Poison } from "../poison.ts";
import { type IndexReader, SealedSegment } from "../segments/sealed-segment.ts";
import { SegmentCopy } from "./segment-copy.ts";
import type { SegmentFiles } from "../segments/segment-files.ts";
import type { SegmentList } from "../segments/segment-list.ts";
import { removeSegmentFiles } from "../segments/segment-removal.ts";
import type { Spares } from "../segments/spares.ts";
import { mayBeLeft } from "./surviving-part.ts";
import type { Survivors } from "./survivors.ts";
import type { TakenBatch, TakenRanges } from "./taken-ranges.ts";
import type { TermRun } from "../segments/term-runs.ts";
import { syncSegments } from "../segments/sync-segments.ts";

export type RewriterParts = {
  readonly disk: Disk;
  readonly layout: LogLayout;
  readonly limits: LogLimits;
  readonly logId: number;
  readonly zstd: Zstd | undefined;
  readonly segments: SegmentList;
  readonly spares: Spares;
  readonly batchIndex: BatchIndex;
  readonly indexReader: IndexReader;
  readonly files: SegmentFiles;
  readonly pool: FilePool;
  readonly damage: DamageList;
  readonly poison: Poison;
};

export type RewriteReport = {
  /** Of the files of the run; 0 if it was refused. */
  readonly bytesBefore: number;
  /** Of what took its place. */
  readonly bytesAfter: number;
  readonly batches: {
    /** Kept as they were, cut down to the records that survive, without any, and damaged (these are carried over). */
    readonly kept: number;
    readonly cut: number;
    readonly gone: number;
    readonly damaged: number;
    /** Among those that are left: given by others, as they were lost here. */
    readonly taken: number;
  };
  /** Why nothing was done. */
  readonly refused?: string;
};

/** A source: what it holds of the streams that are live. */
export type RewriteSource = {
  readonly segment: SealedSegment;
  readonly streams: readonly StreamRecord[];
  /** What others gave of it, in log order. */
  readonly given: readonly TakenBatch[];
};

/** A run that was replaced on the disk, while something may still be left of it. */
type Replaced = {
  readonly rewritten: SealedSegment;
  readonly streams: readonly StreamRecord[];
  readonly sources: readonly SealedSegment[];
  readonly stale: ReadonlyMap<number, readonly number[]>;
  /** Carried over as they were. */
  readonly damaged: readonly BatchRow[];
};

const HELD_UP = "the store has no room to say what was rewritten: that goes on later";
const NONE: RewriteReport["batches"] = { kept: 0, cut: 0, gone: 0, damaged: 0, taken: 0 };

/** Refused, with the reason. */
class Refusal {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

export class Rewriter {
  readonly #parts: RewriterParts;
  #replaced: Replaced | undefined;
  #stopped = false;

  constructor(parts: RewriterParts) {
    this.#parts = parts;
  }

  /** See `SegmentedLog.rewrittenTo`. Sequences only grow, over restarts, too. */
  get rewrittenTo(): number | undefined {
    if (this.#replaced !== undefined) return undefined;
    let newest = 0;
    for (const { isRewritten, sequence } of this.#parts.segments.sealed)
      if (isRewritten) newest = Math.max(newest, sequence);
    return newest;
  }

  /** What runs is given up at its next step, unless it is decided. */
  stop(): void {
    this.#stopped = true;
  }

  /** See `SegmentedLog.rewrite`. One call at a time, and none while segments are dropped. */
  async rewrite(
    position: number,
    sequences: readonly number[],
    survivors: Survivors,
    taken: TakenRanges,
  ): Promise<RewriteReport> {
    if (!(await this.#tryFinish())) return refused(HELD_UP);
    const { segments } = this.#parts;
    // What a trim has dropped since the run was chosen held nothing live: it is as good as rewritten.
    const present = sequences.filter(
      (sequence) => segments.bySequence(sequence) !== undefined || isSource(segments, sequence),
    );
    if (present.length === 0) return { bytesBefore: 0, bytesAfter: 0, batches: NONE };
    const run = segments.run(present);
    if (run === undefined) return refused("they are not sealed segments that follow one another");
    if (run.some((segment) => segment.lastIndex > position || segment === segments.last))
      return refused("entries of theirs may still be needed");
    const kept = new KeptBatches();
    const plan = await this.#plan(run, survivors, taken, kept);
    if (plan instanceof Refusal) return refused(plan.reason);
    const { sources, stale } = plan;
    if (!(await this.#hasRoom(sources))) return refused("the disk has no room for the copy");
    return this.#replace({ run, sources, stale, kept }, survivors, taken);
  }

  /** Ends what was decided: it may have been held up by a lack of space. */
  async finish(): Promise<void> {
    const replaced = this.#replaced;
    if (replaced === undefined) return;
    const { segments, batchIndex, damage } = this.#parts;
    const { rewritten, streams, sources, stale, damaged } = replaced;
    if (!segments.holds(rewritten)) segments.supersede(sources, rewritten);
    await batchIndex.replace(rewritten, streams, stale);
    segments.forget(sources);
    for (const { sequence } of sources) damage.forget(sequence);
    for (const found of damageInRows(rewritten, damaged)) damage.add(found);
    for (const source of sources) await removeSegmentFiles(this.#parts, source);
    await batchIndex.forget(rewritten.sources);
    this.#replaced = undefined;
  }

  /** Whether there was the space that it takes. */
  async #tryFinish(): Promise<boolean> {
    try {
      await this.finish();
      return true;
    } catch (error) {
      if (error instanceof DiskError && error.code === "no-space") return false;
      throw error;
    }
  }

  /** What each segment holds that may be left, and what the new one will cover. */
  async #plan(
    run: readonly SealedSegment[],
    survivors: Survivors,
    taken: TakenRanges,
    kept: KeptBatches,
  ): Promise<{ sources: RewriteSource[]; stale: Map<number, number[]> } | Refusal> {
    const sources: RewriteSource[] = [];
    const stale = new Map<number, number[]>();
    for (const segment of run) {
      const records = taken.isUnreadable(segment.sequence)
        ? this.#lostStreams(segment, survivors, taken)
        : await this.#parts.indexReader.streams(segment);
      // What is in there is not known: it stays (I13).
      if (records === undefined) return this.#damaged(segment, "the index");
      for (const { streamId, firstOffset } of records) {
        const offsets = stale.get(streamId);
        if (offsets === undefined) stale.set(streamId, [firstOffset]);
        else offsets.push(firstOffset);
      }
      // What was covered once goes on: a trim that is applied meanwhile leaves no gap that would pass for a loss.
      const streams = records.filter(
        ({ streamId, endOffset }) =>
          streamId !== NO_STREAM && (kept.covers(streamId) || mayBeLeft(survivors, streamId, endOffset)),
      );
      for (const record of streams) {
        const covered = kept.cover(record);
        if (covered.ok) continue;
        const { streamId, from, to } = covered.error;
        return this.#damaged(segment, `what is before offset ${to} of stream ${streamId}, from ${from} on,`);
      }
      const parts = streams.map(({ streamId, firstOffset, endOffset }) => ({
        streamId,
        from: firstOffset,
        to: endOffset,
      }));
      sources.push({ segment, streams, given: taken.batchesIn(parts) });
    }
    return { sources, stale };
  }

  /** What a segment covered, of which nothing is left; undefined where others have not given all of that. */
  #lostStreams(segment: SealedSegment, survivors: Survivors, taken: TakenRanges): readonly StreamRecord[] | undefined {
    const covered = coveredBy(this.#parts.batchIndex, segment);
    if (covered === undefined) return undefined;
    const records: StreamRecord[] = [];
    for (const { streamId, part } of covered) {
      const range = taken.at(streamId, part.firstOffset);
      const isGiven = range !== undefined && part.endOffset <= range.to;
      if (!isGiven && mayBeLeft(survivors, streamId, part.endOffset)) return undefined;
      records.push({ ...part, streamId, incarnation: range?.incarnation ?? 0 });
    }
    return records;
  }

  /** A spare is given up for it, for it will give back more. */
  async #hasRoom(sources: readonly RewriteSource[]): Promise<boolean> {
    const { disk, limits, spares } = this.#parts;
    let bytes = limits.segmentBytes;
    for (const { segment, streams, given } of sources) {
      bytes += segment.tables.fileBytes;
      for (const batch of given) bytes += batchFrameBytes(batch.bytes.length);
      for (const stream of streams) bytes += SegmentCopy.bytesMax(stream);
    }
    const free = await disk.freeBytes();
    if (free >= bytes) return true;
    return free + limits.segmentBytes >= bytes && (await spares.release()) && (await disk.freeBytes()) >= bytes;
  }

  async #replace(
    plan: {
      readonly run: readonly SealedSegment[];
      readonly sources: readonly RewriteSource[];
      readonly stale: ReadonlyMap<number, readonly number[]>;
      readonly kept: KeptBatches;
    },
    survivors: Survivors,
    taken: TakenRanges,
  ): Promise<RewriteReport> {
    const { disk, layout, logId, spares } = this.#parts;
    const { run, sources, stale, kept } = plan;
    const sequence = spares.takeSequence();
    const first = run[0] as SealedSegment;
    const last = run.at(-1) as SealedSegment;
    const copy = new SegmentCopy({ ...this.#parts, sequence, kept, survivors, taken, stopped: () => this.#stopped });
    const written = await this.#write(sequence, "compacted", async (file) => {
      const header = encodeCompactedHeader({
        logId,
        sequence,
        firstIndex: first.firstIndex,
        lastIndex: last.lastIndex,
      });
      await file.write(0, [header]);
      for (const source of sources) {
        const fault = await copy.add(file, source);
        if (fault !== undefined) return fault;
      }
      return undefined;
    });
    if (written !== undefined) return refused(written);

    const streams = kept.records();
    const terms = mergedRuns(run.flatMap((segment) => segment.terms));
    const facts: SealedFacts = {
      logId,
      sequence,
      firstIndex: first.firstIndex,
      end: last.facts.end,
      order: last.order,
      fileBytes: copy.place,
      dataBytes: kept.dataBytes,
      streamCount: streams.length,
      rowCount: kept.count,
      entryCount: 0,
      termCount: terms.length,
      sourceCount: run.length,
    };
    const rewritten = new SealedSegment(
      facts,
      terms,
      run.map((segment) => segment.sequence),
    );
    const rows = kept.rows();
    const indexed = await this.#write(sequence, "index", async (file) => {
      await writeBlock(file, {
        facts: rewritten.facts,
        streams,
        nextRow: () => rows.next().value as BatchRow,
        entry: () => undefined,
        terms: rewritten.terms,
        sources: rewritten.sources,
      });
      return undefined;
    });
    if (indexed !== undefined) {
      await this.#discard(sequence);
      return refused(indexed);
    }
    try {
      for (const kind of ["index", "compacted"] as const) {
        await disk.rename(layout.file(sequence, `${kind}.new`), layout.file(sequence, kind));
        await syncSegments(this.#parts);
      }
    } catch (error) {
      // Whether it is decided cannot be known: only a start can tell.
      throw this.#parts.poison.with(error);
    }
    this.#replaced = { rewritten, streams, sources: run, stale, damaged: copy.damaged };
    if (!(await this.#tryFinish())) return refused(HELD_UP);
    return {
      bytesBefore: run.reduce((sum, segment) => sum + bytesOf(segment), 0),
      bytesAfter: bytesOf(rewritten),
      batches: copy.tally,
    };
  }

  /** A new file, durable, under a name for what is not finished. A reason for giving up, or none. */
  async #write(
    sequence: number,
    kind: "compacted" | "index",
    work: (file: DiskFile) => Promise<string | undefined>,
  ): Promise<string | undefined> {
    const { disk, layout } = this.#parts;
    const file = await createAnew(disk, layout.file(sequence, `${kind}.new`));
    let fault: string | undefined;
    try {
      fault = await work(file);
      if (fault === undefined) await file.sync();
    } catch (error) {
      await file.close().catch(() => undefined);
      await this.#discard(sequence);
      if (error instanceof DiskError && error.code === "no-space") return "the disk has no room for the copy";
      throw error;
    }
    await file.close();
    if (fault !== undefined) await this.#discard(sequence);
    return fault;
  }

  /** What is left of it otherwise goes at the next start. */
  async #discard(sequence: number): Promise<void> {
    const { disk, layout } = this.#parts;
    for (const kind of ["compacted.new", "index.new"] as const)
      await disk.remove(layout.file(sequence, kind)).catch(() => undefined);
  }

  #damaged(segment: SealedSegment, what: string): Refusal {
    const { sequence, firstIndex, lastIndex } = segment;
    const message = `${what} in segment ${sequence} cannot be read`;
    const damage: Damage = { kind: "index", segment: sequence, firstIndex, lastIndex, message };
    this.#parts.damage.add(damage);
    return new Refusal(message);
  }
}

/** What a segment takes on the disk. */
export function bytesOf(segment: SealedSegment): number {
  return segment.facts.fileBytes + segment.tables.fileBytes;
}

/** It was rewritten before: whoever names it knows an old state of the log. */
function isSource(segments: SegmentList, sequence: number): boolean {
  return segments.sealed.some((segment) => segment.sources.includes(sequence));
}

export function refused(reason: string): RewriteReport {
  return { bytesBefore: 0, bytesAfter: 0, batches: NONE, refused: reason };
}

function mergedRuns(runs: readonly TermRun[]): TermRun[] {
  return runs.filter((run, at) => runs[at - 1]?.term !== run.term);
}
