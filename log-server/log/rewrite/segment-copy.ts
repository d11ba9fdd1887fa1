/**
 * Copies what survives of segments into the file of a rewritten one, in log order, a bounded chunk at a time: between
 * chunks everybody else has a turn.
 *
 * What is damaged is neither dropped nor in the way: in its place comes what others gave of that stretch, if they did; else it is
 * carried over as it is, with the hash that it does not match, and so is refused in the new place as in the old one (I13).
 */
import type { DiskFile } from "../../../src/ports/disk.ts";
import type { Zstd } from "../../../src/ports/zstd.ts";
import { isCompressed } from "../../../src/record/batch-codec.ts";
import { comparePlaces } from "../../../src/record/log-place.ts";
import { BatchColumns } from "../index/batch-columns.ts";
import {
  BATCH_FRAME_OVERHEAD,
  batchFrameBytes,
  COMPACTED_HEADER_LENGTH,
  encodeBatchFrame,
  frameOf,
  readBatchHead,
} from "./compacted-file.ts";
import type { DamageList } from "../repair/damage.ts";
import type { BatchRow, StreamRecord } from "../index/index-block.ts";
import type { KeptBatches } from "./kept-batches.ts";
import type { LogLimits } from "../limits.ts";
import type { RewriteReport, RewriteSource } from "./rewriter.ts";
import type { IndexReader, SealedSegment } from "../segments/sealed-segment.ts";
import type { SegmentFiles } from "../segments/segment-files.ts";
import { batchIsIntact } from "../segments/segment-scan.ts";
import { mayBeLeft, survivingPart } from "./surviving-part.ts";
import type { Survivors } from "./survivors.ts";
import type { TakenBatch, TakenRanges } from "./taken-ranges.ts";

export type CopyParts = {
  readonly logId: number;
  readonly limits: LogLimits;
  readonly zstd: Zstd | undefined;
  readonly indexReader: IndexReader;
  readonly files: SegmentFiles;
  readonly damage: DamageList;
  /** Of the new segment. */
  readonly sequence: number;
  readonly kept: KeptBatches;
  readonly survivors: Survivors;
  readonly taken: TakenRanges;
  readonly stopped: () => boolean;
};

type Tally = { -readonly [Name in keyof RewriteReport["batches"]]: number };

/** A batch as its source has it. Undefined bytes: the medium does not give them back. */
type Stored = { readonly row: BatchRow; readonly incarnation: number; readonly frame: Uint8Array | undefined };

const HASH_AT = 0;

export class SegmentCopy {
  readonly #parts: CopyParts;
  readonly tally: Tally = { kept: 0, cut: 0, gone: 0, damaged: 0, taken: 0 };
  /** Those that were damaged, where they stand now: no more than can be told of. */
  readonly damaged: BatchRow[] = [];
  /** Where the next frame goes. */
  place: number = COMPACTED_HEADER_LENGTH;
  #synced = 0;

  constructor(parts: CopyParts) {
    this.#parts = parts;
  }

  /** What a stream of a source takes at most in the new file. */
  static bytesMax(stream: StreamRecord): number {
    return stream.bytes + stream.rowCount * batchFrameBytes(0);
  }

