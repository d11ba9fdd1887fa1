/** `simulate`: apps come through what befalls them, one that is no function of its input is found out, a seed is a seed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import wordCount from "../../client/examples/01-word-count.ts";
import averagePerSecond from "../../client/examples/02-average-per-second.ts";
import lastValue from "../../client/examples/03-last-value.ts";
import delayedFlights from "../../client/examples/04-delayed-flights.ts";
import sessions from "../../client/examples/05-sessions.ts";
import { loadFlights } from "../../client/examples/flights.ts";
import {
  PoisonError,
  type ReadRecord,
  simulate,
  type SimulatedRecord,
  SimulationError,
  TopologyDriver,
} from "../../client/testing/index.ts";
import type { Topology } from "../../src/operators/build/topology.ts";
import { topology, valueState } from "../../src/operators/index.ts";
import { APPS } from "../runtime/apps.ts";
import { ROOT } from "../source-tree.ts";
import { steps } from "./steps.ts";

const MINUTE_MS = 60_000;
const SHORT = { durationMs: 5_000, quietMs: 100 };

function linesOf(count: number): SimulatedRecord[] {
  const texts = ["the tide is a tide", "is it?", "a sea", "of the tide"];
  return Array.from({ length: count }, (_, n) => ({ value: texts[n % texts.length] }));
}

function keysAndValues(records: readonly ReadRecord[] = []): (readonly [unknown, unknown])[] {
  return records.map(({ key, value }) => [key, value]);
}

/** What the driver says, for an app whose result the records alone decide, and not when they come. */
function driven(
  app: Topology,
  input: string,
  records: readonly SimulatedRecord[],
  output: string,
): (readonly [unknown, unknown])[] {
  const driver = new TopologyDriver(app);
  for (const { value, ...rest } of records) driver.write(input, value, rest);
  return keysAndValues(driver.read(output));
}

describe("the examples, on a cluster in trouble, write what the driver says", () => {
  it("word count", async () => {
    const lines = linesOf(60);
    const runs = await simulate(wordCount, { input: { lines }, seeds: 3 });
    const expected = driven(wordCount, "lines", lines, "word-counts");
    for (const { outputs } of runs) expect(keysAndValues(outputs["word-counts"])).toEqual(expected);
    // A run that hurts nothing would prove nothing (P46).
    for (const kind of ["crashes", "pauses", "partitions", "duplicates", "slowness"] as const)
      expect([kind, runs.some(({ faults }) => faults[kind] > 0)]).toEqual([kind, true]);
    expect(runs.map(({ seed }) => seed)).toEqual([1, 2, 3]);
    expect(new Set(runs.map(({ trace }) => trace)).size).toBe(3);
  });

  it("average per second", async () => {
    const [, ...rows] = readFileSync(join(ROOT, "client/examples/02-numbers.csv"), "utf8").trim().split("\n");
    const numbers = rows.map((row) => {
      const [time, value] = row.split(",");
      return { value: { time, value } };
    });
    const { outputs } = await simulate(averagePerSecond, { input: { numbers }, seed: 2, ...SHORT });
    // The last second closes by silence, which is the log's business.
    expect(keysAndValues(outputs["averages"]).slice(0, 2)).toEqual(
      driven(averagePerSecond, "numbers", numbers, "averages"),
    );
  });

  it("last value, which is cleared when its time is over", async () => {
    const readings = [20, 21, 22].map((celsius) => ({ value: { sensor: "a", celsius } }));
    const { outputs } = await simulate(lastValue, {
      input: { readings },
      seed: 3,
      replicas: 3,
      durationMs: 5_000,
      quietMs: 11_000,
    });
    const values = keysAndValues(outputs["last-values"]);
    expect([values.filter(([, value]) => value !== null), values.at(-1)]).toEqual([
      [
        ["a", 20],
        ["a", 21],
        ["a", 22],
      ],
      ["a", null],
    ]);
  });

  it("delayed flights", async () => {
    const flights = loadFlights()
      .slice(0, 600)
      .map((value) => ({ value }));
    const { outputs } = await simulate(delayedFlights, { input: { flights }, seed: 4, ...SHORT });
    const expected = driven(delayedFlights, "flights", flights, "delayed-flights");
    expect(expected.length).toBeGreaterThan(0);
    expect(keysAndValues(outputs["delayed-flights"])).toEqual(expected);
  });

  it("sessions", async () => {
    const clicks = [0, 20, 25, 54, 40, 200].map((minute, n) => {
      return { value: { visitor: ["eve", "bob"][n % 2], page: `/${n}` }, timestamp: minute * MINUTE_MS };
    });
    const { outputs } = await simulate(sessions, { input: { clicks }, seed: 5, ...SHORT });
    expect(keysAndValues(outputs["sessions"])).toEqual(driven(sessions, "clicks", clicks, "sessions"));
  });
});

