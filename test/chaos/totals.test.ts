/** What runs add up to: nothing is lost where one is cut off, and percentiles are those of the pauses that there were. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { summary, table } from "./table.ts";
import { add, addToFile, faultCount, NOTHING, oneFault, percentile, type Totals, totalsIn } from "./totals.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-totals-"));
  folders.push(folder);
  return join(folder, "totals.json");
}

function pauses(name: string, ...milliseconds: readonly number[]): Totals {
  return milliseconds.map((ms) => oneFault(name, ms)).reduce(add, NOTHING);
}

describe("the totals of chaos", () => {
  it("grow by every fault, and say which no check has followed yet", () => {
    const path = newFile();
    expect(totalsIn(path)).toEqual(NOTHING);
    addToFile(path, { ...NOTHING, runs: { 3: 1 } });
    addToFile(path, oneFault("kill", 812));
    addToFile(path, oneFault("kill", 40));
    // That run was cut off. The next comes to its end.
    addToFile(path, { ...NOTHING, runs: { 5: 1 } });
    addToFile(path, oneFault("wipe", 7));
    addToFile(path, { ...NOTHING, uncheckedFaults: -1, minutes: 2, acknowledged: 10, violations: ["lost: all"] });
    const totals = totalsIn(path);
    expect(existsSync(`${path}.new`)).toBe(false);
    expect(totals).toMatchObject({ runs: { 3: 1, 5: 1 }, uncheckedFaults: 2, minutes: 2, acknowledged: 10 });
    expect([faultCount(totals), faultCount(totals, "kill"), faultCount(totals, "wipe")]).toEqual([3, 2, 1]);
    expect(totals.violations).toEqual(["lost: all"]);
    expect(summary(totals).join("\n")).toContain("3 faults in 2 min (runs: 1 with 3 nodes, 1 with 5 nodes), 2 of them");
  });

  it("have percentiles, of each kind and of all, at most a tenth above what was measured", () => {
    const hundred = Array.from({ length: 100 }, (_, at) => at + 1);
    const totals = add(pauses("kill", ...hundred), pauses("wipe", 5_432, 0));
    expect([0.5, 0.99, 1].map((part) => percentile(totals, part, "kill"))).toEqual([50, 99, 100]);
    expect(percentile(totals, 1, "wipe")).toBe(5_500);
    expect(percentile(totals, 0.5, "wipe")).toBe(0);
    expect(percentile(totals, 1)).toBe(5_500);
    expect(percentile(totals, 0.5)).toBe(50);
    expect(percentile(NOTHING, 0.5)).toBe(0);
  });

  it("are a table in Markdown, with what was done most and least", () => {
    expect(table(add(pauses("kill", 100, 200), pauses("wipe", 1_000)))).toEqual([
      "| fault | times | p50 s | p99 s | longest s |",
      "| --- | --- | --- | --- | --- |",
      "| kill | 2 | 0.10 | 0.20 | 0.20 |",
      "| wipe | 1 | 1.00 | 1.00 | 1.00 |",
      "| all | 3 | 0.20 | 1.00 | 1.00 |",
    ]);
  });
});
