/**
 * Reads batches by stream and offset: at the tail from memory, else through an index from the disk. What leaves here
 * was verified against that index; what does not verify is a `Damage`, and never hides what is beside it.
 */
import { err, ok, type Result } from "../../../src/lib/result.ts";
import { isCompressed } from "../../../src/record/batch-codec.ts";
import type { LogPlace } from "../../../src/record/log-place.ts";
import type { BatchIndex, StreamSegment } from "./batch-index.ts";
import { BATCH_FRAME_OVERHEAD, frameOf, readBatchHead } from "../rewrite/compacted-file.ts";
import { type Damage, damageOfBatch, type DamageList } from "../repair/damage.ts";
import type { BatchRow } from "./index-block.ts";
import type { LogLimits } from "../limits.ts";
import type { KeptBatch, WantedBatch } from "../repair/rewritten-mending.ts";
import type { KeptRange, RangeBatch, StreamRange } from "../repair/stream-range.ts";
import type { IndexReader, SealedSegment } from "../segments/sealed-segment.ts";
import type { SegmentFiles } from "../segments/segment-files.ts";
import type { Segment, SegmentList } from "../segments/segment-list.ts";
import { batchIsIntact } from "../segments/segment-scan.ts";
import type { UnsealedSegment } from "../segments/unsealed-segment.ts";

