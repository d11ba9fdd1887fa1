/** Small random numbers from the entropy port. */
import type { Entropy } from "../../src/ports/entropy.ts";

export function randomU32(entropy: Entropy): number {
  const bytes = entropy.bytes(4);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

/** From 0 up to, not including, 1. */
export function randomFraction(entropy: Entropy): number {
  return randomU32(entropy) / 0x1_0000_0000;
}
