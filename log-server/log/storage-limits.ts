/** Bounds of the disk, the key-value store and what is kept in them beside the log itself (I15). */

export const DISK_LIMITS = {
  /** Chunks in one gathered write: Linux takes 1,024. */
  gatheredChunksMax: 1_024,
  /** Zeros written at a time when a file is allocated. */
  allocationBytesMax: 1_048_576,
} as const;

export const KV_LIMITS = {
  keyBytesMax: 1_000,
} as const;

export const HARD_STATE_LIMITS = {
  /** Of a node's, a cluster's id in UTF-8: three of them fit a slot. */
  nameBytesMax: 128,
} as const;
