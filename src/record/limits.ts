/** Bounds of the record codecs (I15). What a batch may hold is bounded by whoever takes it, and passed in. */

export const RECORD_LIMITS = {
  /** Initial sizes of the buffers that all encoding shares; they grow to the largest batch and stay so. */
  encodeBufferBytes: 64 * 1024,
  scratchBufferBytes: 4 * 1024,
} as const;
