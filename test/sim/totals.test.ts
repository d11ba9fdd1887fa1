/** What sweeps add up to: resumed behind the last seed, in parts, stopped in the middle, and counted once. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Subject } from "./subject.ts";
import { sweep, type SweepOptions } from "./sweep.ts";
import { readTotals, tableOf } from "./totals.ts";

function file(): string {
  return join(mkdtempSync(join(tmpdir(), "sim-totals-")), "totals.json");
}

/** Remembers its seeds; breaks a promise in one of them. */
function subjectOf(seeds: number[], broken = 0, promised: readonly string[] = []): Subject {
  const run: Subject["run"] = async (seed) => {
    seeds.push(seed);
    const violation = seed === broken ? "I5: lost" : undefined;
    const counts = new Map([["fault: kill", 2]]);
    return { seed, violation, counts, simulatedMs: 3_000, steps: 10, trace: 1n, lines: [] };
  };
  return { name: "tried", run, promised, canaries: [] };
}

function optionsOf(more: Partial<SweepOptions>): SweepOptions {
  return {
    first: 1,
    seeds: 6,
    minutes: Number.POSITIVE_INFINITY,
    stop: new AbortController().signal,
    shard: { part: 1, of: 1 },
    totals: undefined,
    shrink: false,
    json: true,
    ...more,
  };
}

/** Once more at the end, twice, to see that a seed repeats itself; by the first shard. */
const REPEATED = [1, 1];

beforeEach(() => {
  vi.spyOn(console, "log").mockReturnValue();
});

describe("the totals of sweeps", () => {
  it("go on behind the last seed, and count each once", async () => {
    const totals = file();
    const [before, after]: number[][] = [[], []];
    await sweep(subjectOf(before as number[]), optionsOf({ totals, seeds: 4 }));
    await sweep(subjectOf(after as number[]), optionsOf({ totals, seeds: 6 }));
    expect([before, after]).toEqual([
      [1, 2, 3, 4, ...REPEATED],
      [5, 6, ...REPEATED],
    ]);
    expect(readTotals(totals)["tried"]).toMatchObject({
      seeds: 6,
      simulatedSeconds: 18,
      steps: 60,
      violations: [],
      counts: { "fault: kill": 12 },
    });
    expect(readTotals(totals)["tried"]?.processorSeconds).toBeGreaterThan(0);
  });

  it("add up shards, each with a place of its own to go on", async () => {
    const totals = file();
    const seeds: number[] = [];
    const subject = subjectOf(seeds, 4);
    const broken = [1, 2, 3].map((part) => sweep(subject, optionsOf({ totals, shard: { part, of: 3 } })));
    expect(await Promise.all(broken)).toEqual([1, 0, 0]);
    expect(new Set(seeds)).toEqual(new Set([1, 2, 3, 4, 5, 6]));
    const total = readTotals(totals)["tried"];
    expect(total).toMatchObject({ seeds: 6, violations: [{ seed: 4, violation: "I5: lost" }] });
    expect(total?.next).toEqual({ "1/3 from 1": 5, "2/3 from 1": 6, "3/3 from 1": 7 });
    expect(tableOf(readTotals(totals))).toContain("fault: kill 12");
  });

  it("are saved where a sweep is stopped: the seed under way counts, and nothing is begun", async () => {
    const totals = file();
    const stopping = new AbortController();
    const seeds: number[] = [];
    const { run, ...subject } = subjectOf(seeds);
    const stopped: Subject = {
      ...subject,
      run: (seed) => {
        if (seed === 3) stopping.abort();
        return run(seed);
      },
    };
    expect(await sweep(stopped, optionsOf({ totals, stop: stopping.signal }))).toBe(0);
    expect(seeds).toEqual([1, 2, 3]);
    expect(readTotals(totals)["tried"]).toMatchObject({ seeds: 3, next: { "1/1 from 1": 4 } });
  });

  it("fail where what was promised never happened in all of them together (P46)", async () => {
    const totals = file();
    const subject = subjectOf([], 0, ["fault: kill", "fault: wipe"]);
    expect(await sweep(subject, optionsOf({ totals, seeds: 49 }))).toBe(0);
    expect(await sweep(subject, optionsOf({ totals, seeds: 50 }))).toBe(1);
  });
});
