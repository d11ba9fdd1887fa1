/** A few short lives of whole clusters with every test run; `npm run sim` has many long ones. */
import { describe, expect, it } from "vitest";
import { liveOnce } from "./life.ts";
import { PROFILES } from "./profiles.ts";

const SHORT = { profile: PROFILES.safety, durationMs: 5_000 };

describe("a cluster and its clients under every fault at once", () => {
  it.each([1, 2, 3])("keeps every promise: seed %i", async (seed) => {
    expect((await liveOnce(seed, SHORT)).violation).toBeUndefined();
  });

  it.each(["churn", "laggards", "versions", "operators"] as const)(
    "keeps every promise where there is most of one kind: %s",
    async (name) => {
      expect((await liveOnce(1, { profile: PROFILES[name], durationMs: 4_000 })).violation).toBeUndefined();
    },
  );

  it("does the same again, byte for byte", async () => {
    const [once, again] = [await liveOnce(4, SHORT), await liveOnce(4, SHORT)];
    expect(again.lines).toEqual(once.lines);
  });

  it("would be found out if syncs did nothing", async () => {
    const fault = { kind: "kill-all", keep: "none", downMs: 100 } as const;
    const { violation } = await liveOnce(1, { ...SHORT, lyingSyncs: true, faults: [{ atMs: 2_000, fault }] });
    expect(violation).toBeDefined();
    expect((await liveOnce(1, { ...SHORT, faults: [{ atMs: 2_000, fault }] })).violation).toBeUndefined();
  });
});
