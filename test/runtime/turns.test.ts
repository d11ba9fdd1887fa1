/** How a snapshot shares the time with whatever else its process does. */
import { describe, expect, it } from "vitest";
import type { Clock } from "../../src/ports/clock.ts";
import { SNAPSHOT_LIMITS } from "../../src/runtime/snapshots/limits.ts";
import { Turns } from "../../src/runtime/snapshots/turns.ts";

const { restMsMax, turnsTogetherMax } = SNAPSHOT_LIMITS;

/** Time passes by work, and by rests: as long as they were to be, or for as long as others are at work. */
class Loop implements Clock {
  readonly rests: number[] = [];
  /** Of others, in each rest. */
  busyMs = 0;
  #ms = 0;

  now(): number {
    return this.#ms;
  }

  monotonic(): number {
    return this.#ms;
  }

  work(ms: number): void {
    this.#ms += ms;
  }

  schedule(delayMs: number, run: () => void): { readonly cancel: () => void } {
    this.rests.push(delayMs);
    this.#ms += Math.max(delayMs, this.busyMs);
    queueMicrotask(run);
    return { cancel: () => undefined };
  }

  defer(run: () => void): void {
    this.schedule(0, run);
  }
}

/** The part of the time that it worked, over many turns. */
async function part(loop: Loop, turnMs: number, restRatio = 3, hurry = 0): Promise<number> {
  const turns = new Turns(loop, restRatio);
  const begun = loop.monotonic();
  for (let turn = 0; turn < 1_000; turn += 1) {
    loop.work(turnMs);
    await turns.rest(hurry);
  }
  return (1_000 * turnMs) / (loop.monotonic() - begun);
}

describe("turns", () => {
  it("take their part of the time in a process that does nothing else", async () => {
    const loop = new Loop();
    expect(await part(loop, 2)).toBeCloseTo(1 / 4);
    expect(loop.rests.length).toBe(1_000);
  });

  it("take it in one that is busy, too, by more of them together", async () => {
    const loop = new Loop();
    loop.busyMs = 20;
    expect(await part(loop, 2)).toBeCloseTo(1 / 4, 1);
    expect(loop.rests.length).toBeLessThan(300);
  });

  it("are never many together, however busy it is, and never rest for long by themselves (I15)", async () => {
    const loop = new Loop();
    loop.busyMs = 5_000;
    await part(loop, 2);
    expect(loop.rests.length).toBe(1_000 / turnsTogetherMax);
    const slow = new Loop();
    await part(slow, 500);
    expect(Math.max(...slow.rests)).toBe(restMsMax);
  });

  it("take more where there is a hurry, in a busy process, too", async () => {
    expect(await part(new Loop(), 2, 3, 0.9)).toBeCloseTo(1 / 1.3);
    const busy = new Loop();
    busy.busyMs = 20;
    expect(await part(busy, 2, 3, 0.9)).toBeCloseTo((2 * turnsTogetherMax) / (2 * turnsTogetherMax + 20), 1);
  });

  it("let others have theirs after each, where that is all that is asked for", async () => {
    const loop = new Loop();
    loop.busyMs = 20;
    await part(loop, 2, 0);
    expect(loop.rests.length).toBe(1_000);
  });
});
