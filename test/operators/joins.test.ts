/** Joins against nested loops over all records. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TopologyDriver } from "../../client/testing/topology-driver.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import type { JoinOptions, Stream } from "../../src/operators/build/stream.ts";
import type { Table } from "../../src/operators/build/table.ts";
import { topology, type Topology } from "../../src/operators/build/topology.ts";
import type { JoinKind } from "../../src/operators/joins/joiner.ts";
import { checkDeterminism } from "../../src/operators/run/check-determinism.ts";
import { tumbling } from "../../src/operators/windows/window.ts";

type Event = { readonly stream: string; readonly key: string; readonly at: number; readonly n: number };
/** What a join takes or gives. */
type Row = { readonly key: string; readonly at: number; readonly value: unknown };
type Bounds = { readonly beforeMs: number; readonly afterMs: number; readonly graceMs: number };

const KINDS: readonly JoinKind[] = ["inner", "left", "outer"];
const TWO = ["left", "right"];
const THREE = [...TWO, "third"];
const DISORDER_MS = 10;
const GRACE_MS = 10;
const WINDOW_MS = 20;
/** Behind all that a test writes otherwise. */
const FAR_MS = 100_000;
const END = "end";

/**
 * Numbered as they come. All times are multiples of the same as all bounds are, so that many are alike and many exactly at one: at the watermark,
 * the whole grace behind it, as far from each other as partners may be. Some are later than that.
 */
const eventsOf = (streams: readonly string[]): fc.Arbitrary<readonly Event[]> =>
  fc
    .array(
      fc.record({
        stream: fc.constantFrom(...streams),
        key: fc.constantFrom("a", "b"),
        step: fc.integer({ min: 0, max: 3 }),
        back: fc.integer({ min: 0, max: 3 }),
      }),
      { maxLength: 40 },
    )
    .map((steps) => {
      let newest = 0;
      return steps.map(({ stream, key, step, back }, n) => {
        newest += 10 * step;
        return { stream, key, at: Math.max(0, newest - 10 * back), n };
      });
    });

function wants(kind: JoinKind, side: string): boolean {
  return kind === "outer" || (kind === "left" && side === "left");
}

/** The records of one of the streams that `accepts` lets in, given the watermark that they find. */
function taken(
  events: readonly Event[],
  streams: readonly string[],
  stream: string,
  accepts: (at: number, watermark: number) => boolean,
): readonly Row[] {
  const newest = new Map(streams.map((name) => [name, -Infinity]));
  return events.flatMap(({ stream: own, key, at, n }) => {
    const watermark = Math.min(...newest.values()) - DISORDER_MS;
    newest.set(own, Math.max(newest.get(own) as number, at));
    return own === stream && accepts(at, watermark) ? [{ key, at, value: n }] : [];
  });
}

/** Nested loops. */
function nested(
  kind: JoinKind,
  lefts: readonly Row[],
  rights: readonly Row[],
  { beforeMs, afterMs }: Omit<Bounds, "graceMs">,
): readonly Row[] {
  const near = (left: Row, right: Row): boolean =>
    left.key === right.key && right.at >= left.at - beforeMs && right.at <= left.at + afterMs;
  const rows: Row[] = [];
  for (const left of lefts)
    for (const right of rights)
      if (near(left, right))
        rows.push({ key: left.key, at: Math.max(left.at, right.at), value: [left.value, right.value] });
  if (wants(kind, "left"))
    for (const left of lefts)
      if (!rights.some((right) => near(left, right))) rows.push({ ...left, value: [left.value, null] });
  if (wants(kind, "right"))
    for (const right of rights)
      if (!lefts.some((left) => near(left, right))) rows.push({ ...right, value: [null, right.value] });
  return rows;
}

function sorted(rows: readonly Row[]): readonly string[] {
  return rows.map(({ key, at, value }) => JSON.stringify([key, at, value])).sort();
}

function joinedBy<W, X>(
  kind: JoinKind,
  left: Stream<string, W>,
  right: Stream<string, X>,
  options: JoinOptions,
): Stream<string, unknown> {
  const pair = (a: unknown, b: unknown): unknown => [a, b];
  switch (kind) {
    case "inner":
      return left.join(right, pair, options);
    case "left":
      return left.leftJoin(right, pair, options);
    case "outer":
      return left.outerJoin(right, pair, options);
  }
}

