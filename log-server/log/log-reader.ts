/**
 * Reads the log: entries by index, batches by stream and offset. Everything that leaves here was verified; what does
 * not verify is a `Damage`, and never hides what is beside it.
 */
import { err, ok, type Result } from "../../src/lib/result.ts";
import { DiskError } from "../../src/ports/disk.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { Entry } from "../../src/wire/entry.ts";
import type { BatchIndex, StreamSegment } from "./batch-index.ts";
import { type Extent, fetchExtents, type FileAccess } from "./batch-fetch.ts";
import type { Damage, DamageList } from "./damage.ts";
import type { LogEnd } from "./closing.ts";
import { readEntryHead } from "./entry-codec.ts";
import type { FilePool } from "./file-pool.ts";
import { FRAME_HEADER_LENGTH, headIsIntact, readFrameHeader, seedOfSegment } from "./frame.ts";
import type { BatchRow } from "./index-block.ts";
import type { LogLimits } from "./limits.ts";
import type { LogLayout } from "./log-layout.ts";
import type { IndexReader, SealedSegment } from "./sealed-segment.ts";
import type { Segment, SegmentList } from "./segment-list.ts";
import { batchIsIntact } from "./segment-scan.ts";
import type { UnsealedSegment } from "./unsealed-segment.ts";
import { isGone, isMissing } from "./unreadable.ts";

export type StoredBatch = {
  readonly firstOffset: number;
  readonly span: number;
  readonly logTime: number;
  readonly hash: bigint;
  readonly bytes: Uint8Array;
};

export type ReaderParts = {
  readonly layout: LogLayout;
  readonly limits: LogLimits;
  readonly logId: number;
  readonly segments: SegmentList;
  readonly batchIndex: BatchIndex;
  readonly indexReader: IndexReader;
  readonly pool: FilePool;
  readonly damage: DamageList;
};

/** A batch to read, with its bytes if they are in memory. */
type WantedBatch = BatchRow & { readonly bytes?: Uint8Array | undefined };

/** Where an entry's frame stands. */
type WantedEntry = Extent & { readonly index: number };

export class LogReader {
  readonly #parts: ReaderParts;

