/** The bug zoo itself: a patch that does not fit fails, a mutant that changes nothing survives, one that is a bug does not. */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { InvariantError } from "../../../src/lib/assert.ts";
import type { Mutant } from "./mutant.ts";
import { patched, patchesOf, sourceOf } from "./patch.ts";
import { counts, verdictOf } from "./verdict.ts";
import { hunt, MUTANTS } from "./zoo.ts";

const SOURCE = fileURLToPath(new URL("../../../", import.meta.url));
const FEW = { seedsMax: 40, processorSecondsMax: 30 } as const;

const BUG: Mutant = {
  name: "half is a majority",
  source: "a test",
  world: "raft",
  file: "log-server/raft/quorum.ts",
  find: "return Math.floor(count / 2) + 1;",
  replace: "return Math.floor(count / 2);",
};

describe("the bug zoo", () => {
  it.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))("still fits: %s", (_name, mutant) => {
    for (const patch of patchesOf(mutant)) expect(patched(patch, sourceOf(patch))).not.toBe(sourceOf(patch));
    expect(mutant.source).not.toBe("");
  });

  it("has enough bugs, each under a name of its own, and a quick set of all worlds", () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(30);
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    expect(new Set(MUTANTS.filter(({ quick }) => quick).map(({ world }) => world))).toEqual(
      new Set(["raft", "node", "cluster", "clients", "runtime", "operators", "overload"]),
    );
  });

  it("refuses a patch whose text is not there once", () => {
    const patch = { file: "f.ts", find: "one", replace: "two" };
    expect(patched(patch, "one more")).toBe("two more");
    expect(() => patched(patch, "two")).toThrow("0 times");
    expect(() => patched(patch, "one and one")).toThrow("2 times");
  });

  it("fails a hunt whose patch does not fit, or whose file no world loads", async () => {
    const task = { world: "raft", ...FEW } as const;
    await expect(hunt({ ...task, mutant: { ...BUG, find: "return count;" } })).rejects.toThrow("does not fit");
    const elsewhere = { ...BUG, file: "client/backoff.ts", find: "this.#ceilingMs * 2", replace: "1" };
    await expect(hunt({ ...task, mutant: elsewhere })).rejects.toThrow("does not load");
  });

  it("lets a mutant survive that changes nothing, and catches one that is a bug", async () => {
    const same = await hunt({
      mutant: { ...BUG, replace: "return 1 + Math.floor(count / 2);" },
      world: "raft",
      ...FEW,
    });
    expect([same.seeds, same.caught]).toEqual([FEW.seedsMax, undefined]);
    const bug = await hunt({ mutant: BUG, world: "raft", ...FEW });
    expect(bug.caught?.file).toMatch(/^test\/raft\//);
  });

  it("does not count a patched file that trips over itself", async () => {
    const thrower = { ...BUG, replace: 'throw new Error("of its own");' };
    const report = await hunt({ mutant: thrower, world: "raft", ...FEW });
    expect([report.uncounted, report.caught]).toEqual([FEW.seedsMax, undefined]);
  });

  it("goes on behind what does not count, also where nobody waited for it", async () => {
    const thrower = { ...BUG, replace: 'queueMicrotask(() => { throw new Error("of its own"); }); return count;' };
    const report = await hunt({ mutant: thrower, world: "raft", ...FEW, seedsMax: 3 });
    expect([report.seeds, report.uncounted, report.caught]).toEqual([3, 3, undefined]);
  });

  it("names the file that noticed, of the first cause", () => {
    const verdict = verdictOf(new Error("stopped", { cause: new Error("I4: broken") }));
    expect(verdict).toEqual({
      message: "stopped: I4: broken",
      file: "test/sim/mutants/zoo.test.ts",
      by: "checker",
    });
    expect(counts(verdict, { file: "log-server/raft/raft.ts" })).toBe(true);
    expect(counts(verdict, { file: "test/sim/mutants/zoo.test.ts" })).toBe(false);
    expect(counts(verdictOf("a text"), { file: "a.ts" })).toBe(false);
    expect(counts(verdictOf("a text"), undefined)).toBe(true);
  });

  it("counts an assertion of the product only where it is said why no checker sees it", () => {
    const asserted = new InvariantError("I4: broken");
    asserted.stack = `InvariantError: I4: broken\n    at replace (${SOURCE}log-server/log/segments/segment-list.ts:1:1)`;
    for (const error of [asserted, new Error("housekeeping-failed: InvariantError: I7: broken")]) {
      const verdict = verdictOf(error);
      expect(verdict.by).toBe("assertion");
      expect(counts(verdict, { file: "log-server/raft/raft.ts" })).toBe(false);
      expect(counts(verdict, { file: "log-server/raft/raft.ts", assertion: "for a reason" })).toBe(true);
    }
  });
});
