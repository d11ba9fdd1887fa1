/** How far the heap may grow: by bytes while it is small, by a small share of it when it is large. */
import { describe, expect, it } from "vitest";
import { heapGrowthPercent } from "../../log-server/observe/heap-growth.ts";

const MIB = 1_024 * 1_024;

describe("the heap's growth", () => {
  it("leaves a small heap room for many batches, which count as its growth", () => {
    for (const used of [20, 40, 80]) {
      const limit = used * (1 + heapGrowthPercent(used * MIB) / 100);
      expect(limit).toBeGreaterThan(190);
      expect(limit).toBeLessThan(230);
    }
  });

  it("keeps a large heap close to what is in use", () => {
    for (const used of [168, 300, 2_000]) expect(heapGrowthPercent(used * MIB)).toBe(15);
  });

  it("is within what V8 takes, whatever is in use", () => {
    expect(heapGrowthPercent(0)).toBe(1_000);
    expect(heapGrowthPercent(1)).toBe(1_000);
  });
});
