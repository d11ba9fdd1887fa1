/** Windows against a plain computation over all records at once, whatever order they come in. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TopologyDriver } from "../../client/testing/topology-driver.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { count } from "../../src/operators/aggregates/count.ts";
import { fold } from "../../src/operators/aggregates/fold.ts";
import { topology, type Topology } from "../../src/operators/build/topology.ts";
import { checkDeterminism } from "../../src/operators/run/check-determinism.ts";
import { hopping, session, sliding, tumbling, type WindowSpec } from "../../src/operators/windows/window.ts";

type Event = { readonly key: string; readonly at: number; readonly n: number };
type Shown = { readonly key: unknown; readonly start: number; readonly end: number; readonly value: unknown };

const DISORDER_MS = 40;
/** Far behind everything, to close all windows. */
const END = { key: "end", at: 100_000, n: 0 };

/** The sorted numbers of a window's records: what it has, and not in which order it came. */
const members = fold<Event, number[], number[]>({
  start: () => [],
  add: (all, { n }) => [...all, n].sort((a, b) => a - b),
  merge: (a, b) => [...a, ...b].sort((a, b) => a - b),
  result: (all) => all,
});

function windowed(spec: WindowSpec): Topology {
  const app = topology("windows");
  app
    .stream("in", { timestamp: (value) => (value as Event).at, outOfOrderMs: DISORDER_MS })
    .map((value) => value as Event)
    .groupByKey()
    .window(spec)
    .aggregate(members)
    .to("out");
  return app;
}

function run(spec: WindowSpec, events: readonly Event[]): { readonly results: Shown[]; readonly late: number } {
  const driver = new TopologyDriver(windowed(spec));
  for (const event of [...events, END]) driver.write("in", event, { key: event.key });
  const results = driver
    .read("out")
    .map(({ key, value }) => ({ key, ...(value as Omit<Shown, "key">) }))
    .filter(({ key }) => key !== "end");
  return { results: sorted(results), late: driver.counted("late") };
}

function sorted(results: readonly Shown[]): Shown[] {
  return results.toSorted((a, b) =>
    a.key === b.key ? a.start - b.start || a.end - b.end : String(a.key) < String(b.key) ? -1 : 1,
  );
}

/** All windows of the events, given what windows there are for the events of one key. */
function batch(
  events: readonly Event[],
  windows: (own: readonly Event[]) => Iterable<readonly [number, number]>,
): Shown[] {
  const results: Shown[] = [];
  for (const [key, own] of Map.groupBy(events, ({ key }) => key)) {
    const seen = new Set<string>();
    for (const [start, end] of windows(own)) {
      const value = own.filter(({ at }) => at >= start && at < end).map(({ n }) => n);
      if (value.length === 0 || seen.has(`${start} ${end}`)) continue;
      seen.add(`${start} ${end}`);
      results.push({ key, start, end, value: value.sort((a, b) => a - b) });
    }
  }
  return sorted(results);
}

/** Within the disorder that the source may have, so that none is late; numbered as they come. */
const orderly: fc.Arbitrary<readonly Event[]> = fc
  .array(
    fc.record({
      key: fc.constantFrom("a", "b"),
      step: fc.integer({ min: 0, max: 60 }),
      back: fc.integer({ min: 0, max: DISORDER_MS }),
    }),
    { maxLength: 30 },
  )
  .map((steps) => {
    let newest = 0;
    return steps.map(({ key, step, back }, n) => {
      newest += step;
      return { key, at: Math.max(0, newest - back), n };
    });
  });
const shuffled = orderly.chain((events) => fc.shuffledSubarray([...events], { minLength: events.length }));

/** Some too late for all grace, and many exactly at a bound: all times are multiples of what all bounds are multiples of. */
const tardy: fc.Arbitrary<readonly Event[]> = fc
  .array(
    fc.record({
      key: fc.constantFrom("a", "b"),
      step: fc.integer({ min: 0, max: 6 }),
      back: fc.integer({ min: 0, max: 14 }),
    }),
    { maxLength: 30 },
  )
  .map((steps) => {
    let newest = 0;
    return steps.map(({ key, step, back }, n) => {
      newest += 10 * step;
      return { key, at: Math.max(0, newest - 10 * back), n };
    });
  });

