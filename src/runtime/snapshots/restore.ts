/**
 * Restores a task's rows from its newest verified snapshot or, where none is, from the newest that is whole and of the replica that committed
 * last: another's that nobody has confirmed may be of one that computes something else. One pass over the stream, from the oldest piece that the manifest
 * names; what the rows add up to in the end must be what the manifest says. A snapshot that is damaged or has lost a part is told
 * of, and another tried; where none is left the task reads its input again.
 *
 * A snapshot further than the task's commits is not taken: nobody could make the outputs in between.
 */
import { compareBytes } from "../../lib/bytes.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { firstNotBefore } from "../../lib/sorted.ts";
import { type RowTotals, sameTotals } from "../../operators/state/totals.ts";
import type { StateStore } from "../../operators/state/state-store.ts";
import type { Zstd } from "../../ports/zstd.ts";
import type { Incarnation, Offset } from "../../record/offset.ts";
import type { RowChange } from "../../record/row.ts";
import { compareTaskPlaces, type TaskPlace } from "../../record/task-place.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";
import { firstNeeded, type Manifest, type PieceRef } from "./manifest.ts";
import { type FoundManifest, manifestsBack } from "./manifest-search.ts";
import { joinPiece, type PieceKind, readPieceRecord } from "./piece.ts";
import { readRows } from "./piece-rows.ts";
import type { SnapshotStream, StreamBounds } from "./snapshot-stream.ts";

/** Where restored rows go: rows that stand, and later changes of them, by slice, in the order in which they hold. */
export interface RestoreTarget<Store extends StateStore> {
  /** Nothing was added yet, or what was is forgotten. */
  begin(slices: number): Promise<void>;
  add(slice: number, rows: readonly RowChange[]): Promise<void>;
  /** All is there. `expected`: what it must add up to, if it is to be used again. */
  finish(expected: RowTotals): Promise<{ readonly store: Store; readonly totals: RowTotals }>;
}

export type RestoreOptions = {
  /** The epoch in which the task's state began. */
  readonly born: number;
  /** How far the task is committed. */
  readonly committed: TaskPlace;
  /** Whose snapshots are used although nobody has confirmed them; absent: anybody's. */
  readonly writer?: string;
  /** The manifest of the newest that is known to be right, if any is. */
  readonly verified?: Offset;
  readonly onProgress?: (progress: RestoreProgress) => void;
};

export type RestoreProgress = { readonly doneBytes: number; readonly totalBytes: number };

export type Restored<Store> = {
  readonly store: Store;
  readonly totals: RowTotals;
  readonly manifest: Manifest;
  readonly offset: Offset;
  /** Of the stream that it stands in. */
  readonly incarnation: Incarnation;
};

export type RestoreOutcome<Store> = {
  /** Undefined: from the beginning, then. */
  readonly restored: Restored<Store> | undefined;
  /** Why newer snapshots were passed over. */
  readonly objections: readonly string[];
};

/** Rejects where the stream, or the target, cannot be reached. */
export async function restore<Store extends StateStore>(
  stream: SnapshotStream,
  zstd: Zstd,
  target: RestoreTarget<Store>,
  options: RestoreOptions,
): Promise<RestoreOutcome<Store>> {
  const objections: string[] = [];
  const bounds = await stream.bounds();
  for await (const { offset, manifest: found } of candidates(stream, zstd, bounds, options.verified)) {
    if (objections.length >= SNAPSHOT_LIMITS.manifestsTriedMax) break;
    const done = found.ok ? await attempt(stream, zstd, target, options, found.value, offset) : found;
    if (done.ok) return { restored: { ...done.value, offset, incarnation: bounds.incarnation }, objections };
    objections.push(`the snapshot at offset ${offset} cannot be used: ${done.error}`);
  }
  return { restored: undefined, objections };
}

/** The verified one, and then the newest first. */
async function* candidates(
  stream: SnapshotStream,
  zstd: Zstd,
  bounds: StreamBounds,
  verified: Offset | undefined,
): AsyncIterable<FoundManifest> {
  if (verified !== undefined && verified < bounds.next) {
    for await (const found of manifestsBack(stream, zstd, { ...bounds, next: verified + 1 })) {
      if (found.offset === verified) yield found;
      break;
    }
  }
  for await (const found of manifestsBack(stream, zstd, bounds)) if (found.offset !== verified) yield found;
}

