/** A pace in bytes per second, with a short burst. Time is an input. */
import { assert } from "../../../src/lib/assert.ts";

const MS_PER_SECOND = 1_000;
/** What may go at once after a rest, as a share of a second's bytes. */
const BURST_MS = 20;

export class TokenBucket {
  readonly #bytesPerMs: number;
  readonly #burstBytes: number;
  /** Below zero: spent ahead, to be waited for. */
  #level: number;
  #atMs: number;

  constructor(bytesPerSecond: number, nowMs: number) {
    assert(bytesPerSecond > 0, "I15: a pace is above zero");
    this.#bytesPerMs = bytesPerSecond / MS_PER_SECOND;
    this.#burstBytes = this.#bytesPerMs * BURST_MS;
    this.#level = this.#burstBytes;
    this.#atMs = nowMs;
  }

  /** How long to wait before the next bytes may be spent; 0 is now. */
  waitMs(nowMs: number): number {
    this.#level = Math.min(this.#burstBytes, this.#level + Math.max(0, nowMs - this.#atMs) * this.#bytesPerMs);
    this.#atMs = nowMs;
    return this.#level > 0 ? 0 : Math.ceil(-this.#level / this.#bytesPerMs) + 1;
  }

  spend(bytes: number): void {
    this.#level -= bytes;
  }
}