describe("a seed", () => {
  const input = { "in/0": eventsOf(40), "in/1": eventsOf(20) };

  it("gives the same run again, to the last step, through a repartition, too", async () => {
    const app = APPS.repartitioned.make();
    const first = await simulate(app, { input, seed: 11, ...SHORT });
    const again = await simulate(app, { input, seed: 11, ...SHORT });
    expect(again).toEqual(first);
    expect(Object.keys(first.digests)).toEqual(["0.0", "0.1", "1.0", "1.1"]);
    expect(first.outputs["out"]?.length).toBe(60);
  });

  it("can be without faults, or with some", async () => {
    const calm = await simulate(APPS.counts.make(), { input: { in: eventsOf(10) }, faults: false, ...SHORT });
    expect(Object.values(calm.faults)).toEqual([0, 0, 0, 0, 0]);
    const faults = { crashes: 120, pauses: 0 };
    const rough = await simulate(APPS.counts.make(), { input: { in: eventsOf(10) }, faults, ...SHORT });
    expect(rough.faults.crashes).toBeGreaterThan(3);
    expect({ ...rough.faults, crashes: 0 }).toEqual(calm.faults);
  });
});

describe("an app that reads what it writes", () => {
  const numbers = [1, 5, 2].map((value) => ({ value, key: "k" }));

  it("comes through as any other: one step behind another", async () => {
    const runs = await simulate(steps(), { input: { first: numbers, second: [{ value: 7 }] }, seeds: 3, ...SHORT });
    for (const { outputs } of runs) {
      const values = (outputs["third"] ?? []).map(({ value }) => Number(value));
      expect(values.filter((value) => value !== 70)).toEqual([20, 60, 30]);
      expect(values.length).toBe(4);
    }
  });

  it("comes through as any other: again and again, until it is done", async () => {
    const app = topology("rounds");
    app
      .stream("numbers")
      .filter((value) => Number(value) < 4)
      .map((value) => Number(value) + 1)
      .to("numbers");
    const runs = await simulate(app, { input: { numbers }, seeds: 3, ...SHORT });
    for (const { outputs } of runs) {
      const values = (outputs["numbers"] ?? []).map(({ value }) => Number(value));
      expect(values.toSorted((a, b) => a - b)).toEqual([1, 2, 2, 3, 3, 4, 4, 5]);
    }
  });
});