export type StoredBatch = LogPlace & {
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
type RowToRead = BatchRow & { readonly bytes?: Uint8Array | undefined };

/** Batches of one segment, perhaps none, and where to read on: compaction may have left nothing up to there. */
type Wanted = { readonly batches: readonly RowToRead[]; readonly next: number };
type Found = Wanted & { readonly segment: Segment };
type Part = { readonly batches: readonly StoredBatch[]; readonly next: number };

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
    let visited = 0;
    const { removals } = this.#parts.segments;
    while (next < to && (room > 0 || batches.length === 0) && visited < this.#parts.limits.readSegmentsMax) {
      const part = await this.#readOne(streamId, next, to, room, removals);
      if (!part.ok) return batches.length > 0 ? ok(batches) : part;
      for (const batch of part.value.batches) {
        batches.push(batch);
        room -= batch.bytes.length;
      }
      next = part.value.next;
      if (part.value.batches.length > 0) visited += 1;
    }
    return ok(batches);
  }

  /** See `SegmentedLog.kept`. */
  async kept({ streamId, firstOffset, hash }: WantedBatch): Promise<KeptBatch | undefined> {
    const end = firstOffset + 1;
    const found =
      this.#inUnsealed(streamId, firstOffset, end, 1) ?? (await this.#inSealed(streamId, firstOffset, end, 1));
    const row = found?.batches[0];
    if (found === undefined || row === undefined || row.hash !== hash || row.firstOffset !== firstOffset)
      return undefined;
    const [batch] = await this.#keptOf(found.segment, [row]);
    return batch;
  }

  /** See `SegmentedLog.keptRange`. */
  async keptRange({ streamId, from, to }: StreamRange, maxBytes: number): Promise<KeptRange | undefined> {
    const { segments } = this.#parts;
    for (;;) {
      const { changes } = segments;
      const kept = await this.#keptInOne(streamId, from, to, maxBytes);
      // It may have been sealed or rewritten under the reader: then it is elsewhere now.
      if (kept !== undefined || changes === segments.changes) return kept;
    }
  }

  async #keptInOne(streamId: number, from: number, to: number, maxBytes: number): Promise<KeptRange | undefined> {
    const found =
      this.#inUnsealed(streamId, from, to, maxBytes) ?? (await this.#inSealed(streamId, from, to, maxBytes));
    if (found === undefined || found.next <= from) return undefined;
    const kept = await this.#keptOf(found.segment, found.batches);
    const batches: RangeBatch[] = [];
    for (const [at, { firstOffset, span, position, ordinal, logTime, hash }] of found.batches.entries()) {
      const batch = kept[at];
      if (batch === undefined) return batches.length === 0 ? undefined : { batches, next: endOf(batches) };
      batches.push({ firstOffset, span, position, ordinal, logTime, hash, ...batch });
    }
    return { batches, next: Math.min(found.next, to) };
  }

  /** Batches of one segment, verified, with what their frames say of them; undefined where damaged. */
  async #keptOf(segment: Segment, rows: readonly RowToRead[]): Promise<(KeptBatch | undefined)[]> {
    if (segment.kind !== "sealed" || !segment.isRewritten) {
      const bytes = await this.#bytesOf(segment, rows);
      return rows.map(({ hash }, at): KeptBatch | undefined => {
        const content = bytes[at];
        return content && { bytes: content, identity: hash, wasCompressed: isCompressed(content) };
      });
    }
    const frames = await this.#parts.files.fetch(segment, rows.map(frameOf));
    return rows.map((row, at): KeptBatch | undefined => {
      const frame = frames[at];
      const head = frame && readBatchHead(frame, segment.sequence, frameOf(row).place);
      const bytes = frame?.subarray(BATCH_FRAME_OVERHEAD);
      if (head === undefined || bytes === undefined || !batchIsIntact(bytes, row)) return undefined;
      return { bytes, identity: head.identity, wasCompressed: head.wasCompressed };
    });
  }

  /** From the one segment that holds the offset; what it says goes on behind it. `removals`: when the read began. */
  async #readOne(
    streamId: number,
    from: number,
    to: number,
    maxBytes: number,
    removals: number,
  ): Promise<Result<Part, Damage>> {
    const { segments, damage } = this.#parts;
    for (;;) {
      const { changes } = segments;
      const part = await this.#tryOne(streamId, from, to, maxBytes);
      if (part.ok) return part;
      // It may have been sealed or rewritten under the reader: then it is elsewhere now.
      if (changes !== segments.changes) continue;
      // What was dropped meanwhile is gone, not damaged.
      return removals === segments.removals ? err(damage.add(part.error)) : part;
    }
  }

  async #tryOne(streamId: number, from: number, to: number, maxBytes: number): Promise<Result<Part, Damage>> {
    const found =
      this.#inUnsealed(streamId, from, to, maxBytes) ?? (await this.#inSealed(streamId, from, to, maxBytes));
    if (found === undefined || found.next <= from) {
      const message = `where offset ${from} of stream ${streamId} is, is not known`;
      // The segment whose index should say it, so that it can be made again.
      const near = this.#parts.batchIndex.before(streamId, from);
      const segment =
        found?.segment.sequence ?? (near !== undefined && from < near.endOffset ? near.sequence : undefined);
      return err({ kind: "index", ...(segment !== undefined && { segment }), streamId, firstOffset: from, message });
    }
    const bytes = await this.#bytesOf(found.segment, found.batches);
    const batches: StoredBatch[] = [];
    for (const [at, wanted] of found.batches.entries()) {
      const { firstOffset, span, logTime, hash, position, ordinal, place } = wanted;
      const content = bytes[at];
      if (content === undefined) {
        if (batches.length > 0) return ok({ batches, next: endOf(batches) });
        return err(damageOfBatch(found.segment.sequence, { place, streamId, firstOffset, span }));
      }
      batches.push({ firstOffset, span, logTime, hash, position, ordinal, bytes: content });
    }
    return ok({ batches, next: found.next });
  }

  #inUnsealed(streamId: number, from: number, to: number, maxBytes: number): Found | undefined {
    const { unsealed } = this.#parts.segments;
    for (let at = unsealed.length - 1; at >= 0; at -= 1) {
      const segment = unsealed[at] as UnsealedSegment;
      const stream = segment.index.streams.get(streamId);
      if (stream === undefined || from >= stream.endOffset) continue;
      const { rows, entries } = segment.index;
      if (from < (rows.firstOffset[stream.rows[0] as number] as number)) continue;
      const wanted: RowToRead[] = [];
      let bytes = 0;
      for (
        let member = segment.index.find(streamId, from);
        member < stream.rows.length && (bytes < maxBytes || wanted.length === 0);
        member += 1
      ) {
        const row = stream.rows[member] as number;
        const slot = rows.slot[row] as number;
        const firstOffset = rows.firstOffset[row] as number;
        if (firstOffset >= to) break;
        wanted.push({
          streamId,
          firstOffset,
          span: rows.span[row] as number,
          place: rows.place[row] as number,
          length: rows.length[row] as number,
          hash: rows.hash[row] as bigint,
          logTime: entries.logTime[slot] as number,
          position: segment.index.firstIndex + slot,
          ordinal: row - (entries.firstRow[slot] as number),
          bytes: rows.bytes(row),
        });
        bytes += rows.length[row] as number;
      }
      return { segment, batches: wanted, next: endOf(wanted) };
    }
    return undefined;
  }

  async #inSealed(streamId: number, from: number, to: number, maxBytes: number): Promise<Found | undefined> {
    const { segments, batchIndex } = this.#parts;
    const near = batchIndex.before(streamId, from);
    const known = near !== undefined && from < near.endOffset ? segments.bySequence(near.sequence) : undefined;
    if (near !== undefined && known?.kind === "sealed") {
      const wanted = await this.#wantedRows(known, near, streamId, from, to, maxBytes);
      if (wanted !== undefined) return { segment: known, ...wanted };
    }
    return this.#searchSealed(streamId, from, to, maxBytes);
  }

  /** The sparse index does not know, or is wrong: the blocks themselves are asked, and it is corrected. */
  async #searchSealed(streamId: number, from: number, to: number, maxBytes: number): Promise<Found | undefined> {
    const { segments, batchIndex, indexReader } = this.#parts;
    for (const segment of segments.sealed) {
      const record = await indexReader.stream(segment, streamId);
      if (record === undefined || record === "absent" || from < record.firstOffset || from >= record.endOffset)
        continue;
      const near = { ...record, sequence: segment.sequence };
      const wanted = await this.#wantedRows(segment, near, streamId, from, to, maxBytes);
      if (wanted === undefined) continue;
      if (segments.holds(segment)) await batchIndex.correct(segment, record).catch(() => undefined);
      return { segment, ...wanted };
    }
    return undefined;
  }

  /**
   * Rows of a sealed segment from the one that holds `from` on; undefined if it is not there. Without the next offset
   * damage hides it.
   */
  async #wantedRows(
    segment: SealedSegment,
    near: StreamSegment,
    streamId: number,
    from: number,
    to: number,
    maxBytes: number,
  ): Promise<Wanted | undefined> {
    const { indexReader } = this.#parts;
    const { isRewritten } = segment;
    const end = near.firstRow + near.rowCount;
    if (end > segment.facts.rowCount) return undefined;
    const first = await indexReader.findRow(segment, near.firstRow, near.rowCount, from);
    if (first === undefined) return { batches: [], next: from };
    if (first >= end && !isRewritten) return undefined;
    const batches: RowToRead[] = [];
    let bytes = 0;
    let next = from;
    for (let at = first; at < end && (bytes < maxBytes || at === first); at += 1) {
      if ((at - first) % READ_AHEAD_ROWS === 0)
        await indexReader.readAhead(segment, at, Math.min(end - at, READ_AHEAD_ROWS));
      const row = await indexReader.row(segment, at);
      if (row !== undefined && row.streamId !== streamId) return undefined;
      if (row === undefined) return { batches, next };
      // A batch that is not where the one before ended was compacted, or is lost.
      if (row.firstOffset > next && !isRewritten) return { batches, next };
      if (row.firstOffset >= to) return { batches, next: to };
      batches.push(row);
      bytes += row.length;
      next = row.firstOffset + row.span;
      if (at === end - 1 && !isRewritten) return { batches, next };
    }
    return { batches, next: bytes < maxBytes || batches.length === 0 ? Math.max(next, near.endOffset) : next };
  }

  /** Verified; undefined where damaged. */
  async #bytesOf(segment: Segment, wanted: readonly RowToRead[]): Promise<(Uint8Array | undefined)[]> {
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
}

function endOf(batches: readonly { readonly firstOffset: number; readonly span: number }[]): number {
  const last = batches.at(-1);
  return last === undefined ? 0 : last.firstOffset + last.span;
}
