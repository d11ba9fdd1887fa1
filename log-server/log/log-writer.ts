/**
 * Writes the log: group commit, rolling to the next segment, cutting a conflicting suffix, and the marks and footers
 * that prove what was synced. One thing at a time.
 *
 * A failed write or sync is final (P30): the log is poisoned, nothing is acknowledged and nothing written any more,
 * for nobody can know what the disk holds.
 */
import { assert } from "../../src/lib/assert.ts";
import { type Disk, DiskError } from "../../src/ports/disk.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { CLOSING_LENGTH, closingPlace, encodeClosing, type LogEnd } from "./entries/closing.ts";
import { frameLengthOf } from "./entries/entry-frame.ts";
import { aligned, SECTOR_BYTES } from "./entries/frame.ts";
import { GroupEncoder } from "./entries/group-encoder.ts";
import type { LogLimits } from "./limits.ts";
import type { LogLayout } from "./log-layout.ts";
import type { Poison } from "./poison.ts";
import { setAside } from "./repair/quarantine.ts";
import type { NewestSegment } from "./segments/newest-segment.ts";
import type { Sealer } from "./segments/sealer.ts";
import { encodeSegmentHeader, SEGMENT_HEADER_LENGTH } from "./segments/segment-header.ts";
import type { AmbiguousTail } from "./segments/segment-judge.ts";
import type { SegmentList } from "./segments/segment-list.ts";
import type { Spares } from "./segments/spares.ts";
import type { TailCache } from "./index/tail-cache.ts";
import { beginSegment, type Spare, type UnsealedSegment } from "./segments/unsealed-segment.ts";
import { syncSegments } from "./segments/sync-segments.ts";

/** Kept free in each segment for a footer, which may begin a sector later. */
const FOOTER_RESERVE_BYTES = 2 * SECTOR_BYTES;
const REWRITE_BYTES = 1_024 * 1_024;

export type WriterParts = {
  readonly disk: Disk;
  readonly layout: LogLayout;
  readonly limits: LogLimits;
  readonly logId: number;
  readonly segments: SegmentList;
  readonly spares: Spares;
  readonly newest: NewestSegment;
  readonly sealer: Sealer;
  readonly cache: TailCache;
  readonly poison: Poison;
};

/** A damaged tail that was cut off. */
export type DiscardedTail = {
  readonly segment: number;
  readonly fromIndex: number;
  readonly bytes: number;
  /** Where a copy is; undefined if there was no space for one. */
  readonly quarantine: string | undefined;
};

/** Entries `from` to before `to` of a group that go into one segment. */
type Run = { readonly from: number; readonly to: number; readonly bytes: number };

export class LogWriter {
  readonly #parts: WriterParts;
  readonly #encoder: GroupEncoder;
  #active: UnsealedSegment | undefined;
  #end: LogEnd;
  #ambiguous: AmbiguousTail | undefined;
  #busy = false;
  readonly #waiting: (() => void)[] = [];
  #groups = 0;

  constructor(parts: WriterParts, end: LogEnd, ambiguous: AmbiguousTail | undefined) {
    this.#parts = parts;
    this.#encoder = new GroupEncoder(parts.limits, parts.logId, parts.cache);
    this.#end = end;
    this.#ambiguous = ambiguous;
    const last = parts.segments.last;
    this.#active = last?.kind === "unsealed" && !last.closed ? last : undefined;
  }

  get end(): LogEnd {
    return this.#end;
  }

  get ambiguous(): AmbiguousTail | undefined {
    return this.#ambiguous;
  }

  /** Group commits so far. */
  get groups(): number {
    return this.#groups;
  }

  /** Durable when it resolves. See `SegmentedLog.append`. */
  append(entries: readonly Entry[]): Promise<void> {
    return this.#exclusively(() => this.#append(entries));
  }

