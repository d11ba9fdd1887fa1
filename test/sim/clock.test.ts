/** The simulated clock. */
import { describe, expect, it } from "vitest";
import { SimClock } from "../../src/sim/clock.ts";

describe("simulated clock", () => {
  it("runs timers when time comes to them, in order, at their own moments", () => {
    const clock = new SimClock(1_000_000);
    const ran: string[] = [];
    const log = (name: string) => (): void => void ran.push(`${name}@${clock.monotonic()}`);
    clock.schedule(20, log("b"));
    clock.schedule(10, log("a"));
    clock.schedule(20, log("c"));
    clock.schedule(15, log("never")).cancel();
    clock.schedule(5, () => clock.schedule(3, log("nested")));
    expect(clock.nextDueMs).toBe(5);
    clock.advance(19);
    expect(ran).toEqual(["nested@8", "a@10"]);
    expect([clock.monotonic(), clock.now()]).toEqual([19, 1_000_019]);
    expect(clock.advanceToNext()).toBe(true);
    clock.advance(0);
    expect(ran).toEqual(["nested@8", "a@10", "b@20", "c@20"]);
    expect(clock.advanceToNext()).toBe(false);
    expect(clock.nextDueMs).toBeUndefined();
  });

  it("jumps on the wall without moving timers", () => {
    const clock = new SimClock(1_000);
    let ran = false;
    clock.schedule(10, () => (ran = true));
    clock.jump(-500);
    expect([clock.now(), clock.monotonic(), ran]).toEqual([500, 0, false]);
    clock.jump(5_000);
    expect(ran).toBe(false);
    clock.advance(10);
    expect([clock.now(), ran]).toEqual([5_510, true]);
  });

  it("defers to behind what is already queued, without moving", async () => {
    const clock = new SimClock();
    const ran: string[] = [];
    clock.defer(() => ran.push("deferred"));
    ran.push("first");
    await Promise.resolve();
    expect(ran).toEqual(["first", "deferred"]);
    expect(clock.monotonic()).toBe(0);
  });
});
