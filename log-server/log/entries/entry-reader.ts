/**
 * Reads entries by index. What leaves here was verified: an entry against its identity, each batch against the
 * directory. A damaged batch leaves its entry usable; a damaged head ends a read.
 */
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { Entry } from "../../../src/wire/entry.ts";
import type { Extent } from "../rewrite/batch-fetch.ts";
import type { LogEnd } from "./closing.ts";
import type { Damage, DamageList } from "../repair/damage.ts";
import { type EntryFrame, readEntryFrame } from "./entry-frame.ts";
import type { LogLimits } from "../limits.ts";
import type { OfferedEntries } from "../repair/mending.ts";
import type { IndexReader } from "../segments/sealed-segment.ts";
import type { SegmentFiles } from "../segments/segment-files.ts";
import type { Segment, SegmentList } from "../segments/segment-list.ts";

export type EntryReaderParts = {
  readonly logId: number;
  readonly limits: LogLimits;
  readonly segments: SegmentList;
  readonly indexReader: IndexReader;
  readonly files: SegmentFiles;
  readonly damage: DamageList;
};

/** Where an entry's frame stands. */
type WantedEntry = Extent & { readonly index: number };

/** In a frame's header. */
const ENTRY_HASH_AT = 24;

export class EntryReader {
  readonly #parts: EntryReaderParts;

  constructor(parts: EntryReaderParts) {
    this.#parts = parts;
  }

  /** See `SegmentedLog.entries`. */
  async entries(from: number, to: number, maxBytes: number): Promise<Result<Entry[], Damage>> {
    const entries: Entry[] = [];
    let room = maxBytes;
    for (let next = from; next <= to && (room > 0 || entries.length === 0);) {
      const part = await this.#entriesOfOne(next, to, room);
      if (!part.ok) return entries.length > 0 ? ok(entries) : part;
      for (const entry of part.value.entries) entries.push(entry);
      next += part.value.entries.length;
      room -= part.value.bytes;
      if (part.value.damaged) break;
    }
    return ok(entries);
  }

  /** The same for others, to mend a log of theirs, from the first on that can be read; of that, as many as follow. */
  async offered(from: number, to: number, maxBytes: number): Promise<OfferedEntries | undefined> {
    const { segments, limits } = this.#parts;
    let next = from;
    for (let tries = 0; next <= to && tries < limits.offerTriesMax; tries += 1) {
      const segment = segments.find(next);
      // What was dropped is not damaged here.
      if (segment === undefined) {
        next = segments.all.find(({ firstIndex }) => firstIndex > next)?.firstIndex ?? to + 1;
        continue;
      }
      const offered = await this.#offered(segment, next, to, maxBytes);
      if (offered !== undefined) return offered;
      next = segment.kind === "sealed" && segment.isRewritten ? segment.lastIndex + 1 : next + 1;
    }
    return undefined;
  }