  constructor(parts: ReaderParts) {
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

  /** What the chain has at an entry: what a snapshot of this position needs to know. */
  async endAt(index: number): Promise<LogEnd> {
    const segment = this.#parts.segments.find(index);
    const known = segment?.kind === "sealed" && segment.lastIndex === index ? segment.facts.end : undefined;
    if (known !== undefined) return known;
    const extent = segment && (await this.#placeOfEntry(segment, index));
    const [frame] = segment && extent ? await this.#fetch(segment, [extent]) : [];
    const entry = segment && extent && this.#decode(segment, frame, extent.place, index);
    if (frame === undefined || entry === undefined) {
      throw new DiskError("io", this.#parts.layout.segments, `entry ${index} is damaged`);
    }
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
    const wanted = await this.#wantedEntries(segment, from, Math.min(to, segment.lastIndex), maxBytes);
    if (wanted.length === 0) return this.#damagedEntry(segment, from);
    const frames = await this.#fetch(segment, wanted);
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
    if (frame === undefined) return undefined;
    const data = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    const header = readFrameHeader(frame, data, 0, seedOfSegment(segment.sequence), place);
    if (header === undefined || header === "unsupported" || header.kind !== "entry") return undefined;
    if (header.length !== frame.length || !headIsIntact(frame, 0, header)) return undefined;
    const head = readEntryHead(frame, data, FRAME_HEADER_LENGTH, header.headLength, this.#parts.logId);
    if (head === undefined || head.index !== index) return undefined;
    let at = FRAME_HEADER_LENGTH + header.headLength;
    const batches = head.batches.map((batch, ordinal): BatchRef => {
      const bytes = frame.subarray(at, at + batch.length);
      at += batch.length;
      if (batchIsIntact(bytes, batch)) return { ...batch, bytes };
      this.#parts.damage.add({
        kind: "batch",
        segment: segment.sequence,
        place,
        firstIndex: index,
        lastIndex: index,
        message: `batch ${ordinal} of entry ${index} is damaged`,
      });
      return batch;
    });
    const { term, kind, logTime } = head;
    return { index, term, kind, logTime, head: head.head, batches };
  }

  /** See `SegmentedLog.read`. */
  async read(streamId: number, from: number, to: number, maxBytes: number): Promise<Result<StoredBatch[], Damage>> {
    const batches: StoredBatch[] = [];
    let room = maxBytes;
    let next = from;
    for (
      let visited = 0;
      next < to && (room > 0 || batches.length === 0) && visited < this.#parts.limits.readSegmentsMax;
      visited += 1
    ) {
      const part = await this.#readOne(streamId, next, to, room);
      if (!part.ok) return batches.length > 0 ? ok(batches) : part;
      for (const batch of part.value) {
        batches.push(batch);
        room -= batch.bytes.length;
        next = batch.firstOffset + batch.span;
      }
    }
    return ok(batches);
  }

  /** From the one segment that holds the offset; one batch at least. */
  async #readOne(streamId: number, from: number, to: number, maxBytes: number): Promise<Result<StoredBatch[], Damage>> {
    const { removals } = this.#parts.segments;
    const damaged = (damage: Damage): Result<never, Damage> =>
      // What was dropped under the reader is gone, not damaged.
      removals === this.#parts.segments.removals ? this.#damaged(damage) : err(damage);
    const found =
      this.#inUnsealed(streamId, from, to, maxBytes) ?? (await this.#inSealed(streamId, from, to, maxBytes));
    const first = found?.wanted[0];
    if (found === undefined || first === undefined || first.firstOffset > from) {
      return damaged({
        kind: "index",
        streamId,
        firstOffset: from,
        message: `where offset ${from} of stream ${streamId} is, is not known`,
      });
    }
    const bytes = await this.#bytesOf(found.segment, found.wanted);
    const batches: StoredBatch[] = [];
    for (const [at, wanted] of found.wanted.entries()) {
      const { firstOffset, span, logTime, hash, place } = wanted;
      const content = bytes[at];
      if (content === undefined) {
        const segment = found.segment.sequence;
        const message = `the records from offset ${firstOffset} of stream ${streamId} on are damaged`;
        const damage = damaged({ kind: "batch", segment, place, streamId, firstOffset, message });
        return batches.length > 0 ? ok(batches) : damage;
      }
      batches.push({ firstOffset, span, logTime, hash, bytes: content });
    }
    return ok(batches);
  }

  #inUnsealed(
    streamId: number,
    from: number,
    to: number,
    maxBytes: number,
  ): { segment: UnsealedSegment; wanted: WantedBatch[] } | undefined {
    const { unsealed } = this.#parts.segments;
    for (let at = unsealed.length - 1; at >= 0; at -= 1) {
      const segment = unsealed[at] as UnsealedSegment;
      const stream = segment.index.streams.get(streamId);
      if (stream === undefined || from >= stream.endOffset) continue;
      const { rows, entries } = segment.index;
      if (from < (rows.firstOffset[stream.rows[0] as number] as number)) continue;
      const wanted: WantedBatch[] = [];
      let bytes = 0;
      for (
        let ordinal = segment.index.find(streamId, from);
        ordinal < stream.rows.length && (bytes < maxBytes || wanted.length === 0);
        ordinal += 1
      ) {
        const row = stream.rows[ordinal] as number;
        const firstOffset = rows.firstOffset[row] as number;
        if (firstOffset >= to) break;
        wanted.push({
          streamId,
          firstOffset,
          span: rows.span[row] as number,
          place: rows.place[row] as number,
          length: rows.length[row] as number,
          hash: rows.hash[row] as bigint,
          logTime: entries.logTime[rows.slot[row] as number] as number,
          bytes: rows.bytes[row],
        });
        bytes += rows.length[row] as number;
      }
      return { segment, wanted };
    }
    return undefined;
  }

