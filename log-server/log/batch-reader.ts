/**
 * Reads batches by stream and offset: at the tail from memory, else through an index from the disk. What leaves here
 * was verified against that index; what does not verify is a `Damage`, and never hides what is beside it.
 */
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { BatchIndex, StreamSegment } from "./batch-index.ts";
import type { Damage, DamageList } from "./damage.ts";
import type { BatchRow } from "./index-block.ts";
import type { LogLimits } from "./limits.ts";
import type { IndexReader, SealedSegment } from "./sealed-segment.ts";
import type { SegmentFiles } from "./segment-files.ts";
import type { Segment, SegmentList } from "./segment-list.ts";
import { batchIsIntact } from "./segment-scan.ts";
import type { UnsealedSegment } from "./unsealed-segment.ts";

export type StoredBatch = {
  readonly firstOffset: number;
  readonly span: number;
  readonly logTime: number;
  readonly hash: bigint;
  readonly bytes: Uint8Array;
};

export type BatchReaderParts = {
  readonly limits: LogLimits;
  readonly segments: SegmentList;
  readonly batchIndex: BatchIndex;
  readonly indexReader: IndexReader;
  readonly files: SegmentFiles;
  readonly damage: DamageList;
};

/** A batch to read, with its bytes if they are in memory. */
type WantedBatch = BatchRow & { readonly bytes?: Uint8Array | undefined };

/** Rows of a sealed segment whose pages are brought in together. */
const READ_AHEAD_ROWS = 1_024;

export class BatchReader {
  readonly #parts: BatchReaderParts;

  constructor(parts: BatchReaderParts) {
    this.#parts = parts;
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
          bytes: rows.bytes(row),
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
    const fetched = await this.#parts.files.fetch(segment, missing);
    let next = 0;
    return wanted.map((batch) => {
      if (batch.bytes !== undefined) return batch.bytes;
      const bytes = fetched[next];
      next += 1;
      return bytes !== undefined && batchIsIntact(bytes, batch) ? bytes : undefined;
    });
  }

  #damaged(damage: Damage): Result<never, Damage> {
    return err(this.#parts.damage.add(damage));
  }
}
