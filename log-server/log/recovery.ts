/**
 * Finds out what a log's folder holds: which segments are sealed, what the others contain, which files are of no use.
 * Sealed segments are not read, so that this takes no longer for a longer log.
 *
 * The log is what its segments say in the order of their sequences (a rewritten one stands where its sources did): where two hold the same index, the later one
 * counts, for it was written after the earlier one was cut.
 */
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { Disk } from "../../src/ports/disk.ts";
import type { BatchIndex } from "./index/batch-index.ts";
import { EMPTY_LOG, type LogEnd } from "./entries/closing.ts";
import type { DamageList } from "./repair/damage.ts";
import type { LogLimits } from "./limits.ts";
import type { LogLayout } from "./log-layout.ts";
import type { IndexReader, SealedSegment } from "./segments/sealed-segment.ts";
import { footerOf, type JudgedSegment, judgeSegment, previousOf } from "./segments/segment-judge.ts";
import { isUnused, type ScanFault, scanSegment, type SegmentScan } from "./segments/segment-scan.ts";
import { findSealed, type Inventory, takeInventory } from "./segments/segment-inventory.ts";
import { type Gap, makeMissing, makeNewest } from "./segments/missing-segments.ts";
import { SharedFile } from "./segments/shared-file.ts";
import { openSpare, type Spare, UnsealedSegment } from "./segments/unsealed-segment.ts";

export type Progress = { readonly phase: "scan"; readonly done: number; readonly total: number };

export type RecoveryOptions = {
  readonly disk: Disk;
  readonly layout: LogLayout;
  readonly limits: LogLimits;
  readonly logId: number;
  readonly batchIndex: BatchIndex;
  readonly indexReader: IndexReader;
  readonly damage: DamageList;
  /** Of the newest snapshot: what is missing below was trimmed. */
  readonly snapshotPosition: number;
  /** The sequence of the newest segment, as it is written apart; 0: it is not known. */
  readonly newest: number;
  /** See `SegmentedLog`'s options. */
  readonly soleVoter: boolean;
  readonly onProgress: (progress: Progress) => void;
};

/** An unsealed segment and what recovery thought of it. */
export type RecoveredSegment = { readonly segment: UnsealedSegment; readonly judged: JudgedSegment };

export type Recovered = {
  /** In log order. */
  readonly segments: readonly (SealedSegment | RecoveredSegment)[];
  readonly spares: readonly Spare[];
  /** The lowest sequence that was never used. */
  readonly nextSequence: number;
  readonly end: LogEnd;
  readonly scannedBytes: number;
};

/** It is no crash that takes a file's name from it: nobody else has what it held, so that is for an operator to find. */
export type NewestMissing = { readonly kind: "newest-segment-missing"; readonly message: string };

export async function recover(options: RecoveryOptions): Promise<Result<Recovered, ScanFault | NewestMissing>> {
  const { disk, layout } = options;
  const inventory = await takeInventory(options);
  const { sealed, lost } = await findSealed(options, inventory);
  const unsealed = [...inventory.logs].filter((sequence) => !sealed.has(sequence)).sort((a, b) => a - b);
  const { used, spares } = await findSpares(options, unsealed);

  const scans: SegmentScan[] = [];
  const sizes = await sizesOf(disk, layout, used);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let done = 0;
  for (const sequence of used) {
    const file = await disk.open(layout.file(sequence, "log"), "read");
    try {
      const scan = await scanSegment(file, sequence, options.logId, (bytes) => {
        done += bytes;
        options.onProgress({ phase: "scan", done, total });
      });
      if (!scan.ok) return scan;
      scans.push(scan.value);
    } finally {
      await file.close();
    }
  }

  const living = await removeCutOff(options, scans);
  if (isNewestMissing(options, inventory, scans)) {
    if (options.soleVoter) return err(newestMissing(options));
    // Where it was sealed and a snapshot has all of it, the log's end is known without it.
    if (!sealed.has(options.newest)) living.push(await makeNewest(options, options.newest));
  }
  let judged = judgeAll([...sealed.values(), ...living]);
  const gaps = findGaps(options, inventory, lost, judged);
  if (gaps.length > 0) {
    const made = await makeMissing(options, gaps);
    judged = judgeAll([...sealed.values(), ...living, ...made]);
  }
  for (const item of judged) if ("scan" in item) for (const found of item.damage) options.damage.add(found);
  const segments: (SealedSegment | RecoveredSegment)[] = [];
  for (const item of judged)
    segments.push("kind" in item ? item : await openJudged(options, item, item === judged.at(-1)));
  const end = endOf(judged);
  // Not below what a footer promised: segments between it and that are taken for cut off. Nor one of which only the files are gone.
  const nextSequence = scans.reduce(
    (next, scan) => Math.max(next, footerOf(scan)?.nextSequence ?? 0),
    Math.max(inventory.highest, ...sealed.keys()) + 1,
  );
  return ok({ segments, spares, nextSequence, end, scannedBytes: done });
}