async function attempt<Store extends StateStore>(
  stream: SnapshotStream,
  zstd: Zstd,
  target: RestoreTarget<Store>,
  { born, committed, writer, verified, onProgress }: RestoreOptions,
  manifest: Manifest,
  offset: Offset,
): Promise<Result<Omit<Restored<Store>, "offset" | "incarnation">, string>> {
  if (manifest.born !== born) return err("it is of a time before the app was reset");
  if (compareTaskPlaces(manifest.place, committed) > 0) return err("it is ahead of what the task has committed");
  if (writer !== undefined && manifest.replica !== writer && offset !== verified)
    return err("nobody has confirmed it, and who wrote it is not who commits");
  await target.begin(manifest.slices.length);
  const totalBytes = [...manifest.slices, ...manifest.deltas].reduce((sum, { bytes }) => sum + bytes, 0);
  let doneBytes = 0;
  for await (const read of piecesOf(stream, zstd, manifest, offset)) {
    if (!read.ok) return read;
    const { piece, rows } = read.value;
    for (const [slice, part] of effective(manifest, piece, rows)) await target.add(slice, part);
    doneBytes += piece.ref.bytes;
    onProgress?.({ doneBytes, totalBytes });
  }
  const { store, totals } = await target.finish(manifest.totals);
  if (!sameTotals(totals, manifest.totals)) return err("its rows are not those that its digest was made of");
  return ok({ store, totals, manifest });
}

type Piece = { readonly kind: PieceKind; readonly ref: PieceRef; readonly slice: number };
type ReadPiece = { readonly piece: Piece; readonly rows: readonly RowChange[] };

/** The pieces, in the order of the stream. The first that is wrong is the last. */
async function* piecesOf(
  stream: SnapshotStream,
  zstd: Zstd,
  manifest: Manifest,
  own: Offset,
): AsyncIterable<Result<ReadPiece, string>> {
  const pieces: Piece[] = [
    ...manifest.slices.map((ref, slice): Piece => ({ kind: "slice", ref, slice })),
    ...manifest.deltas.map((ref): Piece => ({ kind: "delta", ref, slice: -1 })),
  ].toSorted((a, b) => a.ref.offset - b.ref.offset);
  const records = new StreamRecords(stream, firstNeeded(manifest, own));
  try {
    yield* readPieces(pieces, records, zstd);
  } finally {
    await records.close();
  }
}

async function* readPieces(
  pieces: readonly Piece[],
  records: StreamRecords,
  zstd: Zstd,
): AsyncIterable<Result<ReadPiece, string>> {
  for (const piece of pieces) {
    const parts: Uint8Array[] = [];
    for (let part = 0; part < piece.ref.parts; part += 1) {
      const at = piece.ref.offset + part;
      const value = await records.at(at);
      const record = value === undefined ? err("it is missing") : readPieceRecord(value);
      if (!record.ok) return yield err(`offset ${at}: ${record.error}`);
      const { kind, part: number, parts: count, bytes } = record.value;
      if (kind !== piece.kind || number !== part || count !== piece.ref.parts)
        return yield err(`offset ${at}: it is another piece than the manifest says`);
      parts.push(bytes);
    }
    const content = joinPiece(parts, zstd);
    const rows = content.ok ? readRows(content.value) : content;
    if (!rows.ok) return yield err(`offset ${piece.ref.offset}: ${rows.error}`);
    yield ok({ piece, rows: rows.value });
  }
}

/** A piece's rows by slice, without those that another piece tells better. */
function* effective(
  { slices }: Manifest,
  { kind, ref, slice }: Piece,
  rows: readonly RowChange[],
): Iterable<readonly [number, readonly RowChange[]]> {
  let start = 0;
  for (let at = kind === "slice" ? slice : 0; at < slices.length && start < rows.length; at += 1) {
    const { from, offset } = slices[at] as (typeof slices)[number];
    const next = slices[at + 1]?.from;
    // In a slice: what is before it now, a slice that was written later has.
    start = firstNotBefore(rows, ({ key }) => compareBytes(key, from) < 0);
    const end = next === undefined ? rows.length : firstNotBefore(rows, ({ key }) => compareBytes(key, next) < 0);
    if (start < end && offset <= ref.offset) yield [at, rows.slice(start, end)];
    if (kind === "slice") return;
    start = end;
  }
}

/** Values of the stream by offset, which only grows; the next are fetched while those at hand are used. */
class StreamRecords {
  readonly #stream: SnapshotStream;
  #from: Offset;
  #values: readonly Uint8Array[] = [];
  #coming: ReturnType<SnapshotStream["read"]> | undefined;

  constructor(stream: SnapshotStream, first: Offset) {
    this.#stream = stream;
    this.#from = first;
  }

  /** Undefined: it is not kept. */
  async at(offset: Offset): Promise<Uint8Array | undefined> {
    while (offset >= this.#from + this.#values.length) {
      const behind = this.#from + this.#values.length;
      const { from, values } = await (this.#coming ?? this.#read(behind));
      this.#from = from;
      this.#values = values;
      this.#coming = undefined;
      if (values.length === 0) return undefined;
      this.#coming = this.#read(from + values.length);
    }
    return this.#values[offset - this.#from];
  }

  /** Nobody reads on: when it resolves nothing is under way any more, for the stream is read by one at a time. */
  async close(): Promise<void> {
    await this.#coming?.catch(() => undefined);
  }

  #read(from: Offset): ReturnType<SnapshotStream["read"]> {
    const reading = this.#stream.read(from, SNAPSHOT_LIMITS.readBytes);
    // Whoever waits for it is told.
    reading.catch(() => undefined);
    return reading;
  }
}
