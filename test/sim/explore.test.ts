/** A few seeds of the simulator with every test run; `npm run sim` explores many. */
import { describe, expect, it } from "vitest";
import { exploreSeed } from "./explore.ts";

describe("a node under crashes, disk errors and damage", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])("keeps every promise: seed %i", async (seed) => {
    expect((await exploreSeed(seed)).violation).toBeUndefined();
  });

  // The newest segment was dropped; a segment stayed open for ever and a clean stop never ended.
  it.each([54, 48])("keeps them where it once did not: seed %i", async (seed) => {
    expect((await exploreSeed(seed)).violation).toBeUndefined();
  });

  it("does the same again, byte for byte", async () => {
    const [once, again] = [await exploreSeed(11), await exploreSeed(11)];
    expect(again.lines).toEqual(once.lines);
  });

  it("would be found out if syncs did nothing", async () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      if ((await exploreSeed(seed, { lyingSyncs: true })).violation !== undefined) return;
    }
    expect.fail("the canary was not caught");
  });
});
