/** Random lives of a cluster, each from a seed: I1 to I5 hold at every step, and the healed cluster gets on. */
import { describe, expect, it } from "vitest";
import { randomSteps, runRandom, shrink, type Tally } from "./random-run.ts";

const SEEDS = Number(process.env["RAFT_SEEDS"] ?? 600);
const FIRST_SEED = Number(process.env["RAFT_SEED"] ?? 1);
const STEPS = 1_500;

describe("a cluster under faults", () => {
  it("does the same again, byte for byte, from the same seed", () => {
    const traceOf = (seed: number): string => {
      const lines: string[] = [];
      runRandom(seed, randomSteps(seed, STEPS), (line) => lines.push(line));
      return lines.join("\n");
    };
    expect(traceOf(FIRST_SEED).length).toBeGreaterThan(STEPS);
    expect(traceOf(FIRST_SEED)).toBe(traceOf(FIRST_SEED));
    expect(traceOf(FIRST_SEED)).not.toBe(traceOf(FIRST_SEED + 1));
  });

  it(`keeps its promises over ${SEEDS} seeds (I1–I5)`, () => {
    const sum: Tally = { elections: 0, committed: 0, changes: 0, installs: 0, reads: 0, fetches: 0 };
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
      const steps = randomSteps(seed, STEPS);
      try {
        const tally = runRandom(seed, steps);
        for (const key of Object.keys(sum) as (keyof Tally)[]) sum[key] += tally[key];
      } catch (error) {
        const shortest = shrink(seed, steps);
        throw new Error(`seed ${seed}: ${String(error)}\n${shortest.length} steps: ${JSON.stringify(shortest)}`, {
          cause: error,
        });
      }
    }
    // A run that exercised nothing proves nothing (P46).
    for (const [what, count] of Object.entries(sum)) expect(count, what).toBeGreaterThan(SEEDS / 4);
  }, 120_000);
});
