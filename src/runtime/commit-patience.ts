/**
 * How long a replica waits for another's commit before it makes it: as a sender waits for an acknowledgement (RFC 6298), by how long they
 * have taken to come. Where commits come every few milliseconds, one that is missing is noticed soon; where the cluster or this
 * process is slow, nobody who works is disturbed. To be wrong costs a refused commit, never an output (I12).
 */
import { RUNTIME_LIMITS } from "./limits.ts";

/** Weights of what is new, and how many deviations are still nothing unusual. */
const MEAN_WEIGHT = 1 / 8;
const DEVIATION_WEIGHT = 1 / 4;
const DEVIATIONS = 4;

export class CommitPatience {
  readonly #initialMs: number;
  readonly #spread: number;
  #meanMs: number | undefined;
  #deviationMs = 0;

  /** Until commits were seen it is `initialMs`. `spread`, from 0 to 1: so that of several replicas that wait one is first. */
  constructor(initialMs: number, spread: number) {
    this.#initialMs = initialMs;
    this.#spread = spread;
  }

  get ms(): number {
    const { takeoverSoonerMax, takeoverLaterMax, takeoverSpread } = RUNTIME_LIMITS;
    const usualMs = this.#meanMs === undefined ? this.#initialMs : this.#meanMs + DEVIATIONS * this.#deviationMs;
    const ms = Math.min(Math.max(usualMs, this.#initialMs / takeoverSoonerMax), this.#initialMs * takeoverLaterMax);
    return ms * (1 + takeoverSpread * this.#spread);
  }

  /** One came, after so long. More than it would ever wait, as over a pause of the app, says no more than that. */
  came(afterMs: number): void {
    const waitedMs = Math.min(afterMs, this.#initialMs * RUNTIME_LIMITS.takeoverLaterMax);
    if (this.#meanMs === undefined) {
      this.#meanMs = waitedMs;
      this.#deviationMs = waitedMs / 2;
      return;
    }
    this.#deviationMs += (Math.abs(waitedMs - this.#meanMs) - this.#deviationMs) * DEVIATION_WEIGHT;
    this.#meanMs += (waitedMs - this.#meanMs) * MEAN_WEIGHT;
  }
}