/** The numbers of a stream's events, which are out of order by no more than is allowed, and sometimes by more. */
function numbersOf(app: Topology, stream: string): Stream<string, number> {
  const key = (value: unknown): string => (value as Event).key;
  const timestamp = (value: unknown): number => (value as Event).at;
  return app.stream(stream, { key, timestamp, outOfOrderMs: DISORDER_MS }).map((value) => (value as Event).n);
}

/** All of it, and then time comes so far that nothing waits any more. */
function write(driver: TopologyDriver, events: readonly Event[], streams: readonly string[]): void {
  for (const event of events) driver.write(event.stream, event);
  for (const at of [FAR_MS, 2 * FAR_MS]) for (const stream of streams) driver.write(stream, { key: END, at, n: -1 });
}

function rowsOf(driver: TopologyDriver, stream: string): readonly Row[] {
  const rows = driver.read(stream).map(({ key, timestamp, value }) => ({ key: String(key), at: timestamp, value }));
  return rows.filter(({ key }) => key !== END);
}

describe("a join of two streams", () => {
  const bounds: Bounds = { beforeMs: 10, afterMs: 20, graceMs: GRACE_MS };
  const onTime = (at: number, watermark: number) => at + GRACE_MS >= watermark;

  function app(kind: JoinKind): Topology {
    const app = topology("pairs");
    const pairs = joinedBy(kind, numbersOf(app, "left"), numbersOf(app, "right"), bounds);
    pairs.to("out");
    pairs
      .groupByKey()
      .window(tumbling({ sizeMs: WINDOW_MS, lateTo: "lost" }))
      .count()
      .map(({ value }) => value)
      .to("counts");
    return app;
  }

  it.each(KINDS)("%s: all pairs of those that are not late, each once, and none is late behind it", (kind) => {
    fc.assert(
      fc.property(eventsOf(TWO), (events) => {
        const driver = new TopologyDriver(app(kind));
        write(driver, events, TWO);
        const [lefts, rights] = [taken(events, TWO, "left", onTime), taken(events, TWO, "right", onTime)];
        const pairs = nested(kind, lefts, rights, bounds);
        expect(sorted(rowsOf(driver, "out"))).toEqual(sorted(pairs));
        expect(driver.read("lost")).toEqual([]);
        expect(driver.counted("late")).toBe(events.length - lefts.length - rights.length);
        const counted = rowsOf(driver, "counts").reduce((sum, { value }) => sum + (value as number), 0);
        expect(counted).toBe(pairs.length);
      }),
      { numRuns: 60 },
    );
  });

  it("finds all that another join gives, whatever kinds they are", () => {
    const second: Bounds = { beforeMs: 20, afterMs: 30, graceMs: 0 };
    /** How far behind the watermark the first one's results may be. */
    const held = { inner: GRACE_MS, left: 20 + GRACE_MS + 1, outer: 20 + GRACE_MS + 1 };
    fc.assert(
      fc.property(eventsOf(THREE), fc.constantFrom(...KINDS), fc.constantFrom(...KINDS), (events, kind, then) => {
        const app = topology("chain");
        const pairs = joinedBy(kind, numbersOf(app, "left"), numbersOf(app, "right"), bounds);
        joinedBy(then, pairs, numbersOf(app, "third"), second).to("out");
        const driver = new TopologyDriver(app);
        write(driver, events, THREE);
        const [lefts, rights] = [taken(events, THREE, "left", onTime), taken(events, THREE, "right", onTime)];
        const thirds = taken(events, THREE, "third", (at, watermark) => at >= watermark - held[kind]);
        const expected = nested(then, nested(kind, lefts, rights, bounds), thirds, second);
        expect(sorted(rowsOf(driver, "out"))).toEqual(sorted(expected));
      }),
      { numRuns: 150 },
    );
  });

  it("finds all that windows give when they close", () => {
    const endOf = (at: number): number => (Math.floor(at / WINDOW_MS) + 1) * WINDOW_MS;
    const isOpen = (at: number, watermark: number): boolean => endOf(at) + GRACE_MS > watermark;
    const counts = (rows: readonly Row[]): readonly Row[] =>
      [...Map.groupBy(rows, ({ key, at }) => `${key} ${endOf(at)}`).values()].map((window) => {
        const { key, at } = window[0] as Row;
        return { key, at: endOf(at) - 1, value: window.length };
      });
    fc.assert(
      fc.property(eventsOf(TWO), fc.constantFrom(...KINDS), (events, kind) => {
        const app = topology("windows");
        const [left, right] = TWO.map((stream) =>
          numbersOf(app, stream)
            .groupByKey()
            .window(tumbling({ sizeMs: WINDOW_MS, graceMs: GRACE_MS }))
            .count()
            .map(({ value }) => value),
        ) as [Stream<string, number>, Stream<string, number>];
        joinedBy(kind, left, right, { withinMs: 0 }).to("out");
        const driver = new TopologyDriver(app);
        write(driver, events, TWO);
        const [lefts, rights] = [taken(events, TWO, "left", isOpen), taken(events, TWO, "right", isOpen)];
        const expected = nested(kind, counts(lefts), counts(rights), { beforeMs: 0, afterMs: 0 });
        expect(sorted(rowsOf(driver, "out"))).toEqual(sorted(expected));
      }),
      { numRuns: 60 },
    );
  });

  it.each(KINDS)("%s: I10, deterministic", (kind) => {
    fc.assert(
      fc.property(eventsOf(TWO), (events) => {
        const records = events.map((event, n) => ({
          ...{ stream: event.stream, logTime: 11 * n },
          value: utf8(JSON.stringify(event)),
        }));
        expect(checkDeterminism(app(kind).build(), records, FAR_MS)).toEqual({ ok: true, value: undefined });
      }),
      { numRuns: 10 },
    );
  });

  it("waits for a partner of the very time up to which there may be one", () => {
    const app = topology("near");
    const timed = { timestamp: (value: unknown) => value as number };
    const [left, right] = [app.stream("left", timed), app.stream("right", timed)];
    left.leftJoin(right, (own, other) => [own, other], { withinMs: 100 }).to("out");
    const driver = new TopologyDriver(app);
    driver.write("left", 0, { key: "k" });
    driver.write("left", 0, { key: "alone" });
    // Event time is 100, and another record of that time may come.
    driver.write("left", 100, { key: "other" });
    driver.write("right", 100, { key: "other" });
    driver.write("right", 100, { key: "k" });
    const shown = () => driver.read("out").map(({ key, value, timestamp }) => [key, value, timestamp]);
    expect(shown()).toEqual([
      ["other", [100, 100], 100],
      ["k", [0, 100], 100],
    ]);
    for (const stream of ["left", "right"]) driver.write(stream, 101, { key: "third" });
    expect(shown()).toEqual([
      ["third", [101, 101], 101],
      ["alone", [0, null], 0],
    ]);
  });

  it("counts what comes too late, and that alone", () => {
    const driver = new TopologyDriver(app("outer"));
    for (const stream of TWO) driver.write(stream, { key: "k", at: 100, n: 0 });
    // The watermark is 90 now, and 80 is not too late.
    for (const at of [80, 79]) driver.write("left", { key: "k", at, n: at });
    expect(driver.counted("late")).toBe(1);
  });
});

