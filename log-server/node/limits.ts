/** Every bound of the node's loop (I15). Sizes in bytes, times in milliseconds. */

export type NodeLimits = {
  /** Proposals waiting to be encoded; more are refused as `overloaded`. */
  readonly proposalsMax: number;
  readonly proposalBytesMax: number;
  /** One batch, as encoded; more is `batch-too-large`. */
  readonly batchBytesMax: number;
  /** Commands join one entry up to this; a single larger command is an entry of its own. */
  readonly entryBytesMax: number;
  readonly entryCommandsMax: number;
  /** Entries proposed for one group commit. */
  readonly groupBytesMax: number;
  /** Read back from disk at a time while the state machine catches up. */
  readonly replayBytesMax: number;
  /** Readers waiting for a change, over all streams. */
  readonly waitersMax: number;
  /** Linearizable reads waiting for their point. */
  readonly barriersMax: number;
  /** The image is saved after this much of the log was applied, or this many entries, or this long. */
  readonly imageEveryBytes: number;
  readonly imageEveryMs: number;
  /** Changed rows kept for the next save when one failed; with more, the image is given up and saved whole. */
  readonly unsavedRowsMax: number;
  /** A snapshot is written after this much of the log was applied since the last one. */
  readonly snapshotEveryBytes: number;
  /** How long reads' refreshes of sliding expiry are collected before they are proposed together. */
  readonly touchDelayMs: number;
  readonly touchesMax: number;
  /** How often retention is looked at, and free disk space. */
  readonly housekeepingEveryMs: number;
  /** With less free space than this, commands that need more are refused as `disk-full`. */
  readonly lowWaterBytes: number;
  /** An append for which the disk had no room is tried again after this. */
  readonly stalledRetryMs: number;
};

export const NODE_LIMITS: NodeLimits = {
  proposalsMax: 16_384,
  proposalBytesMax: 64 * 1024 * 1024,
  batchBytesMax: 16 * 1024 * 1024,
  entryBytesMax: 1024 * 1024,
  entryCommandsMax: 4_096,
  groupBytesMax: 16 * 1024 * 1024,
  replayBytesMax: 4 * 1024 * 1024,
  waitersMax: 100_000,
  barriersMax: 100_000,
  imageEveryBytes: 32 * 1024 * 1024,
  imageEveryMs: 10_000,
  unsavedRowsMax: 200_000,
  snapshotEveryBytes: 256 * 1024 * 1024,
  touchDelayMs: 100,
  touchesMax: 10_000,
  housekeepingEveryMs: 5_000,
  lowWaterBytes: 256 * 1024 * 1024,
  stalledRetryMs: 500,
};