  /** Copies what survives of a segment. A reason why that cannot be, or none. */
  async add(file: DiskFile, { segment, streams, given }: RewriteSource): Promise<string | undefined> {
    const misfit = given.find(({ position }) => position < segment.firstIndex || position > segment.lastIndex);
    if (misfit !== undefined) return doesNotFit(misfit);
    const rows = await this.#rowsOf(segment, streams, given);
    if (typeof rows === "string") return rows;
    const incarnations = new Map(streams.map(({ streamId, incarnation }) => [streamId, incarnation]));
    const { rewriteChunkBytes, allocationStepBytes } = this.#parts.limits;
    const items = inLogOrder(rows, given);
    for (let next = items.next(); next.done !== true;) {
      if (this.#parts.stopped()) return "the log is being closed";
      const chunk: (BatchRow | TakenBatch)[] = [];
      for (let bytes = 0; next.done !== true && bytes < rewriteChunkBytes; next = items.next()) {
        chunk.push(next.value);
        bytes += lengthOf(next.value);
      }
      const fault = await this.#copy(file, segment, chunk, incarnations);
      if (fault !== undefined) return fault;
      if (this.place - this.#synced < allocationStepBytes) continue;
      // A little at a time, so that the syncs of appends do not wait for all of it.
      await file.sync();
      this.#synced = this.place;
    }
    return undefined;
  }

  /** The rows of which something may be left, but for those in the place of which others gave something. */
  async #rowsOf(
    segment: SealedSegment,
    streams: readonly StreamRecord[],
    given: readonly TakenBatch[],
  ): Promise<BatchColumns | string> {
    const { indexReader, survivors, taken } = this.#parts;
    const rows = new BatchColumns();
    if (taken.isUnreadable(segment.sequence)) return rows;
    const unplaced = new Map(given.map((batch) => [`${batch.streamId} ${batch.firstOffset}`, batch]));
    let misfit: TakenBatch | undefined;
    for (const { streamId, firstRow, rowCount } of streams) {
      const liveFrom = survivors.liveFrom(streamId);
      let isOfStream = true;
      const read = await indexReader.walkRows(segment, firstRow, rowCount, (row) => {
        isOfStream &&= row.streamId === streamId;
        if (taken.at(streamId, row.firstOffset) !== undefined) {
          const key = `${streamId} ${row.firstOffset}`;
          const batch = unplaced.get(key);
          if (batch !== undefined && !isOf(batch, row, segment)) misfit = batch;
          unplaced.delete(key);
        } else if (row.firstOffset + row.span > liveFrom) rows.add(row);
        else this.tally.gone += 1;
      });
      if (!read || !isOfStream) return this.#damaged(segment, `the index of stream ${streamId}`);
    }
    // All that a segment as it was sealed held has a row.
    if (!segment.isRewritten) misfit ??= unplaced.values().next().value;
    return misfit === undefined ? rows : doesNotFit(misfit);
  }

  async #copy(
    file: DiskFile,
    segment: SealedSegment,
    chunk: readonly (BatchRow | TakenBatch)[],
    incarnations: ReadonlyMap<number, number>,
  ): Promise<string | undefined> {
    const { isRewritten } = segment;
    const own = chunk.filter((item): item is BatchRow => !isTaken(item));
    const fetched = (await this.#parts.files.fetch(segment, isRewritten ? own.map(frameOf) : own)).values();
    const frames: Uint8Array[] = [];
    const start = this.place;
    for (const item of chunk) {
      if (!this.#parts.kept.takes(item)) return doesNotFit(item);
      const frame = isTaken(item)
        ? this.#fromOther(item)
        : this.#fromHere(segment, {
            row: item,
            incarnation: incarnations.get(item.streamId) as number,
            frame: fetched.next().value,
          });
      if (typeof frame === "string") return frame;
      if (frame !== undefined) frames.push(frame);
      if (this.place > this.#parts.limits.compactedBytesMax) return "what is left of them is too much for one segment";
    }
    if (frames.length > 0) await file.write(start, frames);
    return undefined;
  }

  #fromHere(segment: SealedSegment, stored: Stored): Uint8Array | string | undefined {
    return segment.isRewritten ? this.#fromRewritten(segment, stored) : this.#fromEntry(stored);
  }

  #fromOther(batch: TakenBatch): Uint8Array | undefined {
    const { streamId, firstOffset, span, bytes } = batch;
    if (!mayBeLeft(this.#parts.survivors, streamId, firstOffset + span)) {
      this.tally.gone += 1;
      return undefined;
    }
    this.tally.taken += 1;
    return this.#frame({ ...batch, length: bytes.length, place: 0 }, bytes, batch);
  }