const SIZE = 50;

function* aligned(everyMs: number, offsetMs: number): Iterable<readonly [number, number]> {
  for (let start = offsetMs - 1_000 * everyMs; start < 5_000; start += everyMs) yield [start, start + SIZE];
}

function* sessions(own: readonly Event[], gap: number): Iterable<readonly [number, number]> {
  const times = own.map(({ at }) => at).sort((a, b) => a - b);
  let start = times[0] as number;
  for (const [place, time] of times.entries()) {
    const next = times[place + 1];
    if (next !== undefined && next - time < gap) continue;
    yield [start, time + gap];
    start = next as number;
  }
}

const CASES: readonly [string, WindowSpec, (own: readonly Event[]) => Iterable<readonly [number, number]>][] = [
  ["tumbling", tumbling({ sizeMs: SIZE, offsetMs: 7 }), () => aligned(SIZE, 7)],
  ["hopping", hopping({ sizeMs: SIZE, everyMs: 20 }), () => aligned(20, 0)],
  ["hopping with gaps", hopping({ sizeMs: SIZE, everyMs: 70, offsetMs: 10 }), () => aligned(70, 10)],
  ["sliding", sliding({ sizeMs: SIZE }), (own) => own.map(({ at }) => [at - SIZE + 1, at + 1] as const)],
  ["session", session({ gapMs: 30 }), (own) => sessions(own, 30)],
];

describe("windows", () => {
  it.each(CASES)("%s: the batch answer, where nothing is late", (_name, spec, windows) => {
    fc.assert(
      fc.property(orderly, (events) => {
        expect(run(spec, events)).toEqual({ results: batch(events, windows), late: 0 });
      }),
      { numRuns: 25 },
    );
  });

  it.each(CASES)("%s: the same in any order, with grace enough", (_name, spec, windows) => {
    fc.assert(
      fc.property(shuffled, (events) => {
        expect(run({ ...spec, graceMs: 10_000 }, events)).toEqual({ results: batch(events, windows), late: 0 });
      }),
      { numRuns: 20 },
    );
  });

  it.each(CASES)("%s: the last update is the final result", (_name, spec) => {
    fc.assert(
      fc.property(orderly, (events) => {
        const driver = new TopologyDriver(windowed({ ...spec, emit: "on-change" }));
        for (const event of [...events, END]) driver.write("in", event, { key: event.key });
        const last = new Map<string, Shown>();
        for (const { key, value } of driver.read("out")) {
          const { start, end, value: own } = value as Omit<Shown, "key">;
          // A session replaces those inside of it.
          for (const [name, other] of last)
            if (spec.kind === "session" && other.key === key && other.start >= start && other.end <= end)
              last.delete(name);
          last.set(`${String(key)} ${start} ${end}`, { key, start, end, value: own });
        }
        const updates = sorted([...last.values()].filter(({ key }) => key !== "end"));
        expect(updates).toEqual(run(spec, events).results);
      }),
      { numRuns: 20 },
    );
  });

  const ALL_TAKE = CASES.filter(([name]) => name !== "hopping with gaps");

  it.each(ALL_TAKE)("%s: each record is in a window or goes to the side stream, whenever it comes", (_name, spec) => {
    fc.assert(
      fc.property(tardy, fc.constantFrom(0, 10, 50), (events, graceMs) => {
        const driver = new TopologyDriver(windowed({ ...spec, graceMs, lateTo: "late" }));
        for (const event of [...events, END]) driver.write("in", event, { key: event.key });
        const inWindows = new Set(driver.read("out").flatMap(({ value }) => (value as Shown).value as number[]));
        const late = driver.read("late").map(({ value }) => (value as Event).n);
        expect(new Set([...inWindows, ...late])).toEqual(new Set(events.map(({ n }) => n)));
        expect(late.filter((n) => inWindows.has(n))).toEqual([]);
        expect(driver.counted("late")).toBe(late.length);
      }),
      { numRuns: 30 },
    );
  });

  it("that slide have each record in all of its windows, or it is more than the grace behind the watermark", () => {
    fc.assert(
      fc.property(tardy, fc.constantFrom(0, 10, 50), (events, graceMs) => {
        let newest = -Infinity;
        const onTime = events.filter(({ at }) => {
          const watermark = newest - DISORDER_MS;
          newest = Math.max(newest, at);
          return at >= watermark - graceMs;
        });
        const expected = batch(onTime, (own) => own.map(({ at }) => [at - SIZE + 1, at + 1] as const));
        const late = events.length - onTime.length;
        expect(run(sliding({ sizeMs: SIZE, graceMs }), events)).toEqual({ results: expected, late });
      }),
      { numRuns: 60 },
    );
  });

  it.each(CASES)("%s: I10, deterministic", (_name, spec) => {
    fc.assert(
      fc.property(shuffled, (events) => {
        const records = events.map((event, n) => ({
          ...{ stream: "in", logTime: 7 * n, key: utf8(event.key) },
          value: utf8(JSON.stringify(event)),
        }));
        expect(checkDeterminism(windowed(spec).build(), records, 100_000)).toEqual({ ok: true, value: undefined });
      }),
      { numRuns: 8 },
    );
  });
});

