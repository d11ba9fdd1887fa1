/** A process that may stand still: its clock, and whatever else reaches it, waits at a gate while that is closed. */
import type { Clock, Timer } from "../ports/clock.ts";

export class Gate {
  #waiting: (() => void)[] | undefined;

  close(): void {
    this.#waiting ??= [];
  }

  /** What was due meanwhile is late, and runs now, in order. */
  open(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const run of waiting) this.pass(run);
  }

  /** Now, or when it is open. */
  pass(run: () => void): void {
    if (this.#waiting === undefined) run();
    else this.#waiting.push(run);
  }
}

/** Time passes all the same, but none of its timers runs. */
export class GatedClock implements Clock {
  readonly gate: Gate = new Gate();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  schedule(delayMs: number, run: () => void): Timer {
    let cancelled = false;
    const due = (): void => {
      if (!cancelled) run();
    };
    const timer = this.#clock.schedule(delayMs, () => this.gate.pass(due));
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  defer(run: () => void): void {
    this.#clock.defer(() => this.gate.pass(run));
  }
}
