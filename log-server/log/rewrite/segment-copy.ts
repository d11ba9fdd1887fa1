/**
 * Copies what survives of segments into the file of a rewritten one, in log order, a bounded chunk at a time: between
 * chunks everybody else has a turn.
 *
 * What is damaged is neither dropped nor in the way: it is carried over as it is, with the hash that it does not match,
 * and so is refused in the new place as in the old one (I13).
 */
import type { DiskFile } from "../../../src/ports/disk.ts";
import type { Zstd } from "../../../src/ports/zstd.ts";
import { isCompressed } from "../../../src/record/batch-codec.ts";
import { BatchColumns } from "../index/batch-columns.ts";
import type { Extent } from "./batch-fetch.ts";
import {
  BATCH_FRAME_OVERHEAD,
  batchFrameBytes,
  COMPACTED_HEADER_LENGTH,
  encodeBatchFrame,
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
import { survivingPart } from "./surviving-part.ts";
import type { Survivors } from "./survivors.ts";

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
  readonly stopped: () => boolean;
};

type Tally = { -readonly [Name in keyof RewriteReport["batches"]]: number };

/** A batch as its source has it. Undefined bytes: the medium does not give them back. */
type Stored = { readonly row: BatchRow; readonly incarnation: number; readonly frame: Uint8Array | undefined };

const HASH_AT = 0;

export class SegmentCopy {
  readonly #parts: CopyParts;
  readonly tally: Tally = { kept: 0, cut: 0, gone: 0, damaged: 0 };
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
  async add(file: DiskFile, { segment, streams }: RewriteSource): Promise<string | undefined> {
    const rows = await this.#rowsOf(segment, streams);
    if (typeof rows === "string") return rows;
    const incarnations = new Map(streams.map(({ streamId, incarnation }) => [streamId, incarnation]));
    const { rewriteChunkBytes, allocationStepBytes } = this.#parts.limits;
    const order = rows.byPlace();
    for (let from = 0; from < order.length;) {
      if (this.#parts.stopped()) return "the log is being closed";
      const chunk: BatchRow[] = [];
      for (let bytes = 0; from < order.length && bytes < rewriteChunkBytes; from += 1) {
        const row = rows.row(order[from] as number);
        chunk.push(row);
        bytes += row.length;
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

  /** The rows of which something may be left. */
  async #rowsOf(segment: SealedSegment, streams: readonly StreamRecord[]): Promise<BatchColumns | string> {
    const { indexReader, survivors } = this.#parts;
    const rows = new BatchColumns();
    for (const { streamId, firstRow, rowCount } of streams) {
      const liveFrom = survivors.liveFrom(streamId);
      let isOfStream = true;
      const read = await indexReader.walkRows(segment, firstRow, rowCount, (row) => {
        isOfStream &&= row.streamId === streamId;
        if (row.firstOffset + row.span > liveFrom) rows.add(row);
        else this.tally.gone += 1;
      });
      if (!read || !isOfStream) return this.#damaged(segment, `the index of stream ${streamId}`);
    }
    return rows;
  }

  async #copy(
    file: DiskFile,
    segment: SealedSegment,
    chunk: readonly BatchRow[],
    incarnations: ReadonlyMap<number, number>,
  ): Promise<string | undefined> {
    const { isRewritten } = segment;
    const extents = chunk.map((row): Extent => (isRewritten ? frameOf(row) : row));
    const fetched = await this.#parts.files.fetch(segment, extents);
    const frames: Uint8Array[] = [];
    const start = this.place;
    for (const [at, row] of chunk.entries()) {
      const stored = { row, incarnation: incarnations.get(row.streamId) as number, frame: fetched[at] };
      const frame = isRewritten ? this.#fromRewritten(segment, stored) : this.#fromEntry(stored);
      if (typeof frame === "string") return frame;
      if (frame !== undefined) frames.push(frame);
      if (this.place > this.#parts.limits.compactedBytesMax) return "what is left of them is too much for one segment";
    }
    if (frames.length > 0) await file.write(start, frames);
    return undefined;
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

/** The frame of a batch in a rewritten segment; its row says where the bytes are. */
function frameOf(row: BatchRow): Extent {
  return { place: row.place - BATCH_FRAME_OVERHEAD, length: row.length + BATCH_FRAME_OVERHEAD };
}
