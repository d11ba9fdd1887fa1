/** Joins against nested loops over all records. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TopologyDriver } from "../../client/testing/topology-driver.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { count } from "../../src/operators/aggregates/count.ts";
import { topology, type Topology } from "../../src/operators/build/topology.ts";
import type { JoinKind } from "../../src/operators/joins/joiner.ts";
import { checkDeterminism } from "../../src/operators/run/check-determinism.ts";
import { tumbling } from "../../src/operators/windows/window.ts";

type Event = { readonly stream: "left" | "right"; readonly key: string; readonly at: number; readonly n: number };

const KINDS: readonly JoinKind[] = ["inner", "left", "outer"];
const DISORDER_MS = 30;

/** Numbered as they come, and never too late. */
const events: fc.Arbitrary<readonly Event[]> = fc
  .array(
    fc.record({
      stream: fc.constantFrom("left" as const, "right" as const),
      key: fc.constantFrom("a", "b"),
      step: fc.integer({ min: 0, max: 30 }),
      back: fc.integer({ min: 0, max: DISORDER_MS - 1 }),
    }),
    { maxLength: 30 },
  )
  .map((steps) => {
    let newest = 0;
    return steps.map(({ stream, key, step, back }, n) => {
      newest += step;
      return { stream, key, at: Math.max(0, newest - back), n };
    });
  });

const numberOf = (value: unknown) => (value as Event | null)?.n ?? null;
const pairOf = (left: unknown, right: unknown) => [numberOf(left), numberOf(right)] as const;
const sorted = (pairs: readonly (readonly (number | null)[])[]) => pairs.map((pair) => JSON.stringify(pair)).sort();

function wants(kind: JoinKind, side: Event["stream"]): boolean {
  return kind === "outer" || (kind === "left" && side === "left");
}

describe("a join of two streams", () => {
  const bounds = { beforeMs: 10, afterMs: 70, graceMs: DISORDER_MS };

  function app(kind: JoinKind): Topology {
    const app = topology("pairs");
    const at = { timestamp: (value: unknown) => (value as Event).at };
    const [left, right] = [app.stream("left", at), app.stream("right", at)];
    const joined = {
      inner: () => left.join(right, pairOf, bounds),
      left: () => left.leftJoin(right, pairOf, bounds),
      outer: () => left.outerJoin(right, pairOf, bounds),
    }[kind]();
    joined.to("out");
    // Nothing is lost behind it either, for what it holds back is waited for.
    joined
      .groupBy(() => "all")
      .window(tumbling({ sizeMs: 20, graceMs: DISORDER_MS, lateTo: "lost" }))
      .aggregate(count())
      .to("counts");
    return app;
  }

  it.each(KINDS)("%s: all pairs that nested loops find, each once", (kind) => {
    fc.assert(
      fc.property(events, (events) => {
        const driver = new TopologyDriver(app(kind));
        for (const event of events) driver.write(event.stream, event, { key: event.key });
        for (const stream of ["left", "right"]) driver.write(stream, { at: 100_000, n: -1 }, { key: stream });
        for (const stream of ["left", "right"]) driver.write(stream, { at: 200_000, n: -1 }, { key: stream });
        const pairs: (readonly (number | null)[])[] = [];
        const lefts = events.filter(({ stream }) => stream === "left");
        const rights = events.filter(({ stream }) => stream === "right");
        const near = (left: Event, right: Event) =>
          left.key === right.key && right.at >= left.at - bounds.beforeMs && right.at <= left.at + bounds.afterMs;
        for (const left of lefts) for (const right of rights) if (near(left, right)) pairs.push([left.n, right.n]);
        if (wants(kind, "left"))
          for (const left of lefts) if (!rights.some((right) => near(left, right))) pairs.push([left.n, null]);
        if (wants(kind, "right"))
          for (const right of rights) if (!lefts.some((left) => near(left, right))) pairs.push([null, right.n]);
        const found = driver
          .read("out")
          .map(({ value }) => value as (number | null)[])
          .filter((pair) => !pair.includes(-1));
        expect(sorted(found)).toEqual(sorted(pairs));
        expect([driver.counted("late"), driver.read("lost")]).toEqual([0, []]);
      }),
      { numRuns: 40 },
    );
  });

  it.each(KINDS)("%s: I10, deterministic", (kind) => {
    fc.assert(
      fc.property(events, (events) => {
        const records = events.map((event, n) => ({
          ...{ stream: event.stream, logTime: 11 * n, key: utf8(event.key) },
          value: utf8(JSON.stringify(event)),
        }));
        expect(checkDeterminism(app(kind).build(), records, 100_000)).toEqual({ ok: true, value: undefined });
      }),
      { numRuns: 10 },
    );
  });

  it("counts what comes too late", () => {
    const driver = new TopologyDriver(app("outer"));
    for (const at of [100, 70, 71]) driver.write("left", { at, n: at }, { key: "k" });
    driver.write("right", { at: 100, n: 1 }, { key: "k" });
    for (const at of [70, 71]) driver.write("left", { at, n: at }, { key: "k" });
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
});
