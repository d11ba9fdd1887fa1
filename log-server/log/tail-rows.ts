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
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import type { LogLimits } from "./limits.ts";
import type { Row, RowChange } from "../../src/record/row.ts";
import type { BatchPlacement } from "./segment-index.ts";
import type { UnsealedSegment } from "./unsealed-segment.ts";

const KEY_LENGTH = 16;

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

/** What one save changes, and what is saved once it succeeded. */
export type TailChanges = { readonly changes: RowChange[]; readonly saved: ReadonlyMap<number, SavedRows> };

/** Of a segment: the first indexes of its rows, and the last entry that they hold. */
type SavedRows = { readonly firstIndexes: readonly number[]; readonly lastIndex: number };

/** Remembers what the image holds, so that a save brings only what is new. */
export class TailRows {
  readonly #limits: LogLimits;
  #saved: ReadonlyMap<number, SavedRows> = new Map();

  constructor(limits: LogLimits) {
    this.#limits = limits;
  }

  /** The image holds these rows. */
  loaded(rows: readonly TailRow[]): void {
    const saved = new Map<number, SavedRows>();
    for (const row of rows) {
      const firstIndexes = [...(saved.get(row.sequence)?.firstIndexes ?? []), row.firstIndex];
      saved.set(row.sequence, { firstIndexes, lastIndex: row.firstIndex + row.entries.length - 1 });
    }
    this.#saved = saved;
  }

  /** What brings the image to `position`; tell `done` when that is saved. */
  changes(unsealed: readonly UnsealedSegment[], position: number): TailChanges {
    const changes: RowChange[] = [];
    const saved = new Map<number, SavedRows>();
    const present = new Set(unsealed.map((segment) => segment.sequence));
    for (const [sequence, rows] of this.#saved) {
      if (present.has(sequence)) continue;
      for (const firstIndex of rows.firstIndexes) changes.push({ key: keyOf(sequence, firstIndex), value: undefined });
    }
    for (const segment of unsealed) {
      const before = this.#saved.get(segment.sequence);
      const after = this.#segmentChanges(segment, before, Math.min(position, segment.lastIndex), changes);
      if (after !== undefined) saved.set(segment.sequence, after);
    }
    return { changes, saved };
  }

  done(changes: TailChanges): void {
    this.#saved = changes.saved;
  }

  /** Adds the rows of what is not saved yet; the last row may have room, and is then written anew. */
  #segmentChanges(
    segment: UnsealedSegment,
    before: SavedRows | undefined,
    lastIndex: number,
    changes: RowChange[],
  ): SavedRows | undefined {
    if (before !== undefined && before.lastIndex >= lastIndex) return before;
    const { tailRowEntries } = this.#limits;
    const firstIndexes = [...(before?.firstIndexes ?? [])];
    let next = before === undefined ? segment.firstIndex : before.lastIndex + 1;
    const open = firstIndexes.at(-1);
    if (open !== undefined && next - open < tailRowEntries) next = open;
    else if (next > lastIndex) return before;
    while (next <= lastIndex) {
      const last = Math.min(lastIndex, next + tailRowEntries - 1);
      if (!isPlaced(segment, next, last)) break;
      changes.push({ key: keyOf(segment.sequence, next), value: encodeRow(segment, next, last) });
      if (firstIndexes.at(-1) !== next) firstIndexes.push(next);
      next = last + 1;
    }
    return firstIndexes.length === 0 ? undefined : { firstIndexes, lastIndex: next - 1 };
  }
}

/** Entries whose batches' places are not known (their index was lost) are not saved, nor is what follows them. */
function isPlaced(segment: UnsealedSegment, from: number, to: number): boolean {
  for (let index = from; index <= to; index += 1)
    if (segment.index.entries.placed[segment.index.slotOf(index)] === 0) return false;
  return true;
}

function encodeRow(segment: UnsealedSegment, from: number, to: number): Uint8Array {
  const { index } = segment;
  const { entries, rows } = index;
  const writer = new ByteWriter(4_096);
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
  const keys = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const sequence = Number(keys.getBigUint64(0));
  const firstIndex = Number(keys.getBigUint64(8));
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
