/**
 * Memory for short results that are soon let go of: they share it with others of their time, and all of it stays as long
 * as one of them. Memory of its own costs more than everything else about a small batch or frame.
 */

const SHARED_BYTES = 16_384;
export const SHARED_LENGTH_MAX = 512;

let shared: Uint8Array = new Uint8Array(SHARED_BYTES);
let sharedUsed = 0;

/** So many bytes, zero, for the caller alone; longer ones have memory of their own. */
export function sharedBytes(length: number): Uint8Array {
  if (length > SHARED_LENGTH_MAX) return new Uint8Array(length);
  if (sharedUsed + length > SHARED_BYTES) {
    shared = new Uint8Array(SHARED_BYTES);
    sharedUsed = 0;
  }
  const at = sharedUsed;
  sharedUsed += length;
  return shared.subarray(at, at + length);
}