  async #inSealed(
    streamId: number,
    from: number,
    to: number,
    maxBytes: number,
  ): Promise<{ segment: SealedSegment; wanted: WantedBatch[] } | undefined> {
    const { segments, batchIndex } = this.#parts;
    const near = batchIndex.before(streamId, from);
    const known = near !== undefined && from < near.endOffset ? segments.bySequence(near.sequence) : undefined;
    if (near !== undefined && known?.kind === "sealed") {
      const wanted = await this.#wantedRows(known, near, streamId, from, to, maxBytes);
      if (wanted !== undefined) return { segment: known, wanted };
    }
    return this.#searchSealed(streamId, from, to, maxBytes);
  }

  /** The sparse index does not know, or is wrong: the blocks themselves are asked, and it is corrected. */
  async #searchSealed(
    streamId: number,
    from: number,
    to: number,
    maxBytes: number,
  ): Promise<{ segment: SealedSegment; wanted: WantedBatch[] } | undefined> {
    const { segments, batchIndex, indexReader } = this.#parts;
    for (const segment of segments.sealed) {
      const record = await indexReader.stream(segment, streamId);
      if (record === undefined || record === "absent" || from < record.firstOffset || from >= record.endOffset)
        continue;
      const wanted = await this.#wantedRows(
        segment,
        { ...record, sequence: segment.sequence },
        streamId,
        from,
        to,
        maxBytes,
      );
      if (wanted === undefined) continue;
      await batchIndex.enter(segment, [record]).catch(() => undefined);
      return { segment, wanted };
    }
    return undefined;
  }

  /** Rows of a sealed segment from the one that holds `from` on: none if damage hides it; undefined if it is not there. */
  async #wantedRows(
    segment: SealedSegment,
    near: StreamSegment,
    streamId: number,
    from: number,
    to: number,
    maxBytes: number,
  ): Promise<WantedBatch[] | undefined> {
    const { indexReader } = this.#parts;
    const end = near.firstRow + near.rowCount;
    if (end > segment.facts.rowCount) return undefined;
    const first = await indexReader.findRow(segment, near.firstRow, near.rowCount, from);
    if (first === undefined) return [];
    if (first >= end) return undefined;
    const wanted: WantedBatch[] = [];
    let bytes = 0;
    for (let at = first; at < end && (bytes < maxBytes || at === first); at += 1) {
      if ((at - first) % READ_AHEAD_ROWS === 0)
        await indexReader.readAhead(segment, at, Math.min(end - at, READ_AHEAD_ROWS));
      const row = await indexReader.row(segment, at);
      if (row !== undefined && row.streamId !== streamId) return undefined;
      if (row === undefined || row.firstOffset >= to) break;
      wanted.push(row);
      bytes += row.length;
    }
    return wanted;
  }

  /** Verified; undefined where damaged. */
  async #bytesOf(segment: Segment, wanted: readonly WantedBatch[]): Promise<(Uint8Array | undefined)[]> {
    const missing = wanted.filter((batch) => batch.bytes === undefined);
    if (missing.length === 0) return wanted.map((batch) => batch.bytes);
    const fetched = await this.#fetch(segment, missing);
    let next = 0;
    return wanted.map((batch) => {
      if (batch.bytes !== undefined) return batch.bytes;
      const bytes = fetched[next];
      next += 1;
      return bytes !== undefined && batchIsIntact(bytes, batch) ? bytes : undefined;
    });
  }

  async #fetch(segment: Segment, extents: readonly Extent[]): Promise<(Uint8Array | undefined)[]> {
    const { pool, layout, limits } = this.#parts;
    const path = layout.file(segment.sequence, "log");
    const pooled: FileAccess = (work) => pool.use(path, work);
    const access: FileAccess = segment.kind === "sealed" ? pooled : (work) => segment.file.use(work);
    try {
      return await fetchExtents(access, extents, limits);
    } catch (error) {
      // It was sealed meanwhile, or dropped.
      if (!isGone(error)) throw error;
    }
    try {
      return await fetchExtents(pooled, extents, limits);
    } catch (error) {
      if (!isMissing(error)) throw error;
      return extents.map(() => undefined);
    }
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

/** In a frame's header. */
const ENTRY_HASH_AT = 24;

/** Rows of a sealed segment whose pages are brought in together. */
const READ_AHEAD_ROWS = 1_024;
