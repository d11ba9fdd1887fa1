/** Random lives of three nodes, each from a seed. `CLUSTER_SEEDS`, `CLUSTER_SEED` and `CLUSTER_TRACE` narrow them. */
import { describe, expect, it } from "vitest";
import { randomSteps, runCluster, shrink, type Tally } from "./cluster-run.ts";

const SEEDS = Number(process.env["CLUSTER_SEEDS"] ?? 12);
const FIRST_SEED = Number(process.env["CLUSTER_SEED"] ?? 1);
const STEPS = 250;

describe("three nodes under faults", () => {
  it("do the same again from the same seed", async () => {
    const traceOf = async (seed: number): Promise<string> => {
      const lines: string[] = [];
      await runCluster(seed, randomSteps(seed, STEPS), (line) => lines.push(line));
      return lines.join("\n");
    };
    const trace = await traceOf(FIRST_SEED);
    expect(trace.length).toBeGreaterThan(STEPS);
    expect(await traceOf(FIRST_SEED)).toBe(trace);
  }, 60_000);

  it(`keep their promises over ${SEEDS} seeds (I3–I8, I10)`, async () => {
    const sum: Record<string, number> = {};
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
      const steps = randomSteps(seed, STEPS);
      try {
        const tally: Tally = await runCluster(seed, steps, process.env["CLUSTER_TRACE"] ? console.log : undefined);
        for (const [what, count] of Object.entries(tally)) sum[what] = (sum[what] ?? 0) + count;
      } catch (error) {
        const shortest = await shrink(seed, steps);
        throw new Error(`seed ${seed}: ${String(error)}\n${shortest.length} steps: ${JSON.stringify(shortest)}`, {
          cause: error,
        });
      }
    }
    // A run that exercised nothing proves nothing (P46).
    for (const [what, count] of Object.entries(sum)) expect(count, what).toBeGreaterThan(SEEDS / 4);
  }, 120_000);
});
