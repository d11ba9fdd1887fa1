/** A few short lives of whole clusters with every test run; `npm run sim` has many long ones. */
import { describe, expect, it } from "vitest";
import { liveOnce } from "./life.ts";
import { PROFILES } from "./profiles.ts";

const SHORT = { profile: PROFILES.safety, durationMs: 5_000 };

describe("a cluster and its clients under every fault at once", () => {
  it.each([1, 2, 3])("keeps every promise: seed %i", async (seed) => {
    expect((await liveOnce(seed, SHORT)).violation).toBeUndefined();
  });

  it("does the same again, byte for byte", async () => {
    const [once, again] = [await liveOnce(4, SHORT), await liveOnce(4, SHORT)];
    expect(again.lines).toEqual(once.lines);
  });

  it("would be found out if syncs did nothing", async () => {
    for (let seed = 1; seed <= 20; seed += 1)
      if ((await liveOnce(seed, { ...SHORT, lyingSyncs: true })).violation !== undefined) return;
    expect.fail("the canary was not caught");
  });
});