/** Neither there, nor cut off since, nor followed by another. While it is the newest it is neither dropped nor rewritten. */
function isNewestMissing(
  { newest }: RecoveryOptions,
  { logs, compacted, indexes }: Inventory,
  scans: readonly SegmentScan[],
): boolean {
  if (newest === 0 || logs.has(newest) || compacted.has(newest) || indexes.has(newest)) return false;
  return scans.every((scan) => scan.sequence < newest && newest >= (footerOf(scan)?.nextSequence ?? 0));
}

function newestMissing({ layout, newest }: RecoveryOptions): NewestMissing {
  const message =
    `${layout.file(newest, "log")} is missing, the newest segment of the log: put it back. ` +
    `To go on without what it held, acknowledged records among it, remove ${layout.newest}`;
  return { kind: "newest-segment-missing", message };
}

function orderOf(item: SealedSegment | SegmentScan): number {
  return "kind" in item ? item.order : item.sequence;
}

/** Tells used segments from spares: files that were never written to, behind all that were. */
async function findSpares(
  { disk, layout, limits, newest }: RecoveryOptions,
  sequences: readonly number[],
): Promise<{ used: readonly number[]; spares: Spare[] }> {
  let usedCount = sequences.length;
  const spares: Spare[] = [];
  let removed = false;
  while (usedCount > 0) {
    const sequence = sequences[usedCount - 1] as number;
    // It had a header once: what is gone from it is damage.
    if (sequence === newest) break;
    const path = layout.file(sequence, "log");
    const spare = await openSpare(disk, sequence, path, limits.segmentBytes);
    if (!(await isUnused(spare.file.raw))) {
      await spare.file.retire();
      break;
    }
    usedCount -= 1;
    if ((await spare.file.raw.size()) === limits.segmentBytes) {
      await spare.file.raw.sync();
      spares.unshift(spare);
    } else {
      await spare.file.retire();
      await disk.remove(path);
      removed = true;
    }
  }
  if (removed) await disk.syncDirectory(layout.segments);
  return { used: sequences.slice(0, usedCount), spares };
}

async function sizesOf(disk: Disk, layout: LogLayout, sequences: readonly number[]): Promise<number[]> {
  const sizes: number[] = [];
  for (const sequence of sequences) {
    const file = await disk.open(layout.file(sequence, "log"), "read");
    sizes.push(await file.size());
    await file.close();
  }
  return sizes;
}

/** Removes the segments that a footer of an earlier one says are not part of the log; returns the others. */
async function removeCutOff({ disk, layout }: RecoveryOptions, scans: readonly SegmentScan[]): Promise<SegmentScan[]> {
  let from = 0;
  let removed = false;
  const living: SegmentScan[] = [];
  for (const scan of scans) {
    if (scan.sequence < from) {
      await disk.remove(layout.file(scan.sequence, "log"));
      removed = true;
      continue;
    }
    living.push(scan);
    from = Math.max(from, footerOf(scan)?.nextSequence ?? 0);
  }
  if (removed) await disk.syncDirectory(layout.segments);
  return living;
}

function judgeAll(items: readonly (SealedSegment | SegmentScan)[]): (SealedSegment | JudgedSegment)[] {
  const inOrder = [...items].sort((a, b) => orderOf(a) - orderOf(b));
  const judged: (SealedSegment | JudgedSegment)[] = [];
  let end = EMPTY_LOG;
  inOrder.forEach((item, at) => {
    if ("kind" in item) {
      judged.push(item);
      end = item.facts.end;
      return;
    }
    const next = inOrder[at + 1];
    const nextPrevious = next === undefined ? undefined : "kind" in next ? endBefore(next) : previousOf(next);
    const one = judgeSegment(item, { expected: end, isLast: next === undefined, next: nextPrevious });
    if (one.previous.index < end.index) cutBack(judged, one.previous.index);
    judged.push(one);
    end = one.end;
  });
  return judged;
}

