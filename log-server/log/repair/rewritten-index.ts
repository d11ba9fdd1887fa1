/**
 * Makes the index block of a rewritten segment anew. What each batch is, its own frame says; which offsets each stream
 * covers, of which compaction may have left nothing, says the sparse index. The two must agree on every batch.
 */
import { type Disk, DiskError } from "../../../src/ports/disk.ts";
import { createAnew } from "../disk/create-anew.ts";
import type { BatchIndex, StreamSegment } from "../index/batch-index.ts";
import type { BatchRow, StreamRecord } from "../index/index-block.ts";
import { writeBlock } from "../index/index-block-writer.ts";
import type { LogLayout } from "../log-layout.ts";
import type { LogLimits } from "../limits.ts";
import {
  BATCH_FRAME_OVERHEAD,
  batchFrameBytes,
  type BatchHead,
  COMPACTED_HEADER_LENGTH,
  readBatchHead,
} from "../rewrite/compacted-file.ts";
import type { FilePool } from "../segments/file-pool.ts";
import type { IndexReader, SealedSegment } from "../segments/sealed-segment.ts";
import type { SegmentList } from "../segments/segment-list.ts";
import { isMissing, isUnreadable } from "./unreadable.ts";

export type RewrittenIndexParts = {
  readonly disk: Disk;
  readonly layout: LogLayout;
  readonly limits: LogLimits;
  readonly logId: number;
  readonly pool: FilePool;
  readonly segments: SegmentList;
  readonly batchIndex: BatchIndex;
  readonly indexReader: IndexReader;
};

type Stored = { readonly head: BatchHead; readonly place: number };

/** Writes the block, durably, to the name for what is not finished. Why it cannot be made, if so. */
export async function makeRewrittenIndex(
  parts: RewrittenIndexParts,
  segment: SealedSegment,
): Promise<string | undefined> {
  const { disk, layout } = parts;
  const { facts, terms, sources, sequence } = segment;
  const stored = await batchesIn(parts, segment);
  if (stored === undefined) return "its batches are damaged";
  const streams = await streamsOf(parts, segment, stored);
  if (streams === undefined) return "what is known of its streams does not fit its batches";
  const rows = stored.map(({ head, place }): BatchRow => ({ ...head, place })).values();
  const path = layout.file(sequence, "index.new");
  const file = await createAnew(disk, path);
  try {
    const nextRow = (): BatchRow => rows.next().value as BatchRow;
    await writeBlock(file, { facts, streams, nextRow, entry: () => undefined, terms, sources });
    await file.sync();
  } catch (error) {
    await file.close().catch(() => undefined);
    await disk.remove(path).catch(() => undefined);
    if (error instanceof DiskError && error.code === "no-space") return "the disk has no room for it";
    throw error;
  }
  await file.close();
  return undefined;
}

/** By stream and offset; undefined where one cannot be read. */
async function batchesIn(
  { layout, limits, logId, pool }: RewrittenIndexParts,
  { sequence, facts }: SealedSegment,
): Promise<readonly Stored[] | undefined> {
  const path = layout.file(sequence, "compacted");
  const stored: Stored[] = [];
  try {
    for (let place = COMPACTED_HEADER_LENGTH; place < facts.fileBytes;) {
      const bytes = new Uint8Array(Math.max(BATCH_FRAME_OVERHEAD, limits.readBytesMax));
      const start = place;
      const read = await pool.use(path, (file) => file.read(start, bytes));
      for (; place < facts.fileBytes && place + BATCH_FRAME_OVERHEAD <= start + read;) {
        const head = readBatchHead(bytes.subarray(place - start), sequence, place);
        if (head === undefined || head.logId !== logId) return undefined;
        stored.push({ head, place: place + BATCH_FRAME_OVERHEAD });
        place += batchFrameBytes(head.length);
      }
      if (place === start) return undefined;
    }
  } catch (error) {
    if (isMissing(error) || isUnreadable(error)) return undefined;
    throw error;
  }
  return stored.sort((a, b) => a.head.streamId - b.head.streamId || a.head.firstOffset - b.head.firstOffset);
}

async function streamsOf(
  parts: RewrittenIndexParts,
  segment: SealedSegment,
  stored: readonly Stored[],
): Promise<readonly StreamRecord[] | undefined> {
  const records: StreamRecord[] = [];
  let firstRow = 0;
  for (const { streamId, part } of parts.batchIndex.streamsIn(segment.sequence)) {
    const batches = stored.slice(firstRow, firstRow + part.rowCount).map(({ head }) => head);
    if (part.firstRow !== firstRow || !isAllOf(streamId, part, batches)) return undefined;
    const incarnation = batches[0]?.incarnation ?? (await incarnationOf(parts, segment, streamId));
    if (incarnation === undefined) return undefined;
    const { rowCount, firstOffset, endOffset, bytes, lastLogTime } = part;
    records.push({ streamId, firstRow, rowCount, incarnation, firstOffset, endOffset, bytes, lastLogTime });
    firstRow += rowCount;
  }
  const { rowCount, streamCount } = segment.facts;
  return firstRow === stored.length && firstRow === rowCount && records.length === streamCount ? records : undefined;
}

function isAllOf(streamId: number, part: StreamSegment, batches: readonly BatchHead[]): boolean {
  let next = part.firstOffset;
  for (const head of batches) {
    if (head.streamId !== streamId || head.firstOffset < next) return false;
    next = head.firstOffset + head.span;
  }
  return batches.length === part.rowCount && next <= part.endOffset;
}

/** Of a stream that has nothing left in the segment: another one knows. */
async function incarnationOf(
  { segments, indexReader }: RewrittenIndexParts,
  segment: SealedSegment,
  streamId: number,
): Promise<number | undefined> {
  for (const other of segments.sealed) {
    const record = other === segment ? "absent" : await indexReader.stream(other, streamId);
    if (record !== undefined && record !== "absent") return record.incarnation;
  }
  for (const { index } of segments.unsealed) {
    const stream = index.streams.get(streamId);
    if (stream !== undefined) return stream.incarnation;
  }
  return undefined;
}
