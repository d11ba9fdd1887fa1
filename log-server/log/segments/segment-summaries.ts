/** What is told of segments to who decides what is trimmed and what is rewritten. */
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { BatchIndex } from "../index/batch-index.ts";
import { NO_STREAM, type StreamRecord } from "../index/index-block.ts";
import { bytesOf } from "../rewrite/rewriter.ts";
import type { IndexReader } from "./sealed-segment.ts";
import type { SegmentList } from "./segment-list.ts";

/** A stream's batches in one segment, for retention. */
export type StreamSegmentSummary = {
  /** Undefined: the segment is not sealed yet. */
  readonly sequence: number | undefined;
  readonly firstOffset: number;
  readonly endOffset: number;
  readonly bytes: number;
  readonly lastLogTime: number;
};

/** A sealed segment, for who decides what is rewritten. */
export type SealedSegmentSummary = {
  readonly sequence: number;
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** What it takes on the disk. */
  readonly fileBytes: number;
  /** Of batches that were accepted. */
  readonly dataBytes: number;
  /** It holds what was left of others. */
  readonly rewritten: boolean;
  /** Undefined where damage hides it. */
  streams(): Promise<readonly StreamRecord[] | undefined>;
};

/** See `SegmentedLog.streamSegments`. */
export function streamSegments(
  { batchIndex, segments }: { readonly batchIndex: BatchIndex; readonly segments: SegmentList },
  streamId: number,
): StreamSegmentSummary[] {
  const sealed = batchIndex
    .segmentsOf(streamId)
    // While one is being sealed, both know of it.
    .filter(({ sequence }) => segments.bySequence(sequence)?.kind === "sealed")
    .map(({ sequence, firstOffset, endOffset, bytes, lastLogTime }): StreamSegmentSummary => ({
      sequence,
      firstOffset,
      endOffset,
      bytes,
      lastLogTime,
    }));
  const unsealed = segments.unsealed.flatMap(({ index }): StreamSegmentSummary[] => {
    const stream = index.streams.get(streamId);
    if (stream === undefined) return [];
    const firstOffset = index.rows.firstOffset[stream.rows[0] as number] as number;
    const { endOffset, bytes, lastLogTime } = stream;
    return [{ sequence: undefined, firstOffset, endOffset, bytes, lastLogTime }];
  });
  return [...sealed, ...unsealed];
}

/** See `SegmentedLog.sealedSegments`. */
export function sealedSegments({
  segments,
  indexReader,
}: {
  readonly segments: SegmentList;
  readonly indexReader: IndexReader;
}): readonly SealedSegmentSummary[] {
  return segments.sealed
    .filter((segment) => segment !== segments.last)
    .map((segment) => ({
      sequence: segment.sequence,
      firstIndex: segment.firstIndex,
      lastIndex: segment.lastIndex,
      fileBytes: bytesOf(segment),
      dataBytes: segment.facts.dataBytes,
      rewritten: segment.isRewritten,
      streams: async () => {
        const streams = await indexReader.streams(segment);
        return streams?.filter(({ streamId }) => streamId !== NO_STREAM);
      },
    }));
}