  /** From a segment as it was sealed: what is stored is what was appended. */
  #fromEntry({ row, incarnation, frame: bytes }: Stored): Uint8Array | undefined {
    const wasCompressed = bytes !== undefined && batchIsIntact(bytes, row) && isCompressed(bytes);
    return this.#frame(row, bytes, { incarnation, identity: row.hash, wasCompressed });
  }

  #fromRewritten(segment: SealedSegment, { row, incarnation, frame }: Stored): Uint8Array | string | undefined {
    const head = frame && readBatchHead(frame, segment.sequence, frameOf(row).place);
    // Without it the batch would lose its identity.
    if (frame === undefined || head === undefined)
      return this.#damaged(segment, `what is said of the batch at ${row.firstOffset} of stream ${row.streamId}`);
    const { identity, wasCompressed } = head;
    return this.#frame(row, frame.subarray(BATCH_FRAME_OVERHEAD), { incarnation, identity, wasCompressed });
  }

  /** The frame of what survives, where it will stand; undefined if nothing does. */
  #frame(
    row: BatchRow,
    bytes: Uint8Array | undefined,
    known: { readonly incarnation: number; readonly identity: bigint; readonly wasCompressed: boolean },
  ): Uint8Array | undefined {
    const { logId, zstd, limits, survivors, sequence, kept } = this.#parts;
    const { rawBatchBytesMax } = limits;
    const { wasCompressed } = known;
    let left: Uint8Array | undefined;
    let { hash } = row;
    const isDamaged = bytes === undefined || !batchIsIntact(bytes, row);
    if (isDamaged) {
      this.tally.damaged += 1;
      left = bytes ?? new Uint8Array(row.length);
    } else {
      left = survivingPart({ ...row, bytes, wasCompressed }, survivors, { zstd, rawBatchBytesMax });
      if (left === bytes) this.tally.kept += 1;
      else if (left === undefined) this.tally.gone += 1;
      else {
        this.tally.cut += 1;
        hash = new DataView(left.buffer, left.byteOffset, left.byteLength).getBigUint64(HASH_AT, true);
      }
    }
    if (left === undefined) return undefined;
    const frame = encodeBatchFrame({ ...row, ...known, logId, hash, length: left.length }, left, sequence, this.place);
    const copied = { ...row, hash, length: left.length, place: this.place + BATCH_FRAME_OVERHEAD };
    kept.add(copied);
    if (isDamaged && this.damaged.length < limits.damageMax) this.damaged.push(copied);
    this.place += frame.length;
    return frame;
  }

  #damaged({ sequence, firstIndex, lastIndex }: SealedSegment, what: string): string {
    const message = `${what} in segment ${sequence} cannot be read`;
    this.#parts.damage.add({ kind: "index", segment: sequence, firstIndex, lastIndex, message });
    return message;
  }
}

/** What is here and what others gave of it, as one. */
function* inLogOrder(rows: BatchColumns, given: readonly TakenBatch[]): Generator<BatchRow | TakenBatch, undefined> {
  let next = 0;
  for (const at of rows.byPlace()) {
    const row = rows.row(at);
    for (; next < given.length && comparePlaces(given[next] as TakenBatch, row) < 0; next += 1)
      yield given[next] as TakenBatch;
    yield row;
  }
  for (; next < given.length; next += 1) yield given[next] as TakenBatch;
}

function isTaken(item: BatchRow | TakenBatch): item is TakenBatch {
  return "bytes" in item;
}

function lengthOf(item: BatchRow | TakenBatch): number {
  return isTaken(item) ? item.bytes.length : item.length;
}

/** Whether a batch may be what is left of the one that stood there. */
function isOf(batch: TakenBatch, row: BatchRow, { isRewritten }: SealedSegment): boolean {
  const isSame = batch.span === row.span && batch.logTime === row.logTime && comparePlaces(batch, row) === 0;
  return isSame && (isRewritten || batch.identity === row.hash);
}

function doesNotFit({ streamId, firstOffset }: Pick<BatchRow, "streamId" | "firstOffset">): string {
  return `what was given of stream ${streamId} from offset ${firstOffset} on is not of this segment`;
}
