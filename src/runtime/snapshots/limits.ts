/** Bounds of snapshots (I15). */

/** How a snapshot is cut. */
export type SnapshotSizes = {
  /** A slice is about so long; where that would make too many of them, longer. */
  readonly sliceBytesMin: number;
  readonly sliceBytesMax: number;
  readonly slicesWanted: number;
  /** Rows that changed, in one piece. */
  readonly deltaBytes: number;
  /** Looked at without letting others have their turn. */
  readonly rowsPerTurn: number;
  /** For every byte of what changed, so many of the oldest slices are written again: that bounds what a restore reads. */
  readonly rewrittenPerChanged: number;
  /** After so many snapshots all slices were written again, however little has changed. */
  readonly snapshotsPerCycle: number;
};

export const SNAPSHOT_SIZES: SnapshotSizes = {
  sliceBytesMin: 256 * 1024,
  sliceBytesMax: 4 * 1024 * 1024,
  slicesWanted: 512,
  deltaBytes: 256 * 1024,
  rowsPerTurn: 512,
  rewrittenPerChanged: 2,
  snapshotsPerCycle: 128,
};

/** What snapshots are unless they are set up otherwise. */
export const SNAPSHOT_DEFAULTS = {
  everyMs: 60_000,
  restRatio: 3,
  verifyBytesMax: 256 * 1024 * 1024,
  verifyEveryMs: 600_000,
  sizes: SNAPSHOT_SIZES,
} as const;

export const SNAPSHOT_LIMITS = {
  /** Of one record in the stream of snapshots; what is longer takes several. */
  recordBytesMax: 1024 * 1024,
  /** Of a piece: a slice of the longest kind, and behind it one row that may be as large as a row gets. */
  pieceRawBytesMax: 16 * 1024 * 1024,

  /** Of one snapshot: being compressed, or appended and not known to be durable. */
  piecesUnderWayMax: 8,
  /** Of log time: one that is being written, and has not come further for so long, is left by whoever wrote it. */
  abandonedAfterMs: 5_000,
  /** After each turn: on a busy machine most of what was "work" was waiting for a processor, and to rest for that would never end. */
  restMsMax: 16,
  /** Some milliseconds each; then others have theirs. */
  turnsTogetherMax: 8,
  /** One that would else be lost rests by so much less. */
  hurryMax: 0.9,

  /** Of a manifest: far more than a state that is cut so, and changes so, has. */
  slicesMax: 65_536,
  deltasMax: 65_536,
  keyBytesMax: 1_000,
  replicaBytesMax: 64,

  /** Records read at once where nobody knows which is a manifest: doubled each time. */
  searchRecordsMin: 4,
  /** Manifests that are tried before everything is read from the input again. */
  manifestsTriedMax: 8,
  /** Read ahead by a restore. */
  readBytes: 4 * 1024 * 1024,
  /** Restored rows that are written to a store on disk at once. */
  restoredWriteBytes: 8 * 1024 * 1024,
} as const;