describe("a join with a table", () => {
  function app(kind: "inner" | "left"): Topology {
    const app = topology("lookup");
    const table = app.table("table").map((value) => (value as number) * 10);
    const stream = app.stream("stream");
    const pair = (value: unknown, other: number | null) => [value, other];
    (kind === "inner" ? stream.join(table, pair) : stream.leftJoin(table, pair)).to("out");
    return app;
  }

  const steps = fc.array(
    fc.record({
      stream: fc.constantFrom("stream", "table"),
      key: fc.constantFrom("a", "b"),
      value: fc.option(fc.integer()),
    }),
    { maxLength: 20 },
  );

  it.each(["inner", "left"] as const)("%s: is with what it has when the record comes", (kind) => {
    fc.assert(
      fc.property(steps, (steps) => {
        const driver = new TopologyDriver(app(kind));
        const table = new Map<string, number>();
        const expected: unknown[] = [];
        for (const { stream, key, value } of steps) {
          driver.write(stream, value, { key });
          if (stream === "stream") {
            const other = table.get(key);
            if (value !== null && (other !== undefined || kind === "left"))
              expected.push([value, other === undefined ? null : 10 * other]);
          } else if (value === null) table.delete(key);
          else table.set(key, value);
        }
        // JSON has no -0.
        expect(JSON.stringify(driver.read("out").map(({ value }) => value))).toBe(JSON.stringify(expected));
      }),
      { numRuns: 60 },
    );
  });
});

