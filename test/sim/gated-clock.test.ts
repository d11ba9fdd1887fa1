/** A process that stands still runs nothing, and runs what was due, late and in order, when it goes on. */
import { expect, it } from "vitest";
import { SimClock } from "../../src/sim/clock.ts";
import { GatedClock } from "../../src/sim/gated-clock.ts";

it("holds back what is due while its gate is closed", async () => {
  const clock = new SimClock();
  const gated = new GatedClock(clock);
  const ran: string[] = [];
  gated.schedule(10, () => ran.push("first"));
  gated.schedule(20, () => ran.push("second"));
  const cancelled = gated.schedule(30, () => ran.push("cancelled"));
  gated.schedule(100, () => ran.push("later"));
  gated.gate.close();
  gated.gate.close();
  clock.advance(50);
  gated.defer(() => ran.push("deferred"));
  await Promise.resolve();
  expect([ran, gated.monotonic()]).toEqual([[], 50]);
  // Due already, and given up before it could run.
  cancelled.cancel();
  gated.gate.open();
  expect(ran).toEqual(["first", "second", "deferred"]);
  clock.advance(50);
  expect(ran.at(-1)).toBe("later");
});

it("holds back the rest where one that was late closes it again", () => {
  const { gate } = new GatedClock(new SimClock());
  const ran: number[] = [];
  gate.close();
  gate.pass(() => {
    ran.push(1);
    gate.close();
  });
  gate.pass(() => ran.push(2));
  gate.pass(() => ran.push(3));
  gate.open();
  expect(ran).toEqual([1]);
  gate.open();
  expect(ran).toEqual([1, 2, 3]);
});
