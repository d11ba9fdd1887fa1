/** Bounds of records and of their codecs (I15). What a batch may hold is bounded by whoever takes it, and passed in. */

export const RECORD_LIMITS = {
  /** Of one record, as `record-size.ts` counts it: what servers and clients take unless they are set up otherwise. */
  recordBytesMax: 8 * 1024 * 1024,
  /** Of one record. */
  headersMax: 1_024,

  /**
   * Of a batch's records. What less of them would save is not a block of the disk; and each batch costs whoever makes it, takes it and reads it
   * a context of zstd, which at some thousand small batches a second was a tenth of their processors' time.
   */
  compressedBytesMin: 4 * 1024,

  /** Initial sizes of the buffers that all encoding shares; they grow to the largest batch and stay so. */
  encodeBufferBytes: 64 * 1024,
  scratchBufferBytes: 4 * 1024,
} as const;
