/**
 * Brings back the index of a segment that lost its block: what the entries hold is still there, but where the state machine
 * put each batch cannot be known from them, and below a snapshot nobody applies them again. Others know, from their indexes.
 */
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { DiskFile } from "../../../src/ports/disk.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import { NO_STREAM } from "../index/index-block.ts";
import type { Exclusively } from "./mender.ts";
import type { SealedSegment } from "../segments/sealed-segment.ts";
import type { BatchPlacement } from "../segments/segment-index.ts";
import { scanSegment, type SegmentScan } from "../segments/segment-scan.ts";
import { SharedFile } from "../segments/shared-file.ts";
import type { TailCache } from "../index/tail-cache.ts";
import type { BatchIndex } from "../index/batch-index.ts";
import { syncSegments } from "../segments/sync-segments.ts";
import type { RepairParts } from "./repair-parts.ts";
import { makeRewrittenIndex } from "./rewritten-index.ts";
import { isMissing } from "./unreadable.ts";
import { UnsealedSegment } from "../segments/unsealed-segment.ts";

/** What became of an entry's batches, in order. */
export type PlacedEntry = {
  readonly index: LogIndex;
  readonly batches: readonly { readonly hash: bigint; readonly placement: BatchPlacement }[];
};

/** What somebody else has of a log's indexes. */
export interface PlacementSource {
  /** From `from` on, without gaps, as many as it tells at a time; undefined: it does not know, or does not answer. */
  placements(from: LogIndex, to: LogIndex): Promise<readonly PlacedEntry[] | undefined>;
}

export type ReindexerParts = RepairParts & { readonly cache: TailCache; readonly batchIndex: BatchIndex };

export class Reindexer {
  readonly #parts: ReindexerParts;

  constructor(parts: ReindexerParts) {
    this.#parts = parts;
  }

  /** What is known here, for others: at most so many entries as fit one answer. */
  async placements(from: LogIndex, to: LogIndex): Promise<readonly PlacedEntry[] | undefined> {
    const { segments, limits } = this.#parts;
    const segment = segments.find(from);
    if (segment === undefined) return undefined;
    // Of a rewritten one what was kept is known: whoever has the entries sees whether that is all.
    const last = Math.min(to, segment.lastIndex, from + limits.placementsPerCall - 1);
    return segment.kind === "sealed" ? this.#ofSealed(segment, from, last) : ofUnsealed(segment, from, last);
  }

  /** Why it could not be done, or nothing. What is applied of the segment is placed again, and it can be sealed. */
  async reindex(
    sequence: number,
    applied: () => LogIndex,
    sources: readonly PlacementSource[],
    exclusively: Exclusively,
  ): Promise<Result<undefined, string>> {
    const { segments, layout, pool, indexReader, cache } = this.#parts;
    const before = segments.bySequence(sequence);
    if (before === undefined) return failed("there is no such segment");
    if (before.kind === "sealed" && before.isRewritten) return this.#reindexRewritten(before, exclusively);
    if (before.kind === "unsealed" && !before.closed) return failed("it is being written");
    const position = applied();
    // What is not applied yet is placed when it is; but not while that goes on.
    if (before.kind === "unsealed" && before.lastIndex > position) return failed("not all of it is applied");
    const placed = await placedBy(sources, before.firstIndex, Math.min(before.lastIndex, position));
    if (placed === undefined) return failed("nobody knows where its batches are");
    const segment = await this.#open(before);
    if (segment === undefined) return failed("its entries are damaged");
    if (!place(segment, placed)) return failed("what others say does not fit its entries");
    return exclusively(async () => {
      const isApplied = before.lastIndex <= position || applied() === position;
      const isSame = segments.holds(before) && before.lastIndex === segment.lastIndex && isApplied;
      if (!isSame) {
        await segment.file.retire();
        return failed("it has changed meanwhile");
      }
      segments.replace(before, segment);
      await pool.forget(layout.file(sequence, "index"));
      indexReader.forget(sequence);
      if (before.kind === "unsealed") {
        cache.forget(before.index.rows);
        void before.file.retire().catch(() => undefined);
      }
      return ok(undefined);
    });
  }

  /** Of its own data and the sparse index: others have their segments, with indexes of their own. */
  async #reindexRewritten(segment: SealedSegment, exclusively: Exclusively): Promise<Result<undefined, string>> {
    const { disk, layout, segments, pool, indexReader, damage, poison } = this.#parts;
    const { sequence } = segment;
    const fault = await makeRewrittenIndex(this.#parts, segment);
    if (fault !== undefined) return failed(fault);
    const path = layout.file(sequence, "index");
    const made = layout.file(sequence, "index.new");
    return exclusively(async () => {
      if (!segments.holds(segment)) {
        await disk.remove(made);
        return failed("it has changed meanwhile");
      }
      try {
        await disk.rename(made, path);
      } catch (error) {
        // Which of the two has the name cannot be known: only a start can tell.
        throw poison.with(error);
      }
      await syncSegments(this.#parts);
      await pool.forget(path);
      indexReader.forget(sequence);
      damage.resolve(sequence, ["index"]);
      return ok(undefined);
    });
  }

  async #ofSealed(segment: SealedSegment, from: LogIndex, to: LogIndex): Promise<readonly PlacedEntry[] | undefined> {
    const { indexReader } = this.#parts;
    const records = await indexReader.streams(segment);
    if (records === undefined) return undefined;
    const incarnations = new Map(records.map(({ streamId, incarnation }) => [streamId, incarnation]));
    const found = Array.from({ length: to - from + 1 }, (): PlacedEntry["batches"][number][] => []);
    const { rowCount } = segment.facts;
    const read =
      rowCount === 0 ||
      (await indexReader.walkRows(segment, 0, rowCount, (row) => {
        if (row.position < from || row.position > to) return;
        const { streamId, firstOffset, span, hash, ordinal } = row;
        const incarnation = incarnations.get(streamId) ?? 0;
        const placement: BatchPlacement =
          streamId === NO_STREAM ? { accepted: false } : { accepted: true, streamId, incarnation, firstOffset, span };
        (found[row.position - from] as PlacedEntry["batches"][number][])[ordinal] = { hash, placement };
      }));
    if (!read) return undefined;
    // A batch whose row is missing leaves a hole: from there on it is not known.
    const end = found.findIndex((batches) => Array.from(batches).includes(undefined as never));
    return found.slice(0, end < 0 ? found.length : end).map((batches, at) => ({ index: from + at, batches }));
  }

