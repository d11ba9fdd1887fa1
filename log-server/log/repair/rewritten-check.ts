/** Reads a sealed segment's batches, one by one, and compares them with what the segment's index says stands there. */
import { BATCH_FRAME_OVERHEAD, frameOf, readBatchHead } from "../rewrite/compacted-file.ts";
import { type Damage, damageOfBatch } from "./damage.ts";
import type { BatchRow } from "../index/index-block.ts";
import type { IndexReader, SealedSegment } from "../segments/sealed-segment.ts";
import type { CheckParts, Pace } from "./segment-check.ts";
import type { SegmentFiles } from "../segments/segment-files.ts";
import { batchIsIntact } from "../segments/segment-scan.ts";

/** The batches that cannot be read, in the order of their places; undefined: the index cannot. */
export async function damagedRows(
  { indexReader, limits, files }: CheckParts,
  segment: SealedSegment,
  pace: Pace = () => Promise.resolve(),
): Promise<readonly BatchRow[] | undefined> {
  const rows = await rowsOf(indexReader, segment);
  if (rows === undefined) return undefined;
  const damaged: BatchRow[] = [];
  for (let from = 0; from < rows.length;) {
    const chunk: BatchRow[] = [];
    let bytes = 0;
    for (; from < rows.length && bytes < limits.readBytesMax; from += 1) {
      const row = rows[from] as BatchRow;
      chunk.push(row);
      bytes += row.length;
    }
    damaged.push(...(await damagedOf(files, segment, chunk)));
    await pace(bytes);
  }
  return damaged;
}

/** As it is reported. */
export function damageInRows(segment: SealedSegment, rows: readonly BatchRow[]): readonly Damage[] {
  return rows.map((row) => damageOfBatch(segment.sequence, row));
}

async function rowsOf(indexReader: IndexReader, segment: SealedSegment): Promise<readonly BatchRow[] | undefined> {
  const rows: BatchRow[] = [];
  const { rowCount } = segment.facts;
  if (rowCount > 0 && !(await indexReader.walkRows(segment, 0, rowCount, (row) => rows.push(row)))) return undefined;
  return rows.sort((a, b) => a.place - b.place);
}

async function damagedOf(
  files: SegmentFiles,
  segment: SealedSegment,
  rows: readonly BatchRow[],
): Promise<readonly BatchRow[]> {
  if (!segment.isRewritten) {
    const batches = await files.fetch(segment, rows);
    return rows.filter((row, at) => {
      const bytes = batches[at];
      return bytes === undefined || !batchIsIntact(bytes, row);
    });
  }
  const frames = await files.fetch(segment, rows.map(frameOf));
  return rows.filter((row, at) => {
    const frame = frames[at];
    const head = frame && readBatchHead(frame, segment.sequence, frameOf(row).place);
    return head === undefined || frame === undefined || !batchIsIntact(frame.subarray(BATCH_FRAME_OVERHEAD), row);
  });
}
