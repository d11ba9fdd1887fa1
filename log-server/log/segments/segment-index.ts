/**
 * The index of an unsealed segment: its entries, their batches, and for each stream its batches in offset order.
 *
 * Entries are staged while they are on their way to the disk and count once committed. Batches belong to no stream
 * until their entry is applied: readers see only applied (I6).
 */
import { assert } from "../../../src/lib/assert.ts";
import { firstNotBefore } from "../../../src/lib/sorted.ts";
import type { Entry } from "../../../src/wire/entry.ts";
import { headLengthOf } from "../entries/entry-codec.ts";
import { frameLengthOf } from "../entries/entry-frame.ts";
import { EntryTable, type EntrySlot } from "./entry-table.ts";
import { FRAME_HEADER_LENGTH } from "../entries/frame.ts";
import { RowTable } from "./row-table.ts";
import type { EntryPiece } from "./segment-scan.ts";

/** What the state machine did with a batch; as `log-server/streams` reports it. */
export type BatchPlacement =
  | {
      readonly accepted: true;
      readonly streamId: number;
      readonly incarnation: number;
      readonly firstOffset: number;
      readonly span: number;
    }
  | { readonly accepted: false };

/** A stream's batches in this segment. */
export type StreamRows = {
  readonly incarnation: number;
  /** Of the row table, by offset. */
  readonly rows: number[];
  endOffset: number;
  bytes: number;
  lastLogTime: number;
};

export class SegmentIndex {
  readonly firstIndex: number;
  readonly entries: EntryTable = new EntryTable();
  readonly rows: RowTable = new RowTable();
  readonly streams: Map<number, StreamRows> = new Map();
  /** Batches that the state machine did not accept. */
  readonly rejected: number[] = [];
  /** Entries that count; those behind are staged. */
  #committed = 0;
  #placed = 0;

  constructor(firstIndex: number) {
    this.firstIndex = firstIndex;
  }

  /** Committed entries. */
  get count(): number {
    return this.#committed;
  }

  get lastIndex(): number {
    return this.firstIndex + this.#committed - 1;
  }

  /** Where all batches of all entries are is known. */
  get complete(): boolean {
    return this.#placed === this.#committed;
  }

  slotOf(index: number): number {
    return index - this.firstIndex;
  }

  /** Adds an entry; its batches have been added to `rows` from `firstRow` on. */
  stage(entry: EntrySlot): void {
    this.entries.add(entry);
  }

  /** Adds an entry that was found in the segment's file, and its batches. */
  stageFound({ place, frame, head }: Pick<EntryPiece, "place" | "frame" | "head">): void {
    const { entries, rows } = this;
    const firstRow = rows.count;
    let batchPlace = place + FRAME_HEADER_LENGTH + frame.headLength;
    for (const { length, span, hash } of head.batches) {
      rows.add(batchPlace, length, span, hash, entries.count);
      batchPlace += length;
    }
    const { length, entryHash: hash } = frame;
    const { term, logTime } = head;
    this.stage({ place, length, term, hash, logTime, firstRow, rowCount: head.batches.length, intact: true });
  }

  commit(): void {
    this.#committed = this.entries.count;
  }

  /** Forgets what is staged: it did not reach the disk, as far as is known. */
  abort(): void {
    if (this.#committed === this.entries.count) return;
    this.rows.truncate(this.entries.firstRow[this.#committed] as number);
    this.entries.truncate(this.#committed);
  }

  /** Forgets the committed entries from `index` on: none of them is applied. */
  cut(index: number): void {
    const slot = this.slotOf(index);
    assert(slot >= 0 && slot <= this.#committed, "a cut is within the segment");
    for (let at = slot; at < this.entries.count; at += 1)
      assert(this.entries.placed[at] === 0, "I6: what is applied is never cut");
    // Their rows stay, unused: nothing is appended to a segment that was cut.
    this.entries.truncate(slot);
    this.#committed = slot;
  }

  /** A lost entry is there again, at a place of its own. What an image had kept of its batches stays. */
  mend(slot: number, place: number, hash: bigint, entry: Entry): void {
    const { entries, rows } = this;
    assert(slot < this.#committed && entries.intact[slot] === 0, "an entry of the segment that was lost");
    entries.place[slot] = place;
    entries.length[slot] = frameLengthOf(entry);
    entries.hash[slot] = hash;
    entries.term[slot] = entry.term;
    entries.logTime[slot] = entry.logTime;
    entries.intact[slot] = 1;
    if (entries.placed[slot] === 1) return;
    entries.firstRow[slot] = rows.count;
    entries.rowCount[slot] = entry.batches.length;
    let batchPlace = place + FRAME_HEADER_LENGTH + headLengthOf(entry);
    for (const { length, span, hash: batchHash } of entry.batches) {
      rows.add(batchPlace, length, span, batchHash, slot);
      batchPlace += length;
    }
  }

  /** Where its batches are is known already. */
  isPlaced(index: number): boolean {
    return this.entries.placed[this.slotOf(index)] === 1;
  }

  /** The state machine has applied an entry; `placements` are of its batches, in order. */
  place(index: number, placements: readonly BatchPlacement[]): void {
    const slot = this.slotOf(index);
    const { entries } = this;
    assert(
      slot >= 0 && slot < this.#committed && entries.placed[slot] === 0,
      "I4: entries are applied once, from the log",
    );
    assert(placements.length === entries.rowCount[slot], "each batch has one placement");
    entries.placed[slot] = 1;
    this.#placed += 1;
    const firstRow = entries.firstRow[slot] as number;
    for (let ordinal = 0; ordinal < placements.length; ordinal += 1) {
      this.#placeRow(firstRow + ordinal, entries.logTime[slot] as number, placements[ordinal] as BatchPlacement);
    }
  }

  #placeRow(row: number, logTime: number, placement: BatchPlacement): void {
    if (!placement.accepted) {
      this.rejected.push(row);
      return;
    }
    const { streamId, incarnation, firstOffset, span } = placement;
    assert(span === this.rows.span[row], "I7: a batch covers the offsets it claims");
    this.rows.stream[row] = streamId;
    this.rows.firstOffset[row] = firstOffset;
    const length = this.rows.length[row] as number;
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.streams.set(streamId, {
        incarnation,
        rows: [row],
        endOffset: firstOffset + span,
        bytes: length,
        lastLogTime: logTime,
      });
      return;
    }
    assert(firstOffset >= stream.endOffset, "I7: offsets are in log order");
    stream.rows.push(row);
    stream.endOffset = firstOffset + span;
    stream.bytes += length;
    stream.lastLogTime = logTime;
  }

  /** Where in the stream's rows the batch that holds `offset` is, or else the first behind it; -1 if there is none. */
  find(streamId: number, offset: number): number {
    const { firstOffset, span } = this.rows;
    return this.#search(streamId, (row) => (firstOffset[row] as number) + (span[row] as number) > offset);
  }

  /** The first of the stream's rows that was appended at this log time or later; -1 if there is none. */
  findAt(streamId: number, atMs: number): number {
    const { slot } = this.rows;
    const { logTime } = this.entries;
    return this.#search(streamId, (row) => (logTime[slot[row] as number] as number) >= atMs);
  }

  /** The first of the stream's rows of which this is true; it is true of all behind that. */
  #search(streamId: number, isReached: (row: number) => boolean): number {
    const rows = this.streams.get(streamId)?.rows;
    if (rows === undefined || !isReached(rows.at(-1) as number)) return -1;
    return firstNotBefore(rows, (row) => !isReached(row));
  }
}
