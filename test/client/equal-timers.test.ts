/** Timers of one delay, beside the clock that has one for each. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EqualTimers } from "../../client/appending/equal-timers.ts";
import type { Clock, Timer } from "../../src/ports/clock.ts";

const DELAY_MS = 100;

/** Time that a test moves, and the timers that wait for it. */
class Hours implements Pick<Clock, "monotonic" | "schedule"> {
  nowMs = 0;
  readonly waiting = new Set<{ readonly dueAtMs: number; readonly run: () => void }>();

  monotonic(): number {
    return this.nowMs;
  }

  schedule(delayMs: number, run: () => void): Timer {
    const timer = { dueAtMs: this.nowMs + delayMs, run };
    this.waiting.add(timer);
    return { cancel: () => this.waiting.delete(timer) };
  }

  pass(milliseconds: number): void {
    const end = this.nowMs + milliseconds;
    for (;;) {
      const due = [...this.waiting].filter((timer) => timer.dueAtMs <= end).sort((a, b) => a.dueAtMs - b.dueAtMs)[0];
      if (due === undefined) break;
      this.waiting.delete(due);
      this.nowMs = Math.max(this.nowMs, due.dueAtMs);
      due.run();
    }
    this.nowMs = end;
  }
}

describe("timers of one delay", () => {
  it("run as the clock's would, whichever are cancelled and whenever", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("begin" as const), delayMs: fc.constantFrom(DELAY_MS, DELAY_MS, DELAY_MS, 30) }),
      fc.record({ kind: fc.constant("cancel" as const), which: fc.nat(400) }),
      fc.record({ kind: fc.constant("pass" as const), milliseconds: fc.nat(40) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const told = [plain(), equal()].map(({ hours, schedule }) => {
          const events: string[] = [];
          const timers: Timer[] = [];
          for (const each of steps) {
            if (each.kind === "begin") {
              const number = timers.length;
              timers.push(schedule(each.delayMs, () => events.push(`${number} at ${hours.nowMs}`)));
            } else if (each.kind === "cancel") timers[each.which % Math.max(1, timers.length)]?.cancel();
            else hours.pass(each.milliseconds);
          }
          hours.pass(DELAY_MS);
          expect(hours.waiting.size).toBe(0);
          return events.toSorted();
        });
        expect(told[1]).toEqual(told[0]);
      }),
    );
  });

  it("leave the clock nothing to wait for when all are cancelled, and one timer while any is not", () => {
    const { hours, schedule } = equal();
    const timers = Array.from({ length: 1_000 }, () => schedule(DELAY_MS, () => undefined));
    expect(hours.waiting.size).toBe(1);
    for (const timer of timers) timer.cancel();
    for (const timer of timers) timer.cancel();
    expect(hours.waiting.size).toBe(0);
  });
});

type World = { readonly hours: Hours; readonly schedule: Clock["schedule"] };

function plain(): World {
  const hours = new Hours();
  return { hours, schedule: (delayMs, run) => hours.schedule(delayMs, run) };
}

function equal(): World {
  const hours = new Hours();
  const clock = {
    now: () => 0,
    defer: () => undefined,
    monotonic: () => hours.monotonic(),
    schedule: hours.schedule.bind(hours),
  };
  const timers = new EqualTimers(clock, DELAY_MS);
  return { hours, schedule: (delayMs, run) => timers.schedule(delayMs, run) };
}
