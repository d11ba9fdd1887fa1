/**
 * Mends segments that damage has reached: what is lost comes from others who have the same log, is proven against what is
 * still here, and takes its old place in a corrected copy of the file. Nothing else moves, so indexes stay as they are;
 * what nobody could give stays as damaged as it was (I13).
 */
import { DiskError, type DiskFile } from "../../../src/ports/disk.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import { closingPlace, encodeClosing, EMPTY_LOG, type LogEnd } from "../entries/closing.ts";
import { frameLengthOf, hashOfEntry, readEntryFrame } from "../entries/entry-frame.ts";
import { copyPatched, type PatchedCopy } from "./file-swap.ts";
import { aligned } from "../entries/frame.ts";
import { type BatchRow, NO_STREAM } from "../index/index-block.ts";
import { parseSegmentFileName } from "../log-layout.ts";
import { type EntrySource, type MendedEntry, Mending, type Patch } from "./mending.ts";
import type { RepairParts } from "./repair-parts.ts";
import { damagedRows, damageInRows } from "./rewritten-check.ts";
import { type BatchSource, patchesOfRewritten } from "./rewritten-mending.ts";
import type { SealedSegment } from "../segments/sealed-segment.ts";
import { checkOfScan, checkSegment, damageIn, damageOfIndex, type SegmentCheck } from "./segment-check.ts";
import { batchIsIntact, scanSegment } from "../segments/segment-scan.ts";
import { encodeSegmentHeader } from "../segments/segment-header.ts";
import type { Segment } from "../segments/segment-list.ts";
import { SharedFile } from "../segments/shared-file.ts";
import { isMissing } from "./unreadable.ts";
import type { UnsealedSegment } from "../segments/unsealed-segment.ts";
import { syncSegments } from "../segments/sync-segments.ts";

export type MendReport = {
  /** Entries and batches that are there again. */
  readonly entries: number;
  readonly batches: number;
  /** What still lacks something that nobody gave: entries, or batches of a rewritten segment, and a segment's header. */
  readonly left: number;
  /** Why nothing was done, if that is so: it may be tried again. */
  readonly refused?: string;
};

/** What another node has. */
export type MendSource = EntrySource & BatchSource;

/** Runs what must not meet an append, a seal, a trim or a rewrite. */
export type Exclusively = <T>(work: () => Promise<T>) => Promise<T>;

/** What is wrong with an index is another matter. */
const MENDED_KINDS = ["entry", "batch", "segment"] as const;
const NOTHING_DONE = { entries: 0, batches: 0, left: 0 } as const;

export class Mender {
  readonly #parts: RepairParts;
  #stopped = false;

  constructor(parts: RepairParts) {
    this.#parts = parts;
  }

  /** What runs is given up at its next step. */
  stop(): void {
    this.#stopped = true;
  }

