/**
 * Zstandard, where the platform has it (Node's zlib has; browsers mostly have not). Mostly synchronous, for batches are small
 * and codecs are pure.
 */

export interface Zstd {
  compress(bytes: Uint8Array): Uint8Array;
  /** The same on another thread, for what is long and nobody waits for; the bytes stay as they are meanwhile. Simulations have none. */
  compressAside?(bytes: Uint8Array): Promise<Uint8Array>;
  /**
   * Exactly `rawLength` bytes, or undefined where the input is not valid or would give another length. Never
   * allocates more than `rawLength`: callers check that number first, so a bomb cannot go off.
   */
  decompress(bytes: Uint8Array, rawLength: number): Uint8Array | undefined;
}
