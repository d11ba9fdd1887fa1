/** Every bound of the segmented log (I15). What is beside the log has its own, in `storage-limits.ts`. */

export type LogLimits = {
  /** A segment's file as preallocated. Only an entry that does not fit an empty segment makes one longer. */
  readonly segmentBytes: number;
  /** Preallocated segments kept ready, so that trimming and elections can go on with a full disk. */
  readonly sparesKept: number;
  /** Zeros written and synced at a time while a segment is preallocated, so that appends are not kept waiting. */
  readonly allocationStepBytes: number;
  /** A batch up to this size is copied behind its entry's head; a larger one is a chunk of its own in the gathered write. */
  readonly copiedBatchBytesMax: number;
  /** Heads and small batches are gathered in blocks of this size. */
  readonly gatherBlockBytes: number;
  /** Newest batches kept in memory for readers at the tail. */
  readonly tailCacheBytes: number;
  /** Read from a segment in one call, when what is wanted lies close together. */
  readonly readBytesMax: number;
  /** Bytes between two wanted pieces that are read and thrown away rather than cost another call. */
  readonly readGapBytes: number;
  /** Segments that one read of a stream visits at most; what is behind them is for the next read. */
  readonly readSegmentsMax: number;
  /** Pages of sealed segments' index blocks kept in memory. */
  readonly indexPagesMax: number;
  /** Files of sealed segments kept open. */
  readonly openFilesMax: number;
  /** Entries, and their batches, whose index rows are saved as one row of the image. */
  readonly tailRowEntries: number;
  readonly tailRowBatches: number;
  /** Rows of the sparse index written in one transaction. */
  readonly indexRowsPerWrite: number;
  /** Copied at a time while segments are rewritten, so that appends are not kept waiting. */
  readonly rewriteChunkBytes: number;
  /** Of a rewritten segment's file. */
  readonly compactedBytesMax: number;
  /** Of a batch that is compacted, uncompressed: what one of the largest that are accepted may hold. */
  readonly rawBatchBytesMax: number;
  /** Entries that another node asks for and that cannot be read here, passed over to find one that can. */
  readonly offerTriesMax: number;
  /** Of one rewritten segment, mended at a time: batches that were lost, in memory, and asked for in one call. */
  readonly mendBytesMax: number;
  readonly mendBatchesPerCall: number;
  /** Entries of which another node is told at a time where their batches are. */
  readonly placementsPerCall: number;
  /** Damaged tails set aside and kept, as evidence. */
  readonly quarantineFilesMax: number;
  /** Findings of damage kept for reporting. */
  readonly damageMax: number;
};

const KIB = 1_024;
const MIB = KIB * KIB;

export const LOG_LIMITS: LogLimits = {
  segmentBytes: 64 * MIB,
  sparesKept: 2,
  allocationStepBytes: 4 * MIB,
  copiedBatchBytesMax: 4 * KIB,
  gatherBlockBytes: MIB,
  tailCacheBytes: 64 * MIB,
  readBytesMax: MIB,
  readGapBytes: 4 * KIB,
  readSegmentsMax: 64,
  indexPagesMax: 4_096,
  openFilesMax: 128,
  tailRowEntries: 256,
  tailRowBatches: 1_024,
  indexRowsPerWrite: 2_000,
  rewriteChunkBytes: 256 * KIB,
  compactedBytesMax: 1_024 * MIB,
  rawBatchBytesMax: 64 * MIB,
  offerTriesMax: 1_024,
  mendBytesMax: 32 * MIB,
  mendBatchesPerCall: 64,
  placementsPerCall: 16_384,
  quarantineFilesMax: 8,
  damageMax: 1_000,
};