describe("what is no function of its input", () => {
  /** How often it was called, by whichever replica, is nothing that the log has. */
  function forgetful(): Topology {
    const seen = new Map<string, number>();
    const app = topology("forgetful");
    app
      .stream("in", { format: "text" })
      .map((line) => {
        seen.set(line, (seen.get(line) ?? 0) + 1);
        return `${line} ${seen.get(line)}`;
      })
      .to("out");
    return app;
  }

  it.each([1, 2, 3])("is found out by replicas that differ, and the seed is told: %i", async (seed) => {
    const simulated = simulate(forgetful(), { input: { in: linesOf(30) }, seed, ...SHORT });
    const error = await simulated.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(SimulationError);
    const { message, lines } = error as SimulationError;
    expect(message).toContain(`seed ${seed}: task 0.0`);
    expect(message).toMatch(/"(.*) \d+" to "out", not "\1 \d+" to "out"/);
    expect(message).toContain(`seed: ${seed} })`);
    expect(lines.join("\n")).toContain("serves");
  });

  it("is found out where nothing befalls a single replica", async () => {
    const simulated = simulate(forgetful(), { input: { in: linesOf(30) }, replicas: 1, faults: false, ...SHORT });
    await expect(simulated).rejects.toThrow(/seed 1: task 0\.0, commit at \d+: .* to "out", not /);
  });

  it("is found out where only its state tells", async () => {
    let calls = 0;
    const app = topology("secretive");
    app
      .stream("in", { format: "text", key: () => "all" })
      .process({
        state: { calls: valueState<number>() },
        onRecord: (_line, { state }) => {
          calls += 1;
          state.calls.set(calls);
          return [];
        },
      })
      .to("out");
    const simulated = simulate(app, { input: { in: linesOf(30) }, faults: false, ...SHORT });
    await expect(simulated).rejects.toThrow(/seed 1: (task 0\.0: worker \d ended with|.*I10|.*differ)/);
  });
});

describe("poison", () => {
  const app = (): Topology => APPS.counts.make();
  const records = [...eventsOf(5), { value: { key: "a", n: -1 } }, ...eventsOf(5)];

  it("ends the simulation", async () => {
    const simulated = simulate(app(), { input: { in: records }, ...SHORT });
    await expect(simulated).rejects.toThrow(/seed 1: operator .* failed at in, offset 5: less than nothing/);
    await expect(simulated).rejects.toHaveProperty("cause", expect.any(PoisonError));
  });

  it("goes to the dead letters, if it is to", async () => {
    const { outputs } = await simulate(app(), { input: { in: records }, poison: "dead-letter", ...SHORT });
    expect(keysAndValues(outputs["apps/counts/dead"])).toEqual([[null, { key: "a", n: -1 }]]);
    expect(outputs["out"]?.length).toBe(10);
  });
});

it("says what it cannot do", async () => {
  const app = APPS.counts.make();
  await expect(simulate(app, { input: { elsewhere: [] } })).rejects.toThrow('does not read "elsewhere"; it reads in');
  await expect(simulate(app, { input: {}, replicas: 0 })).rejects.toThrow("replicas is 1 to 5");
  await expect(simulate(app, { input: {}, faults: { pauses: -1 } })).rejects.toThrow("faults.pauses is true, false");
  const refused = async (options: object, message: string): Promise<void> => {
    const simulated = simulate(app, { input: {}, ...options });
    await expect(simulated).rejects.toEqual(expect.objectContaining({ code: "invalid-argument", message }));
  };
  await refused(
    { faults: { pause: 1 } },
    'faults has no "pause"; it has crashes, pauses, partitions, duplicates, slowness',
  );
  await refused({ durationMs: Infinity }, "durationMs is 1 to 86400000, and was Infinity");
  await refused({ quietMs: -1 }, "quietMs is 0 to 86400000, and was -1");
  await refused({ seed: 1.5 }, "seed is a whole number from 0 on, and was 1.5");
  await refused({ seeds: 0 }, "seeds is 1 to 1000000, and was 0");
  await refused({ poison: "stop" }, "poison is throw or dead-letter, and was stop");
  await refused({ input: { in: {} } }, 'the input of "in" is an array of records');
  await refused({ input: { in: [{ json: 1 }] } }, 'a record has no "json"; it has key, headers, timestamp');
  await refused(
    { duration: 1 },
    'what a simulation is told has no "duration"; it has input, seed, seeds, faults, replicas, durationMs, quietMs, poison',
  );
  vi.useFakeTimers();
  try {
    await expect(simulate(app, { input: {} })).rejects.toThrow("with fake timers it would never end");
  } finally {
    vi.useRealTimers();
  }
});

function eventsOf(count: number): SimulatedRecord[] {
  return Array.from({ length: count }, (_, n) => ({ value: { key: ["a", "b", "c"][n % 3], n } }));
}