describe("late records", () => {
  it("go to the side stream once every window that has them has closed", () => {
    const app = topology("late");
    app
      .stream("in", { timestamp: (value) => value as number })
      .groupByKey()
      .window(hopping({ sizeMs: 20, everyMs: 10, graceMs: 5, lateTo: "late" }))
      .count()
      .to("out");
    const driver = new TopologyDriver(app);
    const write = (...times: number[]) => times.forEach((time) => driver.write("in", time, { key: "k" }));
    write(5, 14);
    expect(driver.read("out")).toEqual([]);
    // At 15 [-10, 10) is closed, [0, 20) is not: it takes the 6.
    write(24, 6);
    write(25, 7, 8);
    expect(driver.read("out").map(({ value }) => value)).toEqual([
      { start: -10, end: 10, value: 1 },
      { start: 0, end: 20, value: 3 },
    ]);
    expect(driver.read("late").map(({ value, timestamp }) => [value, timestamp])).toEqual([
      [7, 7],
      [8, 8],
    ]);
    expect(driver.counted("late")).toBe(2);
  });

  it("join a session that is open still", () => {
    const app = topology("late-sessions");
    app
      .stream("in", { timestamp: (value) => value as number })
      .groupByKey()
      .window(session({ gapMs: 10 }))
      .count()
      .to("out");
    const driver = new TopologyDriver(app);
    for (const time of [0, 9, 18]) driver.write("in", time, { key: "k" });
    driver.write("in", 25, { key: "other" });
    // Alone it would have ended by now.
    driver.write("in", 5, { key: "k" });
    driver.write("in", 5, { key: "third" });
    driver.write("in", 100, { key: "end" });
    expect(driver.read("out").map(({ key, value }) => [key, value])).toEqual([
      ["k", { start: 0, end: 28, value: 4 }],
      ["other", { start: 25, end: 35, value: 1 }],
    ]);
    expect(driver.counted("late")).toBe(1);
  });

  it("are none in a window of windows' results, whatever grace there was", () => {
    fc.assert(
      fc.property(shuffled, fc.integer({ min: 0, max: 200 }), (events, graceMs) => {
        const app = topology("chain");
        app
          .stream("in", { timestamp: (value) => (value as Event).at, outOfOrderMs: DISORDER_MS })
          .groupByKey()
          .window(tumbling({ sizeMs: 10, graceMs, lateTo: "late" }))
          .aggregate(count())
          .groupBy(() => "all")
          .window(tumbling({ sizeMs: SIZE, lateTo: "lost" }))
          .aggregate(
            fold<{ readonly value: number }, number, number>({
              start: () => 0,
              add: (a, b) => a + b.value,
              result: (a) => a,
            }),
          )
          .to("out");
        const driver = new TopologyDriver(app);
        for (const event of [...events, END]) driver.write("in", event, { key: event.key });
        driver.write("in", { ...END, at: END.at + 10_000 }, { key: "end" });
        const total = driver
          .read("out")
          .reduce((sum, { value }) => sum + (value as Shown & { value: number }).value, 0);
        expect(driver.read("lost")).toEqual([]);
        expect(total).toBe(events.length + 1 - driver.read("late").length);
      }),
      { numRuns: 25 },
    );
  });

  it.each(CASES)("are none in a window of a window's updates: %s", (_name, spec) => {
    fc.assert(
      fc.property(tardy, fc.constantFrom(0, 10, 50), (events, graceMs) => {
        const app = topology("updates");
        const updates = app
          .stream("in", { timestamp: (value) => (value as Event).at, outOfOrderMs: DISORDER_MS })
          .map((value) => value as Event)
          .groupByKey()
          .window({ ...spec, graceMs, emit: "on-change" })
          .aggregate(members);
        updates.to("updates");
        updates
          .groupBy(() => "all")
          .window(tumbling({ sizeMs: SIZE, lateTo: "lost" }))
          .count()
          .to("out");
        const driver = new TopologyDriver(app);
        for (const event of [...events, END]) driver.write("in", event, { key: event.key });
        driver.write("in", { ...END, at: 2 * END.at }, { key: END.key });
        const isOfEnd = ({ end }: Shown): boolean => end > END.at;
        const given = driver.read("updates").filter(({ value }) => !isOfEnd(value as Shown));
        const counts = driver.read("out").filter(({ value }) => !isOfEnd(value as Shown));
        expect(driver.read("lost")).toEqual([]);
        expect(counts.reduce((sum, { value }) => sum + ((value as Shown).value as number), 0)).toBe(given.length);
        // They are of their window's time, as its final result would be.
        for (const { timestamp, value } of given) expect(timestamp).toBe((value as Shown).end - 1);
      }),
      { numRuns: 20 },
    );
  });

  it("are none because another task is ahead, nor is a window kept open by one that has nothing for it", () => {
    const app = topology("lanes");
    app
      .stream("in", { partitions: 2, timestamp: (value) => value as number })
      .groupBy((value) => (value as number) % 2)
      .window(tumbling({ sizeMs: 1_000, lateTo: "late" }))
      .count()
      .to("out");
    const driver = new TopologyDriver(app);
    for (let at = 0; at < 10_000; at += 250) driver.write("in/0", at + 1);
    expect(driver.read("out")).toEqual([]);
    // Behind by all of it, and with nothing for the first of the two keys.
    for (let at = 0; at < 10_000; at += 250) driver.write("in/1", at);
    const results = driver.read("out").map(({ value }) => value as Shown);
    expect(driver.read("late")).toEqual([]);
    expect(
      results.map(({ start, value }) => [start, value]).toSorted((a, b) => (a[0] as number) - (b[0] as number)),
    ).toEqual(Array.from({ length: 9 }, (_, n) => [n * 1_000, 4]).flatMap((result) => [result, result]));
  });

  it("are none, and nothing waits, where a partition gets nothing and another what is ahead of event time", () => {
    const app = topology("ahead");
    app
      .stream("in", { timestamp: (value) => value as number })
      .groupByKey()
      .window(tumbling({ sizeMs: 3_600_000, emit: "on-change" }))
      .count()
      .repartition({ partitions: 2 })
      .to("out");
    const driver = new TopologyDriver(app);
    for (let at = 0; at <= 10_000; at += 500) driver.write("in", at, { key: "k" });
    expect(driver.read("out").at(-1)?.timestamp).toBe(3_599_999);
    // Both have heard of it, the one that has no record, too.
    expect(driver.watermark).toBe(10_000);
  });
});
