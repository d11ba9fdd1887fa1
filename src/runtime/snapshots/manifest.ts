/**
 * What a snapshot is made of: slices, which have all rows as they were at some time, each of its range of keys; and deltas, which
 * have what changed later. A row is as the newest piece says that has it: its slice, or a delta behind that in the stream.
 *
 * It is the last record of its snapshot, so that one that was not finished is none.
 */
import { ByteReader } from "../../lib/byte-reader.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import { compareBytes } from "../../lib/bytes.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { readTotals, type RowTotals, writeTotals } from "../../operators/state/totals.ts";
import type { DigestPoint } from "../../record/digest-point.ts";
import type { Offset } from "../../record/offset.ts";
import type { TaskPlace } from "../../record/task-place.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";

/** Where a piece stands. */
export type PieceRef = {
  /** Of its first record. */
  readonly offset: Offset;
  readonly parts: number;
  /** Of its content. */
  readonly bytes: number;
};

export type SliceRef = PieceRef & {
  /** Up to where the next slice begins it tells what rows there were. What else it has, others tell better. */
  readonly from: Uint8Array;
};

export type Manifest = {
  /** The epoch in which the task's state began: a reset begins another one. */
  readonly born: number;
  /** Who wrote it. */
  readonly replica: string;
  readonly point: DigestPoint;
  readonly place: TaskPlace;
  readonly totals: RowTotals;
  /** In the order of keys; the first begins with the empty key. */
  readonly slices: readonly SliceRef[];
  /** In the order of offsets. */
  readonly deltas: readonly PieceRef[];
};

/** Before it nothing of the snapshot stands. */
export function firstNeeded({ slices, deltas }: Manifest, own: Offset): Offset {
  return [...slices, ...deltas].reduce((first, { offset }) => Math.min(first, offset), own);
}

export function encodeManifest({ born, replica, point, place, totals, slices, deltas }: Manifest): Uint8Array {
  const writer = new ByteWriter(1_024).int(born).string(replica);
  writer.int(point.records).f64(point.logTime).u64(point.state).u64(point.outputs);
  const { position, ordinal, index } = place.cursor;
  writer.int(position).varint(ordinal).varint(index).int(place.outputs);
  writeTotals(writer, totals);
  writer.varint(slices.length);
  for (const { from, ...ref } of slices) writeRef(writer.blob(from), ref);
  writer.varint(deltas.length);
  for (const ref of deltas) writeRef(writer, ref);
  return writer.finish();
}

export function decodeManifest(content: Uint8Array): Result<Manifest, string> {
  const reader = new ByteReader(content);
  const born = reader.int();
  const replica = reader.string(SNAPSHOT_LIMITS.replicaBytesMax);
  const point = { records: reader.int(), logTime: reader.f64(), state: reader.u64(), outputs: reader.u64() };
  const cursor = { position: reader.int(), ordinal: reader.varint(), index: reader.varint() };
  const place = { cursor, outputs: reader.int() };
  const totals = readTotals(reader);
  const slices: SliceRef[] = [];
  const deltas: PieceRef[] = [];
  for (let left = reader.count(SNAPSHOT_LIMITS.slicesMax); left > 0 && !reader.failed; left -= 1)
    slices.push({ from: reader.blob(SNAPSHOT_LIMITS.keyBytesMax), ...readRef(reader) });
  for (let left = reader.count(SNAPSHOT_LIMITS.deltasMax); left > 0 && !reader.failed; left -= 1)
    deltas.push(readRef(reader));
  if (!reader.complete) return err("its manifest is not valid");
  if (slices[0]?.from.length !== 0 || !isSorted(slices, (a, b) => compareBytes(a.from, b.from)))
    return err("its slices do not follow one another");
  if (!isSorted(deltas, (a, b) => a.offset - b.offset)) return err("its deltas do not follow one another");
  if (totals.digest !== point.state || !Number.isFinite(point.logTime)) return err("its manifest contradicts itself");
  return ok({ born, replica, point, place, totals, slices, deltas });
}

function writeRef(writer: ByteWriter, { offset, parts, bytes }: PieceRef): void {
  writer.varint(offset).varint(parts).varint(bytes);
}

function readRef(reader: ByteReader): PieceRef {
  const ref = { offset: reader.varint(), parts: reader.varint(), bytes: reader.varint() };
  if (ref.parts === 0 || ref.parts > SNAPSHOT_LIMITS.pieceRawBytesMax) reader.fail();
  return ref;
}

function isSorted<T>(items: readonly T[], compare: (a: T, b: T) => number): boolean {
  return items.every((item, place) => place === 0 || compare(items[place - 1] as T, item) < 0);
}