  /** The segment's entries as they are in its file, none of them placed; undefined if one of them cannot be read. */
  async #open(before: SealedSegment | UnsealedSegment): Promise<UnsealedSegment | undefined> {
    const { disk, layout, logId } = this.#parts;
    const path = layout.file(before.sequence, "log");
    let file: DiskFile;
    try {
      file = await disk.open(path, "read-write");
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    const scan = await scanSegment(file, before.sequence, logId, () => undefined);
    const segment = scan.ok ? segmentOf(before, path, new SharedFile(file), scan.value) : undefined;
    if (segment === undefined) await file.close();
    return segment;
  }
}

async function placedBy(
  sources: readonly PlacementSource[],
  from: LogIndex,
  to: LogIndex,
): Promise<readonly PlacedEntry[] | undefined> {
  const placed: PlacedEntry[] = [];
  for (const source of sources) {
    for (let next = from + placed.length; next <= to; next = from + placed.length) {
      const told = await source.placements(next, to);
      if (told === undefined || told.length === 0 || told[0]?.index !== next) break;
      for (const entry of told) placed.push(entry);
    }
  }
  return placed.length >= to - from + 1 ? placed.slice(0, to - from + 1) : undefined;
}

/** False where it does not fit: then nothing of the segment is used. */
function place(segment: UnsealedSegment, placed: readonly PlacedEntry[]): boolean {
  const { index } = segment;
  const ends = new Map<number, number>();
  for (const { index: at, batches } of placed) {
    const slot = index.slotOf(at);
    const firstRow = index.entries.firstRow[slot] as number;
    if (batches.length !== index.entries.rowCount[slot]) return false;
    for (const [ordinal, batch] of batches.entries()) {
      const row = firstRow + ordinal;
      if (batch === undefined || batch.hash !== index.rows.hash[row]) return false;
      const { placement } = batch;
      if (!placement.accepted) continue;
      const { streamId, firstOffset, span } = placement;
      if (span !== index.rows.span[row] || firstOffset < (ends.get(streamId) ?? 0)) return false;
      ends.set(streamId, firstOffset + span);
    }
    index.place(
      at,
      batches.map(({ placement }) => placement),
    );
  }
  return true;
}

function segmentOf(
  before: SealedSegment | UnsealedSegment,
  path: string,
  file: SharedFile,
  scan: SegmentScan,
): UnsealedSegment | undefined {
  const previous =
    before.kind === "unsealed"
      ? before.previous
      : (scan.header?.previous ?? { index: before.firstIndex - 1, term: 0, hash: 0n, logTime: 0 });
  const allocatedBytes = scan.fileBytes;
  const segment = new UnsealedSegment({ sequence: before.sequence, path, file, previous, allocatedBytes });
  const { index } = segment;
  for (const piece of scan.pieces) {
    if (piece.kind !== "entry" || piece.head.index !== index.firstIndex + index.entries.count) continue;
    if (piece.head.index > before.lastIndex) break;
    index.stageFound(piece);
  }
  index.commit();
  const end = before.kind === "sealed" ? before.facts.end : before.end;
  if (index.lastIndex !== before.lastIndex || segment.endAt(index.lastIndex)?.hash !== end.hash) return undefined;
  segment.end = end;
  segment.closed = true;
  segment.writeEnd = scan.dirtyEnd;
  segment.syncedUpTo = scan.dirtyEnd;
  segment.endPlace = scan.dirtyEnd;
  return segment;
}

function ofUnsealed({ index }: UnsealedSegment, from: LogIndex, to: LogIndex): readonly PlacedEntry[] | undefined {
  const placed: PlacedEntry[] = [];
  for (let at = from; at <= to && index.isPlaced(at); at += 1) {
    const { entries, rows, streams } = index;
    const slot = index.slotOf(at);
    const firstRow = entries.firstRow[slot] as number;
    const batches = Array.from({ length: entries.rowCount[slot] as number }, (_, ordinal) => {
      const row = firstRow + ordinal;
      const streamId = rows.stream[row] as number;
      const hash = rows.hash[row] as bigint;
      if (streamId < 0) return { hash, placement: { accepted: false } as const };
      const incarnation = streams.get(streamId)?.incarnation ?? 0;
      const firstOffset = rows.firstOffset[row] as number;
      const span = rows.span[row] as number;
      return { hash, placement: { accepted: true, streamId, incarnation, firstOffset, span } as const };
    });
    placed.push({ index: at, batches });
  }
  return placed;
}

function failed(reason: string): Result<undefined, string> {
  return err(reason);
}