describe("a join of two tables", () => {
  function app(kind: JoinKind): Topology {
    const app = topology("tables");
    const [left, right] = [app.table("left"), app.table("right").filter((value) => (value as number) < 50)];
    const pair = (a: unknown, b: unknown) => [a, b];
    const joined = {
      inner: () => left.join(right, pair),
      left: () => left.leftJoin(right, pair),
      outer: () => left.outerJoin(right, pair),
    }[kind]();
    joined.to("out");
    // Looked up through two tables that keep nothing.
    app
      .stream("ask")
      .leftJoin(joined, (_, found) => found)
      .to("answers");
    return app;
  }

  const steps = fc.array(
    fc.record({
      table: fc.constantFrom("left", "right"),
      key: fc.constantFrom("a", "b", "c"),
      value: fc.option(fc.integer({ min: 0, max: 99 })),
    }),
    { maxLength: 25 },
  );

  it.each(KINDS)("%s: its changes add up to what both have, which is also what it answers", (kind) => {
    fc.assert(
      fc.property(steps, (steps) => {
        const driver = new TopologyDriver(app(kind));
        const tables = { left: new Map<string, number>(), right: new Map<string, number>() };
        for (const { table, key, value } of steps) {
          driver.write(table, value, { key });
          if (value === null || (table === "right" && value >= 50)) tables[table].delete(key);
          else tables[table].set(key, value);
        }
        const sum = new Map<unknown, unknown>();
        for (const { key, value } of driver.read("out")) {
          if (value === null) sum.delete(key);
          else sum.set(key, value);
        }
        const expected = new Map<unknown, unknown>();
        for (const key of ["a", "b", "c"]) {
          const pair = [tables.left.get(key) ?? null, tables.right.get(key) ?? null];
          const [hasLeft, hasRight] = [tables.left.has(key), tables.right.has(key)];
          if ((hasLeft && hasRight) || (hasLeft && wants(kind, "left")) || (hasRight && wants(kind, "right")))
            expected.set(key, pair);
          driver.write("ask", 1, { key });
        }
        expect(sum).toEqual(expected);
        const answers = driver.read("answers").map(({ key, value }) => [key, value]);
        expect(answers).toEqual(["a", "b", "c"].map((key) => [key, expected.get(key) ?? null]));
      }),
      { numRuns: 60 },
    );
  });

  /** Both sides are made of the left table, in the second by a join each. */
  const SHARED: readonly [string, (app: Topology) => Table<string | null, unknown>][] = [
    [
      "views of one table",
      (app) => {
        const table = app.table("left").map(Number);
        const [odd, small] = [table.filter((n) => n % 2 === 1), table.filter((n) => n < 50)];
        return small
          .outerJoin(odd, (a, b) => (a === 7 ? null : [a, b]))
          .join(
            odd.map((n) => n + 1),
            (a, b) => [a, b],
          );
      },
    ],
    [
      "joins with one table",
      (app) => {
        const [left, right] = [app.table("left"), app.table("right").filter((value) => Number(value) < 50)];
        const none = (a: unknown, b: unknown) => (b === null ? null : [a, b]);
        return right.leftJoin(left, none).join(left.leftJoin(right, none), (a, b) => [a, b]);
      },
    ],
  ];

  it.each(SHARED)("of %s: its changes add up to what it answers", (_, make) => {
    fc.assert(
      fc.property(steps, (steps) => {
        const app = topology("shared");
        const joined = make(app);
        joined.to("out");
        app
          .stream("ask")
          .leftJoin(joined, (_, found) => found)
          .to("answers");
        const driver = new TopologyDriver(app);
        const read = new Set(joined.port.building.graph().nodes.flatMap(({ source }) => source?.name ?? []));
        const sum = new Map<unknown, unknown>();
        for (const { table, key, value } of steps) {
          if (!read.has(table)) continue;
          driver.write(table, value, { key });
          for (const { value } of driver.read("out")) {
            if (value === null) sum.delete(key);
            else sum.set(key, value);
          }
          driver.write("ask", 1, { key });
          expect(driver.read("answers").map(({ value }) => value)).toEqual([sum.get(key) ?? null]);
        }
        driver.checkDeterminism();
      }),
      { numRuns: 100 },
    );
  });
});