/** Entries that no segment has and no snapshot stands for, behind some that are there. They are reported. */
function findGaps(
  { batchIndex, damage, snapshotPosition }: RecoveryOptions,
  inventory: Inventory,
  lost: readonly SealedSegment[],
  judged: readonly (SealedSegment | JudgedSegment)[],
): readonly Gap[] {
  const horizon = batchIndex.horizon();
  // Of a snapshot that is lost the store still tells, unless it is newer than the log: what nothing knows of below it was trimmed.
  const isLost = horizon !== undefined && horizon.index > snapshotPosition && horizon.index <= endOf(judged).index;
  const isKnown = horizon?.index === snapshotPosition || (isLost && lost.length === 0);
  const snapshot = isKnown ? horizon : { ...EMPTY_LOG, index: snapshotPosition };
  let previous: LogEnd = snapshot;
  let order = 0;
  const gaps: Gap[] = [];
  const gapTo = (lastIndex: number, before: number, isProvable: boolean): void => {
    if (lastIndex <= previous.index) return;
    const isKnown = previous.term > 0 || previous.index === 0;
    const files = isKnown && isProvable ? freeBelow(inventory, before, order) : 0;
    gaps.push({ before, files, previous, lastIndex });
    const range = { firstIndex: previous.index + 1, lastIndex };
    const message = `the entries ${range.firstIndex} to ${lastIndex} are missing`;
    damage.add({ kind: "segment", ...(files > 0 && { segment: before - 1 }), ...range, message });
  };
  for (const item of judged) {
    const isSealed = "kind" in item;
    const before = isSealed ? item.sequence : item.scan.sequence;
    const lastIndex = isSealed ? item.firstIndex - 1 : item.previous.index;
    // A log whose beginning is not there was trimmed, and its snapshot is lost: that is another matter.
    if (lastIndex > previous.index && (order > 0 || snapshot.index > 0)) {
      for (const one of lost.filter(
        ({ firstIndex, lastIndex: end }) => firstIndex > previous.index && end <= lastIndex,
      )) {
        gapTo(one.firstIndex - 1, one.sequence, true);
        order = one.sequence - 1;
        gapTo(one.lastIndex, one.sequence + 1, true);
        order = one.sequence;
        previous = one.facts.end;
      }
      // What stood there is proven by its neighbours; a rewritten segment has no entries.
      gapTo(lastIndex, before, !(isSealed && item.isRewritten));
    }
    const { end } = isSealed ? item.facts : item;
    if (end.index >= snapshot.index) previous = end;
    order = isSealed ? item.order : before;
  }
  return gaps;
}

/** How many sequences directly below one are of no file. */
function freeBelow({ logs, compacted, indexes }: Inventory, before: number, order: number): number {
  let sequence = before - 1;
  while (sequence > order && !logs.has(sequence) && !compacted.has(sequence) && !indexes.has(sequence)) sequence -= 1;
  return before - 1 - sequence;
}

/** Of the entry before a sealed segment's first only the index is known without reading it. */
function endBefore(segment: SealedSegment): LogEnd {
  return { index: segment.firstIndex - 1, term: 0, hash: 0n, logTime: 0 };
}

/** A later segment begins at or before entries of earlier ones: those were cut, whatever became of the footer. */
function cutBack(judged: (SealedSegment | JudgedSegment)[], lastIndex: number): void {
  for (const [at, item] of judged.entries()) {
    if ("kind" in item || item.end.index <= lastIndex) continue;
    const count = Math.max(0, lastIndex - item.previous.index);
    const slots = item.slots.slice(0, count);
    judged[at] = { ...item, slots, end: endAfter(item, slots), endPlace: count === 0 ? 0 : item.endPlace };
  }
}

function endAfter(item: JudgedSegment, slots: JudgedSegment["slots"]): LogEnd {
  const last = slots.at(-1);
  const index = item.previous.index + slots.length;
  if (last === undefined) return item.previous;
  if (last.kind === "lost") return { index, term: 0, hash: last.hash, logTime: 0 };
  return { index, term: last.piece.head.term, hash: last.piece.frame.entryHash, logTime: last.piece.head.logTime };
}

function endOf(judged: readonly (SealedSegment | JudgedSegment)[]): LogEnd {
  const last = judged.at(-1);
  if (last === undefined) return EMPTY_LOG;
  return "kind" in last ? last.facts.end : last.end;
}

/** Opens a judged segment for use, its index filled from what was read. */
async function openJudged(
  { disk, layout }: RecoveryOptions,
  judged: JudgedSegment,
  isLast: boolean,
): Promise<RecoveredSegment> {
  const { scan } = judged;
  const path = layout.file(scan.sequence, "log");
  const file = new SharedFile(await disk.open(path, "read-write"));
  const segment = new UnsealedSegment({
    sequence: scan.sequence,
    path,
    file,
    previous: judged.previous,
    allocatedBytes: scan.fileBytes,
  });
  const { index } = segment;
  for (const found of judged.slots) {
    if (found.kind !== "lost") {
      index.stageFound(found.piece);
      continue;
    }
    const { place, length, hash } = found;
    const firstRow = index.rows.count;
    index.stage({ place, length, term: 0, hash, logTime: 0, firstRow, rowCount: 0, intact: false });
  }
  index.commit();
  segment.end = judged.end;
  segment.endPlace = judged.endPlace;
  segment.writeEnd = scan.dirtyEnd;
  segment.syncedUpTo = judged.provenEnd;
  segment.closed = judged.footer !== undefined || !isLast;
  segment.marked = judged.marked;
  return { segment, judged };
}

/** Makes the folders, and makes sure that they stay: a process may have been killed before they were durable. */
export async function createFolders(disk: Disk, layout: LogLayout): Promise<void> {
  await disk.createDirectory(layout.segments);
  let path = layout.segments;
  while (path !== "") {
    path = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
    await disk.syncDirectory(path);
  }
}
