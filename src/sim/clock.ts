/**
 * A clock that stands still until it is told to move. Timers due at the same moment run in the order in which they
 * were set, so a run depends on nothing but its calls.
 */
import { assert } from "../lib/assert.ts";
import { firstNotBefore } from "../lib/sorted.ts";
import type { Clock, Timer } from "../ports/clock.ts";

type Alarm = { readonly dueMs: number; readonly ordinal: number; readonly run: () => void };

export class SimClock implements Clock {
  #monotonicMs = 0;
  #wallMs: number;
  #ordinal = 0;
  #steps = 0;
  /** Sorted by (dueMs, ordinal). */
  readonly #alarms: Alarm[] = [];

  constructor(nowMs: number = Date.UTC(2026, 0, 1)) {
    this.#wallMs = nowMs;
  }

  now(): number {
    return this.#wallMs;
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  schedule(delayMs: number, run: () => void): Timer {
    const alarm: Alarm = { dueMs: this.#monotonicMs + Math.max(0, delayMs), ordinal: this.#ordinal, run };
    this.#ordinal += 1;
    // Behind all that are due at its moment.
    const place = firstNotBefore(this.#alarms, ({ dueMs }) => dueMs <= alarm.dueMs);
    this.#alarms.splice(place, 0, alarm);
    return {
      cancel: () => {
        const at = this.#alarms.indexOf(alarm);
        if (at >= 0) this.#alarms.splice(at, 1);
      },
    };
  }

  /** Input comes in microtasks here: the end of the turn is behind those already queued. Time does not move. */
  defer(run: () => void): void {
    void Promise.resolve().then(run);
  }

  /** Timers that were run so far: of a simulation, its steps. */
  get steps(): number {
    return this.#steps;
  }

  /** When the next timer is due, by `monotonic()`. */
  get nextDueMs(): number | undefined {
    return this.#alarms[0]?.dueMs;
  }

  /** Moves time on and runs what falls due on the way, timers set by timers included. */
  advance(durationMs: number): void {
    assert(durationMs >= 0, "time does not go back");
    const end = this.#monotonicMs + durationMs;
    for (let next = this.#alarms[0]; next !== undefined && next.dueMs <= end; next = this.#alarms[0]) {
      this.#alarms.shift();
      this.#moveTo(next.dueMs);
      this.#steps += 1;
      next.run();
    }
    this.#moveTo(Math.max(end, this.#monotonicMs));
  }

  /** Moves to the next timer and runs it. False if there is none. */
  advanceToNext(): boolean {
    const next = this.#alarms.shift();
    if (next === undefined) return false;
    this.#moveTo(next.dueMs);
    this.#steps += 1;
    next.run();
    return true;
  }

  /** Sets the wall clock forward or back, as an administrator or NTP would; `monotonic` and timers do not notice. */
  jump(byMs: number): void {
    this.#wallMs += byMs;
  }

  #moveTo(monotonicMs: number): void {
    // A timer's own run may have moved time on already.
    const byMs = Math.max(0, monotonicMs - this.#monotonicMs);
    this.#monotonicMs += byMs;
    this.#wallMs += byMs;
  }
}
