/**
 * The rows that the image keeps of the unsealed segments' index, so that what is applied need not be applied again:
 * each holds what is known of some consecutive applied entries of one segment, batches included, so that those can be
 * read even if their entry's head is damaged later.
 *
 *     key    u64 segment · u64 first index, big-endian
 *     value  varint entries, then per entry: varint term · u64 hash · varint place · varint length · varint log time ·
 *            varint batches, then per batch: varint place · varint length · varint span · u64 hash ·
 *            varint stream + 1 (0: not accepted), and if accepted varint incarnation · varint first offset
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import type { LogLimits } from "../limits.ts";
import type { Row, RowChange } from "../../../src/record/row.ts";
import type { BatchPlacement } from "../segments/segment-index.ts";
import type { UnsealedSegment } from "../segments/unsealed-segment.ts";

const KEY_LENGTH = 16;

/** Reused: encoding is synchronous. */
const writer = new ByteWriter(4_096);

export type TailBatch = {
  readonly place: number;
  readonly length: number;
  readonly span: number;
  readonly hash: bigint;
  readonly placement: BatchPlacement;
};

export type TailEntry = {
  readonly index: number;
  readonly term: number;
  readonly hash: bigint;
  readonly place: number;
  readonly length: number;
  readonly logTime: number;
  readonly batches: readonly TailBatch[];
};

export type TailRow = {
  readonly sequence: number;
  readonly firstIndex: number;
  readonly entries: readonly TailEntry[];
};

/** A row that is full, encoded once, when its last entry was applied. */
type ClosedRow = { readonly key: Uint8Array; readonly value: Uint8Array; saved: boolean };

/** Of one segment. */
type SegmentTail = {
  readonly closed: ClosedRow[];
  /** The row that is being filled; a save writes what there is of it. */
  open: { readonly firstIndex: number; lastIndex: number; batches: number } | undefined;
};

/** What one save changes; tell `done` when that is saved. */
export type TailChanges = {
  readonly changes: readonly RowChange[];
  /** All rows, those that did not change too. */
  readonly rows: readonly Row[];
  readonly commit: () => void;
};

/** The rows of the unsealed segments: what the image holds of them, and what is still to be saved. */
export class TailRows {
  readonly #limits: LogLimits;
  readonly #tails = new Map<number, SegmentTail>();
  #saved: readonly Row[] = [];

  constructor(limits: LogLimits) {
    this.#limits = limits;
  }

  /** All rows as of the last save. */
  get saved(): readonly Row[] {
    return this.#saved;
  }

  /** The image holds these rows, and nothing else. */
  reset(rows: readonly Row[]): void {
    this.#tails.clear();
    this.#saved = rows;
    for (const [key, value] of rows) {
      const { sequence } = readKey(key);
      const tail = this.#tailOf(sequence);
      tail.closed.push({ key, value, saved: true });
    }
  }

  /** An entry's batches are placed; told once of each, in order. */
  applied(segment: UnsealedSegment, index: number): void {
    const tail = this.#tailOf(segment.sequence);
    // An entry between was left out: its place is not known.
    if (tail.open !== undefined && tail.open.lastIndex + 1 !== index) this.#closeRow(segment, tail);
    const batches = segment.index.entries.rowCount[segment.index.slotOf(index)] as number;
    const open = (tail.open ??= { firstIndex: index, lastIndex: index, batches: 0 });
    open.lastIndex = index;
    open.batches += batches;
    const { tailRowEntries, tailRowBatches } = this.#limits;
    if (index - open.firstIndex + 1 >= tailRowEntries || open.batches >= tailRowBatches) this.#closeRow(segment, tail);
  }

