/** Topologies as they are built: ids, stages, partitions, what is refused and what is said then, and how they are shown. */
import fc from "fast-check";
import * as v from "valibot";
import { describe, expect, expectTypeOf, it } from "vitest";
import { TopologyDriver } from "../../client/testing/topology-driver.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { encodeKey, type Key } from "../../src/operators/encoding/key-codec.ts";
import { topN } from "../../src/operators/aggregates/top-n.ts";
import type { Stream } from "../../src/operators/build/stream.ts";
import type { Table, TableRepartitionOptions } from "../../src/operators/build/table.ts";
import type { TopologyErrorCode } from "../../src/operators/build/topology-error.ts";
import { topology, type Topology } from "../../src/operators/build/topology.ts";
import type { Stage } from "../../src/operators/engine/graph.ts";
import { Task } from "../../src/operators/engine/task.ts";
import { OPERATOR_LIMITS } from "../../src/operators/limits.ts";
import { checkDeterminism } from "../../src/operators/run/check-determinism.ts";
import { PoisonError } from "../../src/operators/run/topology-run.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import { HASH, inputStream, type Partitioner, partitionOf } from "../../src/operators/verbs/partitioner.ts";
import { hopping, tumbling } from "../../src/operators/windows/window.ts";

type TableOptions = { readonly partitions: number; readonly by?: Partitioner };

const flight = v.object({ origin: v.string(), delay: v.pipe(v.number(), v.transform(String)) });

/** Words of lines in two partitions, counted in three. */
function wordCount(): Topology {
  const app = topology("words");
  app
    .stream("lines", { format: "text", partitions: 2 })
    .flatMap((line) => line.split(" "))
    .groupBy((word) => word, { name: "by-word" })
    .count({ name: "counts" })
    .toStream()
    .to("out");
  return app;
}

