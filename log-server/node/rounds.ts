/**
 * Work that is done now and then for as long as a node runs: a round, a pause, the next round, never two at once. A round
 * that fails is told of, and does not keep the next from coming.
 */
import type { Clock, Timer } from "../../src/ports/clock.ts";

export type RoundsOptions = {
  /** From the end of a round to the beginning of the next. */
  readonly everyMs: number;
  readonly work: () => Promise<void>;
  readonly failed: (error: unknown) => void;
};

export class Rounds {
  readonly #clock: Clock;
  readonly #options: RoundsOptions;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  /** The next round is not to wait. */
  #again = false;
  #stopped = false;

  constructor(clock: Clock, options: RoundsOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /** A round has begun, and is not over. */
  get underWay(): boolean {
    return this.#running !== undefined;
  }

  /** There are to be no more: what is long breaks off. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Once. The first round begins after `firstMs`; with 0, before this returns. */
  start(firstMs: number = this.#options.everyMs): void {
    if (firstMs === 0) this.#begin();
    else this.#later(firstMs);
  }

  /** A round begins now; or right behind the one under way, which may have begun too early to see what is to be done. */
  again(): void {
    if (this.#stopped) return;
    this.#again = true;
    if (this.#running !== undefined) return;
    this.#timer?.cancel();
    this.#begin();
  }

  /** Resolves when the round under way has ended; not to be awaited by that round itself. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #later(delayMs: number): void {
    this.#timer = this.#clock.schedule(delayMs, () => this.#begin());
  }

  #begin(): void {
    this.#again = false;
    this.#running = this.#round().finally(() => {
      this.#running = undefined;
      if (this.#stopped) return;
      if (this.#again) this.#begin();
      else this.#later(this.#options.everyMs);
    });
  }

  async #round(): Promise<void> {
    try {
      await this.#options.work();
    } catch (error) {
      this.#options.failed(error);
    }
  }
}
