/** Bounds of the disk, the key-value store and what is kept in them beside the log itself (I15). */

export const DISK_LIMITS = {
  /** Chunks in one gathered write: Linux takes 1,024. */
  gatheredChunksMax: 1_024,
  /** Zeros written at a time when a file is allocated. */
  allocationBytesMax: 4_194_304,
  /** Of them in memory, taken again and again. */
  zerosBytes: 65_536,
  /** Of writes that pass the kernel's cache, in memory: a longer one goes in parts. */
  stagedBytes: 4_194_304,
} as const;

export const KV_LIMITS = {
  keyBytesMax: 1_000,
  /** Looked up at an opening without letting others have their turn, where they are to have it. */
  rowsPerTurn: 1_024,
  /** A transaction that fails with less room than this failed for want of it. */
  fullBelowBytes: 16_777_216,
  /** How long to wait to be told why a transaction failed. */
  reasonWaitMsMax: 1_000,
} as const;

export const HARD_STATE_LIMITS = {
  /** Of a node's, a cluster's id in UTF-8: three of them fit a slot. */
  nameBytesMax: 128,
} as const;

export const SNAPSHOT_LIMITS = {
  /** Rows are gathered up to this much for one write. A larger row has a block of its own. */
  blockBytes: 262_144,
  /** The most that a block may claim to hold, and so the most that reading one allocates. */
  blockBytesMax: 268_435_456,
  /** Intact ones kept: one, and one in case it rots. */
  kept: 2,
  /** Damaged ones set aside and kept, as evidence. */
  keptDamaged: 2,
} as const;

export const SHIPMENT_LIMITS = {
  /** Of one shipment; what lists them fits a message of the lane `bulk` many times over. */
  filesMax: 1_048_576,
  diskIdBytesMax: 256,
  /** Of the list of files. */
  listBytesMax: 16_777_216,
  /** Received between two syncs, so that what appends sync does not wait for all of it. */
  syncEveryBytes: 4_194_304,
} as const;

export const IDENTITY_LIMITS = {
  /** Far more than the file ever has. */
  fileBytesMax: 64 * 1024,
} as const;

export const LOCK_LIMITS = {
  /** Two that ask at the same moment may each see the other half-way; both losing is as bad as both winning. */
  waitMsMax: 250,
} as const;
