/**
 * Long work in short turns, so that it takes its part of the time, and no more: after each it rests for as long as it worked, some times
 * over. Where others are so busy that a rest becomes longer than that, the next turns come together until the part is made up for: else a
 * snapshot, a few milliseconds at a time, would come to no end while a task works off what it is behind. Nothing depends on how long any
 * of it is.
 */
import type { Clock } from "../../ports/clock.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";

export class Turns {
  readonly #clock: Clock;
  readonly #restRatio: number;
  #since: number;
  /** What may be worked before the next rest. */
  #owedMs = 0;
  /** Turns since the last rest. */
  #together = 0;

  /** `restRatio`: 3 takes a quarter of the time, 0 lets others only have their turn. */
  constructor(clock: Clock, restRatio: number) {
    this.#clock = clock;
    this.#restRatio = restRatio;
    this.#since = clock.monotonic();
  }

  /** What was done until now is one turn; it resolves when the next one may begin. `hurry`: by so much less it rests, from 0 to below 1. */
  async rest(hurry = 0): Promise<void> {
    const { turnsTogetherMax, restMsMax } = SNAPSHOT_LIMITS;
    const restedFrom = this.#clock.monotonic();
    const worked = restedFrom - this.#since;
    const ratio = this.#restRatio * (1 - hurry);
    this.#together += 1;
    if (worked < this.#owedMs && this.#together < turnsTogetherMax) return;
    await new Promise<void>((resolve) => {
      if (ratio === 0) this.#clock.defer(resolve);
      else this.#clock.schedule(Math.min(worked * ratio, restMsMax), resolve);
    });
    this.#since = this.#clock.monotonic();
    this.#owedMs = ratio === 0 ? 0 : (this.#since - restedFrom) / ratio;
    this.#together = 0;
  }

  /** Waiting for others is no work. */
  async meanwhile<Result>(waiting: Promise<Result>): Promise<Result> {
    const worked = this.#clock.monotonic() - this.#since;
    const result = await waiting;
    this.#since = this.#clock.monotonic() - worked;
    return result;
  }
}
