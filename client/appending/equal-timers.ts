/**
 * Timers that all run as long, as the time-outs of many calls do: they are due in the order in which they began, so one
 * timer of the clock does for all. Nearly all are cancelled long before, and one of the platform's for each would be a good
 * part of what a small append costs. With nothing to wait for there is none, so that it keeps no process alive.
 */
import type { Clock, Timer } from "../../src/ports/clock.ts";

/** What is cancelled is taken out of the queue when it is this much of it, and more than half. */
const CANCELLED_MAX = 64;

export class EqualTimers {
  readonly #clock: Clock;
  readonly #delayMs: number;
  /** As they are due, cancelled ones among them. Bounded by twice those that are not. */
  #queue: EqualTimer[] = [];
  #live = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  /** As the clock's own, which it is for another delay. */
  schedule(delayMs: number, run: () => void): Timer {
    if (delayMs !== this.#delayMs) return this.#clock.schedule(delayMs, run);
    const timer = new EqualTimer(this.#clock.monotonic() + delayMs, run, this.#onCancelled);
    this.#queue.push(timer);
    this.#live += 1;
    this.#timer ??= this.#clock.schedule(delayMs, this.#onDue);
    return timer;
  }

  readonly #onCancelled = (): void => {
    this.#live -= 1;
    if (this.#live === 0) {
      this.#queue = [];
      this.#timer?.cancel();
      this.#timer = undefined;
    } else if (this.#queue.length > CANCELLED_MAX + 2 * this.#live) {
      this.#queue = this.#queue.filter(({ isLive }) => isLive);
    }
  };

  readonly #onDue = (): void => {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonic();
    const due = this.#queue.findIndex(({ isLive, dueAtMs }) => isLive && dueAtMs > nowMs);
    const ended = this.#queue.splice(0, due < 0 ? this.#queue.length : due);
    const [next] = this.#queue;
    if (next !== undefined) this.#timer = this.#clock.schedule(next.dueAtMs - nowMs, this.#onDue);
    for (const timer of ended) {
      if (!timer.isLive) continue;
      this.#live -= 1;
      timer.end();
    }
  };
}

class EqualTimer implements Timer {
  readonly dueAtMs: number;
  #run: (() => void) | undefined;
  readonly #onCancelled: () => void;

  constructor(dueAtMs: number, run: () => void, onCancelled: () => void) {
    this.dueAtMs = dueAtMs;
    this.#run = run;
    this.#onCancelled = onCancelled;
  }

  get isLive(): boolean {
    return this.#run !== undefined;
  }

  cancel(): void {
    if (this.#run === undefined) return;
    this.#run = undefined;
    this.#onCancelled();
  }

  end(): void {
    const run = this.#run;
    this.#run = undefined;
    run?.();
  }
}