  /** See `SegmentedLog.mend`. `horizon`: of the newest snapshot. */
  async mend(
    sequence: number,
    sources: readonly MendSource[],
    horizon: LogEnd,
    exclusively: Exclusively,
  ): Promise<MendReport> {
    const segment = this.#parts.segments.bySequence(sequence);
    if (segment === undefined) {
      await this.#forgetGone(sequence);
      return refused("there is no such segment");
    }
    if (segment.kind === "sealed" && segment.isRewritten) return this.#mendRewritten(segment, sources, exclusively);
    if (segment.kind === "unsealed" && !segment.closed) return refused("it is being written");
    const indexed = await checkSegment(this.#parts, segment);
    // Who reads by it takes the entries for damaged, however whole they are.
    if (indexed === undefined && segment.kind === "sealed") this.#parts.damage.add(damageOfIndex(segment));
    const check = indexed ?? (await this.#scan(segment));
    if (check === undefined) return refused("its index is damaged");
    if (check.broken.size === 0 && check.headerIsIntact) {
      this.#parts.damage.resolve(sequence, MENDED_KINDS);
      return NOTHING_DONE;
    }
    const before =
      this.#before(segment, horizon) ?? (check.headerIsIntact ? undefined : await this.#ask(check, sources));
    const mending = new Mending(check, this.#parts.logId, before, await this.#last(segment));
    await this.#collect(mending, sources);
    const mended = mending.entries();
    const kept = segment.kind === "sealed" ? await this.#keptElsewhere(segment, mending, sources) : [];
    const patches = [...mending.patches(mended), ...kept];
    if (!check.headerIsIntact && before !== undefined) patches.unshift(this.#header(segment, before));
    if (patches.length === 0) return { ...NOTHING_DONE, left: leftIn(check) };
    const swapped = await this.#swap(check, mending, mended, patches, exclusively);
    if (swapped !== undefined) return refused(swapped);
    return { entries: mended.length, batches: mending.batches + kept.length, left: await this.#judge(segment) };
  }

  /** Others may have rewritten the entries away; the batches they kept are the same. */
  async #keptElsewhere(
    segment: SealedSegment,
    mending: Mending,
    sources: readonly BatchSource[],
  ): Promise<readonly Patch[]> {
    const places = new Map(mending.missing().map((one) => [`${one.index} ${one.ordinal}`, one.place]));
    const wanted: BatchRow[] = [];
    const { rowCount } = segment.facts;
    if (places.size === 0 || rowCount === 0) return [];
    await this.#parts.indexReader.walkRows(segment, 0, rowCount, (row) => {
      if (row.streamId !== NO_STREAM && places.has(`${row.position} ${row.ordinal}`)) wanted.push(row);
    });
    const patches: Patch[] = [];
    const { mendBatchesPerCall } = this.#parts.limits;
    for (const source of sources) {
      const asked = wanted.slice(0, mendBatchesPerCall);
      const batches = asked.length === 0 ? undefined : await source.batches(asked);
      for (const [at, row] of asked.entries()) {
        const bytes = batches?.[at]?.bytes;
        if (bytes === undefined || !batchIsIntact(bytes, row)) continue;
        patches.push({ place: row.place, bytes });
        wanted.splice(wanted.indexOf(row), 1);
      }
    }
    return patches;
  }

  /** Dropped or rewritten, while somebody read it: what was found damaged is gone, or known where it is now. */
  async #forgetGone(sequence: number): Promise<void> {
    const { disk, layout, damage } = this.#parts;
    const names = await disk.list(layout.segments);
    if (names.some((name) => parseSegmentFileName(name)?.sequence === sequence)) return;
    damage.resolve(sequence, ["entry", "batch", "index"]);
  }

  /** With the index damaged, too: as a start would find out what the file holds. */
  async #scan(segment: SealedSegment | UnsealedSegment): Promise<SegmentCheck | undefined> {
    const { disk, layout, logId } = this.#parts;
    if (segment.kind === "unsealed") return undefined;
    const { sequence } = segment;
    let file: DiskFile;
    try {
      file = await disk.open(layout.file(sequence, "log"), "read");
    } catch (error) {
      if (!isMissing(error)) throw error;
      // As if nothing were written in it.
      const { fileBytes } = segment.facts;
      return checkOfScan(segment, { sequence, header: undefined, pieces: [], dirtyEnd: 0, fileBytes });
    }
    try {
      const scan = await scanSegment(file, sequence, logId, () => undefined);
      return scan.ok ? checkOfScan(segment, scan.value) : undefined;
    } finally {
      await file.close();
    }
  }