  async #offered(segment: Segment, from: number, to: number, maxBytes: number): Promise<OfferedEntries | undefined> {
    const read = await this.entries(from, Math.min(to, segment.lastIndex), maxBytes);
    if (!read.ok) return undefined;
    const place = await this.#placeOfEntry(segment, from);
    const [bytes] = place === undefined ? [] : await this.#parts.files.fetch(segment, [place]);
    const frame = place && bytes && this.#frame(segment, bytes, place.place, from);
    return frame && { previousHash: frame.head.previousHash, entries: read.value };
  }

  /** What the chain has at an entry: what a snapshot of this position needs to know. Undefined where damage hides it. */
  async endAt(index: number): Promise<LogEnd | undefined> {
    const segment = this.#parts.segments.find(index);
    const known = segment?.kind === "unsealed" ? segment.endAt(index) : segment?.facts.end;
    if (known?.index === index) return known;
    const hasEntries = segment?.kind === "unsealed" || segment?.isRewritten === false;
    const extent = segment && hasEntries ? await this.#placeOfEntry(segment, index) : undefined;
    const [frame] = segment && extent ? await this.#parts.files.fetch(segment, [extent]) : [];
    const entry = segment && extent && this.#decode(segment, frame, extent.place, index);
    if (frame === undefined || entry === undefined) return undefined;
    const hash = new DataView(frame.buffer, frame.byteOffset, frame.byteLength).getBigUint64(ENTRY_HASH_AT, true);
    return { index, term: entry.term, hash, logTime: entry.logTime };
  }

  /** Of the one segment that holds `from`; stops before what is damaged. */
  async #entriesOfOne(
    from: number,
    to: number,
    maxBytes: number,
  ): Promise<Result<{ entries: Entry[]; bytes: number; damaged: boolean }, Damage>> {
    const segment = this.#parts.segments.find(from);
    if (segment === undefined)
      return this.#damaged({ kind: "segment", firstIndex: from, lastIndex: from, message: `entry ${from} is missing` });
    if (segment.kind === "sealed" && segment.isRewritten) {
      // Nobody applies them again, and none of them is lost: what they held that is live is there.
      const message = `of the entries up to ${segment.lastIndex} only what they appended is kept`;
      return err({
        kind: "segment",
        segment: segment.sequence,
        firstIndex: from,
        lastIndex: segment.lastIndex,
        message,
      });
    }
    const wanted = await this.#wantedEntries(segment, from, Math.min(to, segment.lastIndex), maxBytes);
    if (wanted.length === 0) return this.#damagedEntry(segment, from);
    const frames = await this.#parts.files.fetch(segment, wanted);
    const entries: Entry[] = [];
    let bytes = 0;
    for (const [at, { index, place, length }] of wanted.entries()) {
      const entry = this.#decode(segment, frames[at], place, index);
      if (entry === undefined) {
        const damage = this.#damagedEntry(segment, index);
        return entries.length > 0 ? ok({ entries, bytes, damaged: true }) : damage;
      }
      entries.push(entry);
      bytes += length;
    }
    return ok({ entries, bytes, damaged: false });
  }

  /** The entries from `from` on whose places are known, as many as fit, one at least. */
  async #wantedEntries(segment: Segment, from: number, to: number, maxBytes: number): Promise<WantedEntry[]> {
    const wanted: WantedEntry[] = [];
    let bytes = 0;
    for (let index = from; index <= to && (bytes < maxBytes || index === from); index += 1) {
      const place = this.#placeOfEntry(segment, index);
      const extent = place instanceof Promise ? await place : place;
      if (extent === undefined) break;
      wanted.push({ index, ...extent });
      bytes += extent.length;
    }
    return wanted;
  }

  #placeOfEntry(segment: Segment, index: number): Extent | undefined | Promise<Extent | undefined> {
    if (segment.kind === "sealed") {
      const record = this.#parts.indexReader.entry(segment, index - segment.firstIndex);
      return record.then((found) => (found === undefined || found.place === 0 ? undefined : found));
    }
    const { entries } = segment.index;
    const slot = segment.index.slotOf(index);
    if (entries.intact[slot] === 0) return undefined;
    return { place: entries.place[slot] as number, length: entries.length[slot] as number };
  }

  /** The entry in a frame; undefined if it is damaged. A batch that is has no bytes. */
  #decode(segment: Segment, frame: Uint8Array | undefined, place: number, index: number): Entry | undefined {
    const read = frame && this.#frame(segment, frame, place, index);
    if (read === undefined) return undefined;
    for (const [ordinal, { bytes }] of read.batches.entries()) {
      if (bytes !== undefined) continue;
      this.#parts.damage.add({
        kind: "batch",
        segment: segment.sequence,
        place,
        firstIndex: index,
        lastIndex: index,
        message: `batch ${ordinal} of entry ${index} is damaged`,
      });
    }
    const { term, kind, logTime, head } = read.head;
    return { index, term, kind, logTime, head, batches: read.batches };
  }

  #frame(segment: Segment, bytes: Uint8Array, place: number, index: number): EntryFrame | undefined {
    return readEntryFrame(bytes, { logId: this.#parts.logId, sequence: segment.sequence, place, index });
  }

  #damagedEntry(segment: Segment, index: number): Result<never, Damage> {
    return this.#damaged({
      kind: "entry",
      segment: segment.sequence,
      firstIndex: index,
      lastIndex: index,
      message: `entry ${index} is damaged`,
    });
  }

  #damaged(damage: Damage): Result<never, Damage> {
    return err(this.#parts.damage.add(damage));
  }
}
