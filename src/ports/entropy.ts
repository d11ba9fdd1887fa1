/** Randomness as an input: drawn before a command is proposed, and carried in it. */

export interface Entropy {
  bytes(length: number): Uint8Array;
}
