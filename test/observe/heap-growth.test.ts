/** How far the heap may grow: by bytes while it is small, by a small share of it when it is large. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { heapGrowthFlags, type HeapUser } from "../../log-server/observe/heap-growth.ts";

const MIB = 1_024 * 1_024;
const GROWING = /^--heap-growing-percent=(\d+)$/;

function heapGrowthPercent(usedBytes: number, user: HeapUser = "server"): number {
  const [growing] = heapGrowthFlags(user, usedBytes, "12.4.254.21-node.33");
  return Number(GROWING.exec(growing as string)?.[1]);
}

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

  it("lets a worker's grow by half", () => {
    for (const used of [128, 300, 2_000]) expect(heapGrowthPercent(used * MIB, "worker")).toBe(50);
  });

  it("is within what V8 takes, whatever is in use", () => {
    expect(heapGrowthPercent(0)).toBe(1_000);
    expect(heapGrowthPercent(1)).toBe(1_000);
  });

  it("has bytes outside the heap counted once, in the versions that would not of themselves", () => {
    const names = (version: string): string[] =>
      heapGrowthFlags("server", 20 * MIB, version).map((flag) => flag.split("=")[0] as string);
    expect(names("12.4.254.21-node.33")).toEqual(["--heap-growing-percent"]);
    expect(names("13.6.233.17-node.53")).toEqual([
      "--heap-growing-percent",
      "--external-memory-accounted-in-global-limit",
    ]);
    expect(names("14.3.127.18-node.10")).toEqual(["--heap-growing-percent"]);
  });

  it("asks the version that runs for nothing it does not know", () => {
    const flags = heapGrowthFlags("server", 20 * MIB, process.versions.v8);
    // An unknown one ends the process when it is given so.
    const { status, stderr } = spawnSync(process.execPath, [...flags, "--eval", ""], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});