  async #mendRewritten(
    segment: SealedSegment,
    sources: readonly BatchSource[],
    exclusively: Exclusively,
  ): Promise<MendReport> {
    const { damage } = this.#parts;
    const damaged = await damagedRows(this.#parts, segment);
    if (damaged === undefined) return refused("its index is damaged");
    const patches = await patchesOfRewritten(this.#parts, segment, damaged, sources);
    if (patches.length > 0) {
      const copy = { bytes: segment.facts.fileBytes, blank: [], patches };
      const swapped = await this.#replace(segment, "compacted", copy, exclusively, () => Promise.resolve());
      if (swapped !== undefined) return refused(swapped);
    }
    const left = patches.length === 0 ? damaged : ((await damagedRows(this.#parts, segment)) ?? []);
    damage.resolve(segment.sequence, MENDED_KINDS);
    for (const found of damageInRows(segment, left)) damage.add(found);
    return { entries: 0, batches: damaged.length - left.length, left: left.length };
  }

  /** What is wrong with it now. */
  async #judge(segment: SealedSegment | UnsealedSegment): Promise<number> {
    const { damage, segments } = this.#parts;
    damage.resolve(segment.sequence, MENDED_KINDS);
    const check = (await checkSegment(this.#parts, segment)) ?? (await this.#scan(segment));
    if (check === undefined || segments.bySequence(segment.sequence) === undefined) return 0;
    for (const found of damageIn(check)) damage.add(found);
    return leftIn(check);
  }

  /** Asks one after the other, until nothing is missing. */
  async #collect(mending: Mending, sources: readonly EntrySource[]): Promise<void> {
    for (const source of sources) {
      for (const { from, to } of mending.ranges()) {
        for (let next = from; next <= to && !this.#stopped;) {
          const offered = await source.entries(next, to);
          const last = offered?.entries.at(-1);
          if (offered === undefined || last === undefined || last.index < next) break;
          mending.offer(offered);
          next = last.index + 1;
        }
      }
      // What does not fit the chain is forgotten, and asked of the next one.
      mending.entries();
      if (mending.ranges().length === 0) return;
    }
  }

  /** The entry before the segment's first, if that is known here. */
  #before(segment: Segment, horizon: LogEnd): LogEnd | undefined {
    const index = segment.firstIndex - 1;
    if (index === 0) return EMPTY_LOG;
    if (segment.kind === "unsealed" && segment.previous.term > 0 && segment.previous.hash !== 0n)
      return segment.previous;
    if (horizon.index === index) return horizon;
    const previous = this.#parts.segments.find(index);
    const end = previous?.kind === "sealed" ? previous.facts.end : previous?.endAt(index);
    return end?.index === index && end.term > 0 ? end : undefined;
  }

  /** The identity of the segment's last entry, if that is known without it. */
  async #last(segment: SealedSegment | UnsealedSegment): Promise<bigint | undefined> {
    const { segments, indexReader, files, logId } = this.#parts;
    const { hash } = segment.kind === "sealed" ? segment.facts.end : segment.end;
    if (hash !== 0n) return hash;
    const index = segment.lastIndex + 1;
    const next = segments.find(index);
    if (next?.kind === "unsealed") return next.previous.hash === 0n ? undefined : next.previous.hash;
    const extent = next === undefined || next.isRewritten ? undefined : await indexReader.entry(next, 0);
    if (next === undefined || extent === undefined) return undefined;
    const [frame] = await files.fetch(next, [extent]);
    const at = { logId, sequence: next.sequence, place: extent.place, index };
    return frame && readEntryFrame(frame, at)?.head.previousHash;
  }

  /** The same, as another node knows it; proven by what the segment's first entry says of it. */
  async #ask(check: SegmentCheck, sources: readonly EntrySource[]): Promise<LogEnd | undefined> {
    const index = check.segment.firstIndex - 1;
    for (const source of sources) {
      const offered = await source.entries(index, index);
      const entry = offered?.entries[0];
      if (offered === undefined || entry?.index !== index) continue;
      const hash = hashOfEntry(this.#parts.logId, entry, offered.previousHash);
      if (hash === check.previousHash[0]) return { index, term: entry.term, hash, logTime: entry.logTime };
    }
    return undefined;
  }

  #header(segment: Segment, previous: LogEnd): Patch {
    const { sequence } = segment;
    return { place: 0, bytes: encodeSegmentHeader({ logId: this.#parts.logId, sequence, previous }) };
  }

  /** Why it could not be done, if so. */
  async #swap(
    check: SegmentCheck,
    mending: Mending,
    mended: readonly MendedEntry[],
    patches: Patch[],
    exclusively: Exclusively,
  ): Promise<string | undefined> {
    const { segment } = check;
    const blank = mending.blanks(mended);
    // With what ended the segment, its footer went too.
    if (blank.some(({ end }) => end === Number.POSITIVE_INFINITY)) patches.push(this.#footer(check, mended));
    const bytes = segment.kind === "sealed" ? segment.facts.fileBytes : segment.allocatedBytes;
    return this.#replace(segment, "log", { bytes, blank, patches }, exclusively, (now) => this.#taken(now, mended));
  }

  /** A corrected copy takes the place of a segment's file. Why it could not be done, if so. */
  async #replace(
    segment: Segment,
    kind: "log" | "compacted",
    copy: Pick<PatchedCopy, "bytes" | "blank" | "patches">,
    exclusively: Exclusively,
    taken: (now: Segment) => Promise<void>,
  ): Promise<string | undefined> {
    const { disk, layout, poison, pool } = this.#parts;
    const { sequence } = segment;
    const from = layout.file(sequence, kind);
    const to = layout.file(sequence, `${kind}.new`);
    const state = stateOf(segment);
    try {
      await copyPatched(this.#parts, { from, to, ...copy });
    } catch (error) {
      if (error instanceof DiskError && error.code === "no-space") return "the disk has no room for the copy";
      throw error;
    }
    return exclusively(async () => {
      const now = this.#parts.segments.bySequence(sequence);
      if (this.#stopped || now === undefined || !isAsBefore(now, state)) {
        await disk.remove(to);
        return "it has changed meanwhile";
      }
      try {
        await disk.rename(to, from);
        await syncSegments(this.#parts);
      } catch (error) {
        // Which of the two has the name cannot be known: only a start can tell.
        throw poison.with(error);
      }
      await pool.forget(from);
      await taken(now);
      return undefined;
    });
  }

  /** The file has its name: readers go to it, and the index knows what was lost. */
  async #taken(segment: Segment, mended: readonly MendedEntry[]): Promise<void> {
    const { disk, layout, segments } = this.#parts;
    if (segment.kind === "sealed") return;
    const path = layout.file(segment.sequence, "log");
    const before = segment.file;
    segment.file = new SharedFile(await disk.open(path, "read-write"));
    void before.retire().catch(() => undefined);
    for (const { slot, place, hash, entry } of mended) segment.index.mend(slot, place, hash, entry);
    segments.rebuildTerms();
  }

  #footer(check: SegmentCheck, mended: readonly MendedEntry[]): Patch {
    const { segment, count, place, length } = check;
    const last = mended.find(({ slot }) => slot === count - 1);
    const known = (place[count - 1] as number) + (length[count - 1] as number);
    const dataEnd = aligned(last === undefined ? known : last.place + frameLengthOf(last.entry));
    const closing = {
      last: segment.kind === "sealed" ? segment.facts.end : segment.end,
      nextSequence: segment.sequence + 1,
      endPlace: dataEnd,
      dataEnd,
    };
    return { place: closingPlace(dataEnd), bytes: encodeClosing("footer", segment.sequence, closing) };
  }
}

function leftIn({ broken, headerIsIntact }: SegmentCheck): number {
  return broken.size + (headerIsIntact ? 0 : 1);
}

/** What an append or a cut changes. */
function stateOf(segment: Segment): {
  readonly lastIndex: LogIndex;
  readonly isRewritten: boolean;
  readonly writeEnd: number | undefined;
} {
  const { lastIndex } = segment;
  return segment.kind === "sealed"
    ? { lastIndex, isRewritten: segment.isRewritten, writeEnd: undefined }
    : { lastIndex, isRewritten: false, writeEnd: segment.writeEnd };
}

/** It may have been sealed meanwhile: its file is the same. */
function isAsBefore(now: Segment, before: ReturnType<typeof stateOf>): boolean {
  if (now.lastIndex !== before.lastIndex) return false;
  return now.kind === "sealed" ? now.isRewritten === before.isRewritten : now.writeEnd === before.writeEnd;
}

function refused(reason: string): MendReport {
  return { ...NOTHING_DONE, refused: reason };
}
