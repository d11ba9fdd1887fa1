/**
 * Stretches of streams: what one node has lost, and what another keeps there. A batch is cut by compaction into another one on
 * each node, at a time of its own; where its records lie in the stream stays the same, so that is what is asked for.
 */
import type { BatchHead } from "../rewrite/compacted-file.ts";

/** Offsets of a stream, from one where a batch begins to behind one where a batch ends. */
export type StreamRange = { readonly streamId: number; readonly from: number; readonly to: number };

/** A batch as it is kept: all that its frame in a rewritten segment says of it, but for what is known of its stream. */
export type RangeBatch = Omit<BatchHead, "logId" | "streamId" | "incarnation" | "length"> & {
  readonly bytes: Uint8Array;
};

/** What a log keeps of a stretch. What has no batch before `next` was trimmed or compacted; nothing is said of the rest. */
export type KeptRange = { readonly batches: readonly RangeBatch[]; readonly next: number };
