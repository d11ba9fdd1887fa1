/**
 * Long work in short turns, so that it takes only a part of the time: after each it rests for as long as it worked, some times
 * over. Nothing depends on how long that is.
 */
import type { Clock } from "../../ports/clock.ts";

export class Turns {
  readonly #clock: Clock;
  readonly #restRatio: number;
  #since: number;

  /** `restRatio`: 3 takes a quarter of the time, 0 lets others only have their turn. */
  constructor(clock: Clock, restRatio: number) {
    this.#clock = clock;
    this.#restRatio = restRatio;
    this.#since = clock.monotonic();
  }

  /** What was done until now is one turn; it resolves when the next one may begin. */
  async rest(): Promise<void> {
    const worked = this.#clock.monotonic() - this.#since;
    await new Promise<void>((resolve) => {
      if (this.#restRatio === 0) this.#clock.defer(resolve);
      else this.#clock.schedule(worked * this.#restRatio, resolve);
    });
    this.#since = this.#clock.monotonic();
  }

  /** Waiting for others is no work. */
  async meanwhile<Result>(waiting: Promise<Result>): Promise<Result> {
    const worked = this.#clock.monotonic() - this.#since;
    const result = await waiting;
    this.#since = this.#clock.monotonic() - worked;
    return result;
  }
}
