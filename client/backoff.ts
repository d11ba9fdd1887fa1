/**
 * How long to wait before the next attempt: doubling, capped, half of it random so that clients spread out.
 * State of one series of failures; not a policy about what may be retried.
 */
import type { Entropy } from "../src/ports/entropy.ts";
import { CLIENT_LIMITS } from "./limits.ts";

const BYTE_RANGE = 256;

export class Backoff {
  readonly #entropy: Entropy;
  #ceilingMs: number = CLIENT_LIMITS.backoffFirstMs;
  #attempts = 0;

  constructor(entropy: Entropy) {
    this.#entropy = entropy;
  }

  /** Failures in a row so far. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The wait before the next attempt; never shorter than the server asked for, within the cap. */
  next(retryAfterMs = 0): number {
    const fraction = (this.#entropy.bytes(1)[0] ?? 0) / BYTE_RANGE;
    const delayMs = this.#ceilingMs / 2 + (this.#ceilingMs / 2) * fraction;
    this.#ceilingMs = Math.min(this.#ceilingMs * 2, CLIENT_LIMITS.backoffMaxMs);
    this.#attempts += 1;
    return Math.max(delayMs, Math.min(retryAfterMs, CLIENT_LIMITS.backoffMaxMs));
  }

  reset(): void {
    this.#ceilingMs = CLIENT_LIMITS.backoffFirstMs;
    this.#attempts = 0;
  }
}