describe("a topology", () => {
  it("has the types of its schemas", () => {
    const app = topology("types");
    const flights = app.stream("flights", { schema: flight });
    expectTypeOf(flights).toEqualTypeOf<Stream<string | null, { origin: string; delay: string }>>();
    expectTypeOf(flights.groupBy(({ origin }) => origin).count()).toEqualTypeOf<Table<string, number>>();
    expectTypeOf(app.table("planes", { schema: v.object({ seats: v.number() }) })).toEqualTypeOf<
      Table<string | null, { seats: number }>
    >();
    expectTypeOf(app.stream("other", { format: "bytes", key: (): bigint => 5n })).toEqualTypeOf<
      Stream<bigint, Uint8Array>
    >();
    const [late, rest] = flights.branch([({ delay }) => delay.length > 2, () => true]);
    late.merge(rest).to("out");
    const driver = new TopologyDriver(app);
    driver.write("flights", { origin: "FRA", delay: 100 });
    driver.write("flights", { origin: "FRA", delay: 1 });
    expect(driver.read("out").map(({ value }) => value)).toEqual([
      { origin: "FRA", delay: "100" },
      { origin: "FRA", delay: "1" },
    ]);
    expect(() => driver.write("flights", { origin: "FRA" })).toThrow(PoisonError);
    expect(() => driver.write("flights", { origin: "FRA" })).toThrow(
      /"stream-1" failed at flights, offset \d: .*\(delay\)/,
    );
  });

  it("is cut into stages where keys change partition", () => {
    const { stages } = wordCount().build();
    expect(stages.map(({ number, partitions, nodes }) => [number, partitions, nodes.map(({ id }) => id)])).toEqual([
      [0, 2, ["stream-1", "flat-map-1", "by-word", "repartition-1"]],
      [1, 2, ["repartition-1.in", "counts", "to-stream-1", "to-1"]],
    ]);
    const alone = topology("alone");
    alone
      .stream("lines")
      .groupBy(() => "all")
      .count()
      .to("out");
    expect(alone.build().stages.length).toBe(1);
  });

  it("gives the answer of one task, in several", () => {
    const words = fc.array(fc.constantFrom("a", "b", "c", "ß"), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(words, { maxLength: 12 }), (lines) => {
        const driver = new TopologyDriver(wordCount());
        lines.forEach((line, n) => driver.write(`lines/${n % 2}`, utf8(line.join(" "))));
        const counts = new Map(driver.read("out").map(({ key, value }) => [key, value]));
        const expected = Map.groupBy(lines.flat(), (word): unknown => word);
        expect(counts).toEqual(new Map([...counts].map(([word]) => [word, expected.get(word)?.length])));
        expect(counts.size).toBe(expected.size);
      }),
      { numRuns: 30 },
    );
    const records = ["a b", "b c a", "c"].map((line, n) => ({
      stream: `lines/${n % 2}`,
      value: utf8(line),
      logTime: n,
    }));
    expect(checkDeterminism(wordCount().build(), records, 10).ok).toBe(true);
  });

  it("may read its dead letters", () => {
    const app = topology("app");
    app.stream("apps/app/dead").to("buried");
    expect(app.build().nodes.map(({ source }) => source?.name)).toContain("apps/app/dead");
  });

  it("shows itself as text", () => {
    expect(wordCount().describe().split("\n")).toEqual([
      "app words, version 1",
      "  stage 0, 2 tasks",
      "    stream-1       stream (lines)",
      "    flat-map-1     flat-map <- stream-1",
      "    by-word        key-by <- flat-map-1",
      "    repartition-1  repartition (hash, 2 partitions) <- by-word",
      "  stage 1, 2 tasks",
      "    repartition-1.in  repartitioned (apps/words/repartition-1)",
      "    counts            aggregate (count) <- repartition-1.in",
      "    to-stream-1       to-stream <- counts",
      "    to-1              to (out) <- to-stream-1",
    ]);
  });

  it("shows itself as a flowchart", () => {
    const app = topology("chart");
    const [odd] = app.stream('in"<1>').branch([(n) => n === 1]);
    odd
      .groupByKey()
      .window(tumbling({ sizeMs: 5, graceMs: 1 }))
      .count()
      .to("out");
    expect(app.describe("mermaid").split("\n")).toEqual(
      [
        "flowchart LR",
        '  subgraph stage0 ["stage 0"]',
        '    n_stream_2d_1["stream-1: stream (in#quot;#lt;1#gt;)"]',
        '    n_branch_2d_1["branch-1: branch"]',
        '    n_tumbling_2d_window_2d_1["tumbling-window-1: tumbling-window (count, offsetMs 0, sizeMs 5, graceMs 1, on-close)"]',
        '    n_to_2d_1["to-1: to (out)"]',
        "  end",
        "  sn_in_22__3c_1_3e_ --> n_stream_2d_1",
        "  n_stream_2d_1 --> n_branch_2d_1",
        "  n_branch_2d_1 --> n_tumbling_2d_window_2d_1",
        "  n_tumbling_2d_window_2d_1 --> n_to_2d_1",
        "  n_to_2d_1 --> sn_out",
        '  sn_in_22__3c_1_3e_[("in#quot;#lt;1#gt;")]',
        '  sn_out[("out")]',
      ].map((line) => line),
    );
  });
});

