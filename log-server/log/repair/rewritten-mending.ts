/**
 * Puts together what damage took of a rewritten segment: batches, each known by its place in its stream and by its hash. At
 * one frontier they are the same bytes on every node, and one that was never compacted is so everywhere; who has compacted
 * more or less has another, and cannot help with that one.
 */
import { BATCH_FRAME_OVERHEAD, encodeBatchFrame, encodeCompactedHeader } from "../rewrite/compacted-file.ts";
import type { BatchRow } from "../index/index-block.ts";
import type { LogLimits } from "../limits.ts";
import type { Patch } from "./mending.ts";
import type { IndexReader, SealedSegment } from "../segments/sealed-segment.ts";
import { batchIsIntact } from "../segments/segment-scan.ts";

/** Which batch, as it is stored. */
export type WantedBatch = {
  readonly streamId: number;
  readonly firstOffset: number;
  readonly hash: bigint;
};

/** A batch with what is said of it where it is kept. */
export type KeptBatch = {
  readonly bytes: Uint8Array;
  /** Hash of the batch as it was appended. */
  readonly identity: bigint;
  readonly wasCompressed: boolean;
};

/** What somebody else has of a log's streams. */
export interface BatchSource {
  /** One for each that is wanted, in order, undefined for those that it does not have; undefined: it does not answer. */
  batches(wanted: readonly WantedBatch[]): Promise<readonly (KeptBatch | undefined)[] | undefined>;
}

export type RewrittenParts = {
  readonly logId: number;
  readonly limits: LogLimits;
  readonly indexReader: IndexReader;
};

/** What to write for these rows, as far as others have them: no more at a time than fits in memory. */
export async function patchesOfRewritten(
  { logId, limits, indexReader }: RewrittenParts,
  segment: SealedSegment,
  damaged: readonly BatchRow[],
  sources: readonly BatchSource[],
): Promise<readonly Patch[]> {
  const { sequence, firstIndex, lastIndex } = segment;
  const patches: Patch[] = [];
  let wanted = atOnce(damaged, limits.mendBytesMax);
  for (const source of sources) {
    const given = new Set<BatchRow>();
    for (let from = 0; from < wanted.length; from += limits.mendBatchesPerCall) {
      const asked = wanted.slice(from, from + limits.mendBatchesPerCall);
      const batches = await source.batches(asked);
      if (batches === undefined) break;
      for (const [at, row] of asked.entries()) {
        const batch = batches[at];
        if (batch === undefined || !batchIsIntact(batch.bytes, row)) continue;
        const stream = await indexReader.stream(segment, row.streamId);
        if (stream === undefined || stream === "absent") continue;
        const { identity, wasCompressed, bytes } = batch;
        const place = row.place - BATCH_FRAME_OVERHEAD;
        const head = { ...row, logId, incarnation: stream.incarnation, identity, wasCompressed };
        patches.push({ place, bytes: encodeBatchFrame(head, bytes, sequence, place) });
        given.add(row);
      }
    }
    wanted = wanted.filter((row) => !given.has(row));
    if (wanted.length === 0) break;
  }
  if (patches.length > 0)
    patches.push({ place: 0, bytes: encodeCompactedHeader({ logId, sequence, firstIndex, lastIndex }) });
  return patches;
}

function atOnce(rows: readonly BatchRow[], bytesMax: number): readonly BatchRow[] {
  let bytes = 0;
  const end = rows.findIndex((row, at) => {
    bytes += row.length;
    return at > 0 && bytes > bytesMax;
  });
  return end < 0 ? rows : rows.slice(0, end);
}