  /** Closes the segment that is being written, so that all entries up to now can be sealed. */
  roll(): Promise<void> {
    return this.#exclusively(async () => {
      if (this.#active !== undefined && this.#active.index.count > 0 && this.#ambiguous === undefined)
        await this.#close(this.#active);
    });
  }

  /** Cuts off the ambiguous tail: nobody has what stood there. */
  discardAmbiguous(): Promise<DiscardedTail | undefined> {
    return this.#exclusively(() => this.#settle());
  }

  /** Runs something that must not meet an append or a cut. */
  whilePaused<T>(work: () => Promise<T>): Promise<T> {
    return this.#exclusively(work);
  }

  /** After recovery: makes sure that what is offered is durable, and says so on the disk. */
  proveTail(): Promise<void> {
    return this.#exclusively(async () => {
      const { last, unsealed } = this.#parts.segments;
      for (const segment of unsealed) if (segment !== last) await this.#guard(() => segment.file.raw.sync());
      if (last?.kind !== "unsealed" || last.marked) return;
      await this.#guard(() => this.#rewrite(last, last.syncedUpTo, this.#ambiguous?.place ?? last.writeEnd));
      if (this.#ambiguous !== undefined) return;
      last.syncedUpTo = last.writeEnd;
      if (!last.closed) await this.#mark(last);
    });
  }

  /** Proves the end, so that the next start finds nothing ambiguous. */
  close(): Promise<void> {
    return this.#exclusively(async () => {
      const active = this.#active;
      if (
        active === undefined ||
        active.marked ||
        this.#ambiguous !== undefined ||
        this.#parts.poison.error !== undefined
      )
        return;
      await this.#mark(active);
    });
  }

  async #append(given: readonly Entry[]): Promise<void> {
    this.#check(given);
    if (this.#ambiguous !== undefined) await this.#settle();
    const from = given.findIndex((entry) => !this.#has(entry));
    if (from < 0) return;
    const entries = from === 0 ? given : given.slice(from);
    const first = entries[0] as Entry;
    if (first.index <= this.#end.index) await this.#cut(first);
    assert(first.index === this.#end.index + 1 && first.term >= this.#end.term, "I2: entries follow one another");
    const runs = this.#plan(entries);
    const spares = await this.#reserve(runs);
    for (const [at, run] of runs.entries()) {
      const spare = spares[at];
      if (spare !== undefined) await this.#begin(spare);
      await this.#write(entries, run);
    }
    this.#refuseIfPoisoned();
  }

  /**
   * Whoever appends does not always know what is there: of a group that spanned two segments the first half may be, and damage at
   * the end of the log hides the terms before it from the core. It stays as it is (P8).
   */
  #has({ index, term }: Entry): boolean {
    const segment = index <= this.#end.index ? this.#parts.segments.find(index) : undefined;
    return segment?.kind === "unsealed" && segment.term(index) === term;
  }

  #check(entries: readonly Entry[]): void {
    assert(entries.length > 0, "a group has entries");
    let previous = entries[0] as Entry;
    for (const entry of entries) {
      const follows = entry === previous || (entry.index === previous.index + 1 && entry.term >= previous.term);
      assert(follows && entry.term > 0, "I2: entries follow one another, and terms begin at 1");
      for (const batch of entry.batches)
        assert(batch.bytes?.length === batch.length, "an entry to append has the bytes of its batches");
      previous = entry;
    }
  }

  /** How a group is divided over segments; the first run may be empty. */
  #plan(entries: readonly Entry[]): Run[] {
    const { segmentBytes } = this.#parts.limits;
    const active = this.#active;
    let room =
      active === undefined ? 0 : Math.max(segmentBytes, active.allocatedBytes) - FOOTER_RESERVE_BYTES - active.writeEnd;
    const runs: Run[] = [];
    let from = 0;
    let bytes = 0;
    entries.forEach((entry, at) => {
      const length = aligned(frameLengthOf(entry));
      if (bytes + length > room && (at > from || runs.length === 0)) {
        runs.push({ from, to: at, bytes });
        from = at;
        bytes = 0;
        room = segmentBytes - FOOTER_RESERVE_BYTES - SEGMENT_HEADER_LENGTH;
      }
      bytes += length;
    });
    runs.push({ from, to: entries.length, bytes });
    return runs;
  }

  /** A spare for each run but the first, before anything is written: with too little space nothing has happened. */
  async #reserve(runs: readonly Run[]): Promise<(Spare | undefined)[]> {
    const { spares, limits } = this.#parts;
    const reserved: (Spare | undefined)[] = [undefined];
    try {
      for (const run of runs.slice(1)) {
        reserved.push(
          await spares.take(Math.max(limits.segmentBytes, SEGMENT_HEADER_LENGTH + run.bytes + FOOTER_RESERVE_BYTES)),
        );
      }
    } catch (error) {
      for (const spare of reserved.reverse()) if (spare !== undefined) spares.giveBack(spare);
      throw error;
    }
    return reserved;
  }

  async #write(entries: readonly Entry[], run: Run): Promise<void> {
    const active = this.#active;
    if (run.to === run.from) return;
    assert(active !== undefined, "entries are written to a segment");
    const group = this.#encoder.encode(active, entries, run.from, run.to);
    try {
      await active.file.raw.writeSynced(group.place, group.chunks);
    } catch (error) {
      active.index.abort();
      throw this.#parts.poison.with(error);
    }
    active.index.commit();
    active.writeEnd = group.writeEnd;
    active.syncedUpTo = group.writeEnd;
    active.endPlace = group.writeEnd;
    active.allocatedBytes = Math.max(active.allocatedBytes, group.writeEnd);
    active.end = group.end;
    active.marked = false;
    const { terms } = this.#parts.segments;
    for (let at = run.from; at < run.to; at += 1) terms.add((entries[at] as Entry).index, (entries[at] as Entry).term);
    this.#end = group.end;
    this.#groups += 1;
  }

  /** Goes on in the next segment. */
  async #begin(spare: Spare): Promise<void> {
    if (this.#active !== undefined) await this.#close(this.#active);
    const segment = beginSegment(spare, this.#end);
    await this.#guard(async () => {
      const { logId, newest } = this.#parts;
      await segment.file.raw.write(0, [
        encodeSegmentHeader({ logId, sequence: segment.sequence, previous: this.#end }),
      ]);
      await segment.file.raw.sync();
      await newest.set(segment.sequence);
    });
    this.#parts.segments.add(segment);
    this.#active = segment;
    this.#parts.sealer.kick();
  }

  /** Closes the segment that is being written. */
  async #close(segment: UnsealedSegment): Promise<void> {
    await this.#writeFooter(segment, segment.end, segment.writeEnd);
    this.#active = undefined;
    this.#parts.sealer.kick();
  }

  /** Says, durably, that of this segment what is before `endPlace` counts, and that the log goes on in a later one than any now. */
  async #writeFooter(segment: UnsealedSegment, end: LogEnd, endPlace: number): Promise<void> {
    const nextSequence = (this.#parts.segments.last?.sequence ?? segment.sequence) + 1;
    await this.#writeClosing(segment, "footer", { last: end, nextSequence, endPlace, dataEnd: segment.writeEnd });
    segment.closed = true;
    segment.marked = false;
  }

  async #mark(segment: UnsealedSegment): Promise<void> {
    const { segmentBytes } = this.#parts.limits;
    const behind = closingPlace(segment.writeEnd) + CLOSING_LENGTH + FOOTER_RESERVE_BYTES;
    if (behind > Math.max(segmentBytes, segment.allocatedBytes)) {
      await this.#close(segment);
      return;
    }
    await this.#writeClosing(segment, "mark", {
      last: segment.end,
      nextSequence: 0,
      endPlace: segment.writeEnd,
      dataEnd: segment.writeEnd,
    });
    segment.marked = true;
  }

  async #writeClosing(
    segment: UnsealedSegment,
    kind: "mark" | "footer",
    closing: Parameters<typeof encodeClosing>[2],
  ): Promise<void> {
    const place = closingPlace(closing.dataEnd);
    await this.#guard(async () => {
      await segment.file.raw.write(place, [encodeClosing(kind, segment.sequence, closing)]);
      await segment.file.raw.sync();
    });
    segment.writeEnd = aligned(place + CLOSING_LENGTH);
    segment.syncedUpTo = segment.writeEnd;
    segment.allocatedBytes = Math.max(segment.allocatedBytes, segment.writeEnd);
  }

  /** Takes a conflicting suffix out of the log: from the index of `first` on, another leader's entries come. */
  async #cut(first: Entry): Promise<void> {
    const { segments, sealer, disk, newest } = this.#parts;
    const { index } = first;
    const segment = segments.find(index);
    assert(segment?.kind === "unsealed", "I6: what is applied is never cut");
    const end = segment.endAt(index - 1) ?? { index: index - 1, term: 0, hash: 0n, logTime: 0 };
    const placed = segment.index.entries.placed[segment.index.slotOf(index)];
    assert(placed === 0, "I6: what is applied is never cut");
    await sealer.whilePaused(async () => {
      const cutOff = segments.unsealed.filter((other) => other.sequence > segment.sequence);
      const endPlace = segment.placeBefore(index);
      await this.#writeFooter(segment, end, endPlace);
      segment.index.cut(index);
      segment.end = end;
      segment.endPlace = endPlace;
      segments.terms.cut(index);
      this.#active = undefined;
      this.#end = end;
      for (const other of cutOff) segments.remove(other);
      await this.#guard(async () => {
        for (const other of cutOff) await newest.leave(other.sequence, segment.sequence);
        for (const other of cutOff) {
          await other.file.retire();
          await disk.remove(other.path);
        }
        if (cutOff.length > 0) await syncSegments(this.#parts);
      });
    });
    sealer.kick();
  }

  async #settle(): Promise<DiscardedTail | undefined> {
    const ambiguous = this.#ambiguous;
    const segment = this.#active ?? this.#parts.segments.last;
    if (ambiguous === undefined) return undefined;
    assert(segment?.kind === "unsealed", "an ambiguous tail is in the last segment");
    const { disk, layout, limits } = this.#parts;
    const bytes = new Uint8Array(Math.max(0, segment.writeEnd - ambiguous.place));
    // What the medium does not give back cannot be kept either.
    await segment.file.raw.read(ambiguous.place, bytes).catch(() => 0);
    const quarantine = await this.#guard(() =>
      setAside(disk, layout, limits, { sequence: segment.sequence, place: ambiguous.place, bytes }),
    );
    await this.#writeFooter(segment, segment.end, ambiguous.place);
    segment.endPlace = ambiguous.place;
    this.#active = undefined;
    this.#ambiguous = undefined;
    this.#parts.sealer.kick();
    return { segment: segment.sequence, fromIndex: ambiguous.fromIndex, bytes: bytes.length, quarantine };
  }

  /**
   * Writes what is there once more and syncs it: it may be in memory only, and after a failed sync the kernel takes
   * such pages for clean (P30).
   */
  async #rewrite(segment: UnsealedSegment, from: number, to: number): Promise<void> {
    const file = segment.file.raw;
    for (let place = from; place < to; place += REWRITE_BYTES) {
      const bytes = new Uint8Array(Math.min(REWRITE_BYTES, to - place));
      const read = await file.read(place, bytes);
      if (read > 0) await file.write(place, [bytes.subarray(0, read)]);
    }
    await file.sync();
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#parts.poison.with(error);
    }
  }

  /** Also at the end: what failed meanwhile may have been the sync that made the name of a segment durable (P30, I5). */
  #refuseIfPoisoned(): void {
    const { error } = this.#parts.poison;
    if (error !== undefined)
      throw new DiskError("io", this.#parts.layout.root, `the log takes no writes: ${error.message}`, { cause: error });
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    while (this.#busy) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#refuseIfPoisoned();
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
      this.#waiting.shift()?.();
    }
  }
}
