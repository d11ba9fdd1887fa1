/**
 * Time and randomness as the SDK uses them: the same ports as everywhere, so that a simulator can stand in.
 */
import type { Clock, Timer } from "../src/ports/clock.ts";
import type { Entropy } from "../src/ports/entropy.ts";

export type Environment = { readonly clock: Clock; readonly entropy: Entropy };

/** The platform's own: what Node and browsers share, nothing else. */
export const SYSTEM_ENVIRONMENT: Environment = {
  clock: {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    schedule(delayMs: number, run: () => void): Timer {
      const timer = setTimeout(run, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
    defer: (run) => {
      setTimeout(run, 0);
    },
  },
  entropy: { bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) },
};

const ID_BYTES = 12;

/** An id no one else will draw. */
export function randomId(entropy: Entropy): string {
  return Array.from(entropy.bytes(ID_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
