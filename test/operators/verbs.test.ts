/** Operators that no other file tests: dedupe, toTable, and what is written and carried along. */
import { describe, expect, it } from "vitest";
import { TopologyDriver } from "../../client/testing/topology-driver.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { topology } from "../../src/operators/build/topology.ts";
import { TIMESTAMP_MAX_MS } from "../../src/record/record.ts";
import { tumbling } from "../../src/operators/windows/window.ts";
import { PoisonError } from "../../src/operators/run/topology-run.ts";

describe("dedupe", () => {
  it("lets a record through again when none came for its time to live", () => {
    const app = topology("once");
    app
      .stream("in")
      .dedupe({ ttlMs: 100, by: (value) => (value as { readonly id: number }).id })
      .to("out");
    const driver = new TopologyDriver(app);
    const write = (n: number, id: number, key = "k") => driver.write("in", { n, id }, { key });
    write(1, 1);
    write(2, 1);
    write(3, 2);
    write(4, 1, "other");
    driver.advance(100);
    // Not over yet, and counted from here on.
    write(5, 1);
    driver.advance(60);
    write(6, 2);
    driver.advance(40);
    write(7, 1);
    driver.advance(101);
    write(8, 1);
    const through = driver.read("out").map(({ value }) => (value as { readonly n: number }).n);
    expect(through).toEqual([1, 3, 4, 6, 8]);
  });
});

describe("a table made of a stream", () => {
  it("has the newest value, which null deletes", () => {
    const app = topology("newest");
    const table = app
      .stream("in")
      .map((value) => (value === 0 ? null : value))
      .toTable();
    table.to("changes");
    app
      .stream("ask")
      .leftJoin(table, (_, found) => found)
      .to("out");
    const driver = new TopologyDriver(app);
    const answers: unknown[] = [];
    for (const value of [1, 2, 0, 0]) {
      driver.write("in", value, { key: "k" });
      driver.write("ask", 1, { key: "k" });
      answers.push(...driver.read("out").map((record) => record.value));
    }
    expect(answers).toEqual([1, 2, null, null]);
    expect(driver.read("changes").map(({ value }) => value)).toEqual([1, 2, null]);
  });
});

describe("a table made of a table", () => {
  it.each([null, undefined])("has nothing where its function gives %s", (nothing) => {
    const app = topology("large");
    const large = app.table("in").map((value) => ((value as number) > 1 ? value : nothing));
    large.to("out");
    const driver = new TopologyDriver(app);
    for (const value of [1, 2, 1, 1]) driver.write("in", value, { key: "k" });
    expect(driver.read("out").map(({ value }) => value)).toEqual([2, null]);
  });
});

describe("what is written", () => {
  it("keeps headers and event time, and bytes as they are", () => {
    const app = topology("whole");
    app
      .stream("in", { format: "bytes", partitions: 2 })
      .keyBy((value) => value)
      .repartition({ partitions: 1 })
      .to("out");
    const driver = new TopologyDriver(app, 1_000);
    const headers = [["trace", utf8("1")] as const, ["trace", utf8("2")] as const];
    driver.write("in/1", Uint8Array.of(0xff, 0), { headers, timestamp: -5 });
    expect(driver.read("out")).toEqual([
      { key: Uint8Array.of(0xff, 0), value: Uint8Array.of(0xff, 0), timestamp: -5, headers },
    ]);
  });

  it.each<[string, () => unknown]>([
    ["a bigint", () => 1n],
    ["a Map", () => ({ a: new Map() })],
    ["NaN", () => [Number.NaN]],
    ["JSON or bytes", () => undefined],
    ["undefined in it", () => ({ list: [1, undefined] })],
    ["a function", () => ({ of: () => 1 })],
    ["a symbol", () => ({ of: Symbol("one") })],
    ["a date that is none", () => ({ at: new Date(Number.NaN) })],
    ["bytes", () => [new Float64Array(1)]],
  ])("is refused where JSON has no way to say it: %s", (what, make) => {
    const app = topology("refused");
    app.stream("in").map(make).to("out");
    const driver = new TopologyDriver(app);
    expect(() => driver.write("in", 1)).toThrow(PoisonError);
    expect(() => driver.write("in", 1)).toThrow(what);
  });

  it("leaves out fields that are undefined, and has dates as text", () => {
    const app = topology("plain");
    app
      .stream("in")
      .map(() => ({ none: undefined, at: new Date(0) }))
      .to("out");
    const driver = new TopologyDriver(app);
    driver.write("in", 1);
    expect(driver.read("out").map(({ value }) => value)).toEqual([{ at: "1970-01-01T00:00:00.000Z" }]);
  });

  it("has no key that is no Unicode", () => {
    const app = topology("halves");
    app
      .stream("in")
      .keyBy((value) => value as string)
      .to("out");
    expect(() => new TopologyDriver(app).write("in", "\ud800")).toThrow(/half of a surrogate pair/);
  });

  it("has no time that the log has not", () => {
    const app = topology("far");
    app
      .stream("in")
      .groupByKey()
      .window(tumbling({ sizeMs: 86_400_000, emit: "on-change" }))
      .count()
      .to("out");
    const driver = new TopologyDriver(app);
    expect(() => driver.write("in", 1, { timestamp: TIMESTAMP_MAX_MS })).toThrow(PoisonError);
    driver.write("in", 1, { timestamp: 0 });
    expect(driver.read("out").length).toBe(1);
  });

  it("leaves out tombstones of streams, and counts them", () => {
    const app = topology("tombstones");
    app.stream("in").to("out");
    const driver = new TopologyDriver(app);
    driver.write("in", null, { key: "k" });
    driver.write("in", 1, { key: "k" });
    expect([driver.read("out").length, driver.counted("skipped")]).toEqual([1, 1]);
  });
});
