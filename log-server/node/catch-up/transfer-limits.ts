/** Every bound of transfers between nodes (I15). Sizes in bytes, times in milliseconds. */

export type TransferLimits = {
  /** One piece; with its head it fits one frame between nodes, so that it is neither cut nor put together again. */
  readonly chunkBytes: number;
  /** Read from the source at a time, and kept until it is sent. */
  readonly readBytes: number;
  /** Sent and not yet taken by the receiver's sink: what may stand in front of a heartbeat in buffers we do not see. */
  readonly windowBytes: number;
  /**
   * The pace of everything that one node sends, bytes per second: a fraction of what a disk and a network can do, and of what a
   * leader's one thread can, for that is needed for appends.
   */
  readonly bytesPerSecond: number;
  /** Without progress for this long what is under way is sent again. */
  readonly stallMs: number;
  /** Without progress for this long a transfer has failed. */
  readonly giveUpMs: number;
  /** Under way at once, each way. */
  readonly transfersMax: number;
  /** Of a transfer's name, and of a reason for its failure. */
  readonly textBytesMax: number;
};

export const TRANSFER_LIMITS: TransferLimits = {
  chunkBytes: 60 * 1024,
  readBytes: 240 * 1024,
  windowBytes: 1024 * 1024,
  bytesPerSecond: 32 * 1024 * 1024,
  stallMs: 2_000,
  giveUpMs: 60_000,
  transfersMax: 16,
  textBytesMax: 1_024,
};