describe("what cannot be run is refused when it is built", () => {
  type Refusal = [string, TopologyErrorCode, RegExp, (app: Topology) => unknown];
  const cases: readonly Refusal[] = [
    ["nothing", "empty", /begin with/, (app) => app.build()],
    [
      "a name twice",
      "name-taken",
      /another \{ name \}/,
      (app) => app.stream("a", { name: "x" }).map(() => 1, { name: "x" }),
    ],
    ["a bad name", "bad-name", /letters, digits/, (app) => app.stream("a", { name: "a/b" })],
    ["a bad app", "bad-name", /the app's name/, () => topology("")],
    ["a stream twice", "read-twice", /use that handle twice/, (app) => [app.stream("a"), app.table("a")]],
    [
      "a partition twice",
      "read-twice",
      /"a\/1" is read by "stream-1" already/,
      (app) => [app.stream("a", { partitions: 2 }), app.table("a/1")],
    ],
    [
      "another app's stream",
      "other-topology",
      /write it to a stream/,
      (app) => app.stream("a").merge(topology("b").stream("b")),
    ],
    [
      "other numbers of partitions",
      "not-co-partitioned",
      /2 and 3 partitions; \.repartition\(\{ partitions: 3 \}\) the first/,
      (app) => app.stream("a", { partitions: 2 }).join(app.table("b", { partitions: 3 }), () => 1),
    ],
    [
      "other rules",
      "not-co-partitioned",
      /hash and range/,
      (app) =>
        app
          .stream("a", { partitions: 2 })
          .join(app.table("b", { partitions: 2, by: { kind: "range", bounds: ["m"] } }), () => 1),
    ],
    [
      "a table that is not by key",
      "not-co-partitioned",
      /let its producers partition it by hash or range \(inputStream/,
      (app) => app.table("b", { partitions: 2, by: { kind: "round-robin" } }),
    ],
    [
      "partitions that meet by other ways",
      "not-co-partitioned",
      /2 partitions and 3|3 and 2/,
      (app) => app.stream("a", { partitions: 3 }).merge(app.stream("b", { partitions: 2 })),
    ],
    [
      "no whole time",
      "bad-setting",
      /sizeMs is 0.5/,
      (app) =>
        app
          .stream("a")
          .groupByKey()
          .window(tumbling({ sizeMs: 0.5 })),
    ],
    [
      "a window that ends where there is no time",
      "bad-setting",
      /sizeMs is 9007199254740991; .* to 2251799813685247/,
      (app) =>
        app
          .stream("a")
          .groupByKey()
          .window(tumbling({ sizeMs: Number.MAX_SAFE_INTEGER })),
    ],
    [
      "too many windows of each record",
      "bad-setting",
      /in 86400 windows of 86400000 ms, and 2000 are the most: give everyMs 43200 or more/,
      (app) =>
        app
          .stream("a")
          .groupByKey()
          .window(hopping({ sizeMs: 86_400_000, everyMs: 1_000 })),
    ],
    [
      "more of the best than are kept",
      "bad-setting",
      /number of topN is 2000; .* from 1 to 1000/,
      () => topN(2_000, Number),
    ],
    ["none of the best", "bad-setting", /number of topN is NaN/, () => topN(Number.NaN, Number)],
    ["a version that is none", "bad-setting", /version is 0;/, () => topology("a", { version: 0 })],
    ["too many partitions", "bad-setting", /partitions is/, (app) => app.stream("a", { partitions: 100_000 })],
    [
      "bounds that do not fit",
      "bad-setting",
      /3 ranges have 2 bounds/,
      (app) => app.stream("a").repartition({ partitions: 3, by: { kind: "range", bounds: [1] } }),
    ],
    [
      "bounds of an input that do not fit",
      "bad-setting",
      /2 ranges have 1 bounds/,
      (app) => app.stream("a", { partitions: 2, by: { kind: "range", bounds: [] } }),
    ],
    [
      "bounds of an output out of order",
      "bad-setting",
      /in order/,
      (app) => app.stream("a").to("b", { partitions: 3, by: { kind: "range", bounds: ["b", "a"] } }),
    ],
    [
      "an output's periods that are none",
      "bad-setting",
      /periodMs is 0/,
      (app) => app.stream("a").to("b", { partitions: 3, by: { kind: "time", periodMs: 0 } }),
    ],
  ];

  const given = (app: Topology): Stream<Key, unknown> => app.stream("a");
  const plain: typeof cases = [
    ["a stream's name that is none", "bad-name", /"x\/\/y": .* a segment is empty/, (app) => app.stream("x//y")],
    ["an output's name that is none", "bad-name", /"x\/..\/y"/, (app) => given(app).to("x/../y")],
    ["no name", "bad-name", /"": .* it is empty/, (app) => given(app).to("")],
    ["a name that is no text", "bad-name", /"5"/, (app) => given(app).to(5 as never)],
    [
      "names that are too long with their partition",
      "bad-name",
      /bytes/,
      (app) => app.stream("a".repeat(1_023), { partitions: 2 }),
    ],
    [
      "the streams of a task",
      "bad-name",
      /"apps\/app\/commits\/0.0" is the app "app"'s own/,
      (app) => given(app).to("apps/app/commits/0.0"),
    ],
    [
      "an input that is its own",
      "bad-name",
      /"apps\/app\/commits\/0.0" is this app's own; read it in another app/,
      (app) => app.stream("apps/app/commits/0.0"),
    ],
    [
      "a place for what is late that is none",
      "bad-name",
      /".."/,
      (app) =>
        given(app)
          .groupByKey()
          .window(tumbling({ sizeMs: 5, lateTo: ".." })),
    ],
    [
      "no time to emit",
      "bad-setting",
      /emit is "now"; give it "on-close" or "on-change"/,
      (app) =>
        given(app)
          .groupByKey()
          .window(tumbling({ sizeMs: 5, emit: "now" as never })),
    ],
    ...(
      [
        ["map", (app) => given(app).map((n) => n, { nmae: "n" } as never)],
        ["branch", (app) => given(app).branch([() => true], { nmae: "n" } as never)],
        ["merge", (app) => given(app).merge(app.stream("more"), { nmae: "n" } as never)],
        ["key-by", (app) => given(app).groupBy((n) => String(n), { nmae: "n" } as never)],
        ["table", (app) => given(app).toTable({ nmae: "n" } as never)],
        [
          "aggregate",
          (app) =>
            given(app)
              .groupByKey()
              .count({ nmae: "n" } as never),
        ],
        [
          "tumbling-window",
          (app) =>
            given(app)
              .groupByKey()
              .window(tumbling({ sizeMs: 5 }))
              .count({ nmae: "n" } as never),
        ],
        [
          "to-stream",
          (app) =>
            given(app)
              .toTable()
              .toStream({ nmae: "n" } as never),
        ],
      ] satisfies [string, (app: Topology) => unknown][]
    ).map(([verb, build]): Refusal => [
      `an option of ${verb} that there is not`,
      "bad-setting",
      new RegExp(`^${verb} has no option "nmae"; it has name$`),
      build,
    ]),
    [
      "a window's option that there is not",
      "bad-setting",
      /a tumbling window has no option "grace"/,
      (app) =>
        given(app)
          .groupByKey()
          .window(tumbling({ sizeMs: 5, grace: 1 } as never)),
    ],
    [
      "a rule that is a word",
      "bad-setting",
      /by is "hash"; give it \{ kind: "hash" \}/,
      (app) => given(app).repartition({ by: "hash" as never }),
    ],
    [
      "a rule that there is not",
      "bad-setting",
      /by.kind is "mod"; give it "hash" or "range" or "time" or "round-robin"/,
      (app) => given(app).to("o", { partitions: 3, by: { kind: "mod" } as never }),
    ],
    [
      "a silence that there is not",
      "bad-setting",
      /silence is "skip"/,
      () => topology("a", { silence: "skip" as never }),
    ],
    [
      "a format that there is not",
      "bad-setting",
      /format is "avro"/,
      (app) => app.stream("a", { format: "avro" as never }),
    ],
    ["what is no schema", "bad-setting", /no ~standard/, (app) => app.stream("a", { schema: { parse() {} } as never })],
    [
      "an option of a source that there is not",
      "bad-setting",
      /"keys"/,
      (app) => app.stream("a", { keys: 1 } as never),
    ],
    ["a table's key", "bad-setting", /a table has no option "key"/, (app) => app.table("a", { key: String } as never)],
  ];

  it.each([...cases, ...plain])("%s", (_name, code, message, build) => {
    expect(() => build(topology("app"))).toThrow(message);
    try {
      build(topology("app"));
    } catch (error) {
      expect(error).toMatchObject({ name: "TopologyError", code });
    }
  });

  it.each<[string, (app: Topology) => void]>([
    ["at once", (app) => app.stream("a").to("a")],
    [
      "in several steps",
      (app) => {
        app
          .stream("a")
          .map((value) => value)
          .to("b");
        app.stream("b").keyBy(String).repartition({ partitions: 2 }).to("a");
      },
    ],
  ])("what comes back for ever, %s", (_name, build) => {
    const app = topology("circle");
    build(app);
    const message = /every record of "a" comes back to it, for ever \("stream-1" -> .*"stream-1"\): filter what comes/;
    expect(() => app.build()).toThrow(message);
  });

  it("what comes back for ever only when it is tried", () => {
    const app = topology("circle");
    app
      .stream("a")
      .filter(() => true)
      .to("a");
    const driver = new TopologyDriver(app);
    expect(() => driver.write("a", 1)).toThrow(/one record brought about 100000 others/);
  });

  it("too many nodes", () => {
    const app = topology("large");
    let stream = app.stream("a");
    for (let nodes = 1; nodes < OPERATOR_LIMITS.nodesMax; nodes += 1) stream = stream.filter(() => true);
    expect(() => stream.filter(() => true)).toThrow("make it two apps");
  });
});

describe("tables that do not lie alike", () => {
  const RANGE = { kind: "range", bounds: ["m"] } as const;
  const pair = (left: unknown, right: unknown): unknown => [left, right];

  it.each<[string, RegExp, TableOptions, TableOptions, TableRepartitionOptions]>([
    [
      "in other numbers of partitions",
      /in 2 and 3 partitions; .repartition\({ partitions: 3 }\) the first/,
      { partitions: 2 },
      { partitions: 3 },
      { partitions: 3 },
    ],
    [
      "by other rules",
      /rules \(hash and range\); .repartition\({ by: … }\) one of them by the rule of the other/,
      { partitions: 2 },
      { partitions: 2, by: RANGE },
      { by: RANGE },
    ],
  ])("are joined as the message says, deletions among them: %s", (_name, message, left, right, advice) => {
    const joined = (repartition: boolean): Topology => {
      const app = topology("tables");
      const first = app.table("l", left);
      (repartition ? first.repartition(advice) : first).outerJoin(app.table("r", right), pair).to("out");
      return app;
    };
    expect(() => joined(false)).toThrow(message);
    const driver = new TopologyDriver(joined(true));
    const write = (name: string, options: TableOptions, value: unknown): void =>
      driver.write(inputStream(name, options, { key: "k" }), value, { key: "k" });
    write("l", left, 1);
    write("r", right, 2);
    write("l", left, null);
    write("r", right, null);
    expect(driver.read("out").map(({ value }) => value)).toEqual([[1, null], [1, 2], [null, 2], null]);
    driver.checkDeterminism();
  });

  it("are not put where a key's changes are in several", () => {
    const by = { kind: "round-robin" } as unknown as typeof RANGE;
    const table = topology("tables").table("in");
    const message = "a table's changes go by hash or by range, and not by round-robin";
    expect(() => table.repartition({ partitions: 2, by })).toThrow(message);
    expect(() => table.to("out", { partitions: 2, by })).toThrow(message);
  });
});

describe("partitions", () => {
  it("are found by producers as by sources, by every rule", () => {
    const by = (rule: Partitioner) => (record: Parameters<typeof inputStream>[2]) =>
      inputStream("f", { partitions: 4, by: rule }, record);
    // xxh64 of the UTF-8, seed 0, modulo 4: what any other language comes to.
    const hashed = ["ATL", "JFK", "key", null].map((key) => inputStream("f", { partitions: 4 }, { key }));
    expect(hashed).toEqual(["f/2", "f/0", "f/0", "f/1"]);
    const ranged = by({ kind: "range", bounds: ["h", "q", "w"] });
    expect(["a", "h", "p", "z"].map((key) => ranged({ key }))).toEqual(["f/0", "f/1", "f/1", "f/3"]);
    const timed = by({ kind: "time", periodMs: 10 });
    expect([0, 9, 10, 45, -1].map((timestamp) => timed({ timestamp }))).toEqual(["f/0", "f/0", "f/1", "f/0", "f/3"]);
    const inTurn = by({ kind: "round-robin" });
    expect([0, 1, 5].map((turn) => inTurn({ turn }))).toEqual(["f/0", "f/1", "f/1"]);
    expect(inputStream("f", { partitions: 1 }, { key: "a" })).toBe("f");
  });

  it("are by hash of the key as records have it", () => {
    for (const count of [1, 2, 7]) {
      const seen = new Set(Array.from({ length: 100 }, (_, n) => partitionOf(HASH, count, `key ${n}`, 0, 0)));
      expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, partition) => partition));
    }
    expect(partitionOf(HASH, 64, "key", 0, 0)).toBe(partitionOf(HASH, 64, utf8("key"), 0, 0));
    expect(partitionOf(HASH, 64, 5, 0, 0)).toBe(partitionOf(HASH, 64, encodeKey(5), 0, 0));
  });

  it.each<[Partitioner, number[]]>([
    [{ kind: "range", bounds: [10, 20] }, [0, 0, 1, 1, 2]],
    [{ kind: "time", periodMs: 10 }, [0, 0, 1, 1, 2]],
    [{ kind: "round-robin" }, [0, 1, 2, 0, 1]],
  ])("are by %j", (by, expected) => {
    const app = topology("parts");
    app
      .stream("in", { key: (value) => value as number, timestamp: (value) => value as number })
      .repartition({ partitions: 3, by, name: "three" })
      .to("out");
    const task = new Task(app.build().stages[0] as Stage, 0, new MemoryStore());
    const numbers = [0, 9, 10, 19, 20];
    for (const [n, value] of numbers.entries()) {
      const place = { position: n + 1, ordinal: 0, index: 0 };
      expect(task.process({ source: "in", offset: n, place, value: utf8(String(value)), logTime: 0 }).ok).toBe(true);
    }
    expect(task.take().outputs.map(({ stream }) => stream)).toEqual(expected.map((n) => `apps/parts/three/${n}`));
    const driver = new TopologyDriver(app);
    for (const value of numbers) driver.write("in", value);
    expect(driver.read("out").map(({ value }) => value)).toEqual(numbers);
  });

  it.each<[Partitioner, string, number[][]]>([
    [{ kind: "hash" }, "out, 3 partitions", [[9, 10, 20], [19], [0]]],
    [{ kind: "range", bounds: [10, 20] }, "out, range 10 20, 3 partitions", [[0, 9], [10, 19], [20]]],
    [{ kind: "time", periodMs: 10 }, "out, time 10, 3 partitions", [[0, 9], [10, 19], [20]]],
    [{ kind: "round-robin" }, "out, round-robin, 3 partitions", [[0, 19], [9, 20], [10]]],
  ])("of an output are by %j, as producers have it", (by, detail, expected) => {
    const app = topology("outputs");
    const options = { key: (value: unknown) => value as number, timestamp: (value: unknown) => value as number };
    app.stream("in", options).to("out", { partitions: 3, by });
    expect(app.describe()).toContain(`to-1      to (${detail}) <- stream-1`);
    const driver = new TopologyDriver(app);
    for (const value of [0, 9, 10, 19, 20]) driver.write("in", value);
    expect([0, 1, 2].map((place) => driver.read(`out/${place}`).map(({ value }) => value))).toEqual(expected);
    const producers = { partitions: 3, by };
    for (const [turn, value] of [0, 9, 10, 19, 20].entries())
      expect(
        expected[Number(inputStream("out", producers, { key: value, timestamp: value, turn }).slice(4))],
      ).toContain(value);
  });

  it("of a table's changes are by what keeps a key in one of them", () => {
    const app = topology("changes");
    app.table("in").to("out", { partitions: 2, by: { kind: "range", bounds: ["m"] } });
    const driver = new TopologyDriver(app);
    for (const key of ["a", "z", "b"]) driver.write("in", key, { key });
    expect([0, 1].map((place) => driver.read(`out/${place}`).map(({ value }) => value))).toEqual([["a", "b"], ["z"]]);
    // @ts-expect-error: who reads it as a table would find a key's changes in several.
    expect(() => app.table("other").to("elsewhere", { partitions: 2, by: { kind: "round-robin" } })).toThrow();
  });
});