  /** What brings the image to the last applied entry. */
  changes(unsealed: readonly UnsealedSegment[]): TailChanges {
    const changes: RowChange[] = [];
    const rows: Row[] = [];
    const commits: (() => void)[] = [];
    const present = new Set(unsealed.map((segment) => segment.sequence));
    for (const [sequence, tail] of this.#tails) {
      if (present.has(sequence)) continue;
      for (const row of tail.closed) changes.push({ key: row.key, value: undefined });
      if (tail.open !== undefined) changes.push({ key: keyOf(sequence, tail.open.firstIndex), value: undefined });
      commits.push(() => this.#tails.delete(sequence));
    }
    for (const segment of unsealed) {
      const tail = this.#tails.get(segment.sequence);
      if (tail === undefined) continue;
      for (const row of tail.closed) {
        rows.push([row.key, row.value]);
        if (row.saved) continue;
        changes.push({ key: row.key, value: row.value });
        commits.push(() => {
          row.saved = true;
        });
      }
      if (tail.open === undefined) continue;
      const { firstIndex, lastIndex } = tail.open;
      const key = keyOf(segment.sequence, firstIndex);
      const value = encodeRow(segment, firstIndex, lastIndex);
      rows.push([key, value]);
      changes.push({ key, value });
    }
    const commit = (): void => {
      for (const one of commits) one();
      this.#saved = rows;
    };
    return { changes, rows, commit };
  }

  #closeRow(segment: UnsealedSegment, tail: SegmentTail): void {
    if (tail.open === undefined) return;
    const { firstIndex, lastIndex } = tail.open;
    const value = encodeRow(segment, firstIndex, lastIndex);
    tail.closed.push({ key: keyOf(segment.sequence, firstIndex), value, saved: false });
    tail.open = undefined;
  }

  #tailOf(sequence: number): SegmentTail {
    const known = this.#tails.get(sequence);
    if (known !== undefined) return known;
    const tail: SegmentTail = { closed: [], open: undefined };
    this.#tails.set(sequence, tail);
    return tail;
  }
}

function encodeRow(segment: UnsealedSegment, from: number, to: number): Uint8Array {
  const { index } = segment;
  const { entries, rows } = index;
  writer.reset();
  writer.varint(to - from + 1);
  for (let slot = index.slotOf(from); slot <= index.slotOf(to); slot += 1) {
    const rowCount = entries.rowCount[slot] as number;
    writer.varint(entries.term[slot] as number).u64(entries.hash[slot] as bigint);
    writer.varint(entries.place[slot] as number).varint(entries.length[slot] as number);
    writer.varint(entries.logTime[slot] as number).varint(rowCount);
    const firstRow = entries.firstRow[slot] as number;
    for (let row = firstRow; row < firstRow + rowCount; row += 1) {
      writer
        .varint(rows.place[row] as number)
        .varint(rows.length[row] as number)
        .varint(rows.span[row] as number);
      writer.u64(rows.hash[row] as bigint);
      const streamId = rows.stream[row] as number;
      if (streamId < 0) writer.varint(0);
      else
        writer
          .varint(streamId + 1)
          .varint(index.streams.get(streamId)?.incarnation ?? 0)
          .varint(rows.firstOffset[row] as number);
    }
  }
  return writer.finish();
}

/** A row of the image, read back; undefined for one that is malformed. */
export function decodeTailRow([key, value]: Row): TailRow | undefined {
  if (key.length !== KEY_LENGTH) return undefined;
  const { sequence, firstIndex } = readKey(key);
  const reader = new ByteReader(value);
  const count = reader.count(reader.remaining);
  const entries: TailEntry[] = [];
  for (let entry = 0; entry < count && !reader.failed; entry += 1) {
    const term = reader.varint();
    const hash = reader.u64();
    const place = reader.varint();
    const length = reader.varint();
    const logTime = reader.varint();
    const batchCount = reader.count(reader.remaining);
    const batches: TailBatch[] = [];
    for (let batch = 0; batch < batchCount && !reader.failed; batch += 1) batches.push(decodeBatch(reader));
    entries.push({ index: firstIndex + entry, term, hash, place, length, logTime, batches });
  }
  return reader.complete && entries.length > 0 ? { sequence, firstIndex, entries } : undefined;
}

function decodeBatch(reader: ByteReader): TailBatch {
  const place = reader.varint();
  const length = reader.varint();
  const span = reader.varint();
  const hash = reader.u64();
  const stream = reader.varint();
  if (stream === 0) return { place, length, span, hash, placement: { accepted: false } };
  const incarnation = reader.varint();
  const firstOffset = reader.varint();
  return {
    place,
    length,
    span,
    hash,
    placement: { accepted: true, streamId: stream - 1, incarnation, firstOffset, span },
  };
}

function keyOf(sequence: number, firstIndex: number): Uint8Array {
  const key = new Uint8Array(KEY_LENGTH);
  const data = new DataView(key.buffer);
  data.setBigUint64(0, BigInt(sequence));
  data.setBigUint64(8, BigInt(firstIndex));
  return key;
}

function readKey(key: Uint8Array): { sequence: number; firstIndex: number } {
  const data = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return { sequence: Number(data.getBigUint64(0)), firstIndex: Number(data.getBigUint64(8)) };
}
