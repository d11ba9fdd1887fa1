/** What of a topology its tasks' state depends on, so that another version of it is refused where it is not the same (W215). */
import { describe, expect, it } from "vitest";
import { type Partitioner, sum, topology, type Topology, tumbling, valueState } from "../../src/operators/index.ts";
import { shapeOf } from "../../src/runtime/app-shape.ts";
import { RUNTIME_LIMITS } from "../../src/runtime/limits.ts";
import { shapeDifference } from "../../src/wire/app-shape.ts";

type Options = {
  readonly version?: number;
  readonly sizeMs?: number;
  readonly partitions?: number;
  readonly outOfOrderMs?: number;
  readonly trim?: boolean;
  readonly by?: Partitioner;
  readonly ttlMs?: number;
  readonly states?: readonly string[];
  readonly of?: (value: unknown) => number;
  readonly out?: string;
  readonly first?: boolean;
  readonly filtered?: boolean;
};

/** Two stages, with one of what there is in many. */
function app(options: Options): Topology {
  const { version = 1, sizeMs = 10, partitions = 2, outOfOrderMs = 5, trim = false, by = { kind: "hash" } } = options;
  const { ttlMs = 7, states = ["seen"], of = Number, out = "out", first = false, filtered = false } = options;
  const made = topology("a", { version });
  const read = made.stream("in", { outOfOrderMs, trim });
  if (first) read.to("copies");
  const processed = (filtered ? read.filter(() => true) : read)
    .keyBy(String)
    .repartition({ partitions, by })
    .process({
      state: Object.fromEntries(states.map((state) => [state, valueState({ ttlMs })])),
      onRecord: (value) => [value],
    });
  processed.groupByKey().window(tumbling({ sizeMs })).aggregate(sum(of)).to(out);
  if (!first) read.to("copies");
  return made;
}

const shape = (options: Options = {}) => shapeOf(app(options).build());

describe("the shape of a topology", () => {
  it("has bounds of keys as they are encoded, whatever people are shown", () => {
    const app = topology("ranges");
    const by = { kind: "range", bounds: ["m", ["n", 1n]] } as const;
    app.stream("in").keyBy(String).repartition({ partitions: 3, by }).to("out", { partitions: 3, by });
    const shown = 'range "m" ["n",1n], 3 partitions';
    expect(app.describe()).toContain(`repartition (${shown}) <- key-by-1`);
    expect(app.describe("mermaid")).toContain(shown.replaceAll('"', "#quot;"));
    const texts = shapeOf(app.build()).map(({ text }) => text);
    expect(texts).toContain("repartition (range 406d00 60406e003080010100, 3 partitions) <- key-by-1");
  });

  it.each<[string, Options]>([
    ["its version", { version: 2 }],
    ["what callbacks do", { of: () => 1 }],
    ["whether input is trimmed", { trim: true }],
  ])("is the same whatever %s", (_, options) => {
    expect(shapeDifference(shape(), shape(options))).toBeUndefined();
  });

  it.each<[string, Options, RegExp]>([
    [
      "a window",
      { sizeMs: 11 },
      /^"tumbling-window-1" in stage 1 was "[^"]*sizeMs 10\b[^"]*" and is "[^"]*sizeMs 11\b/,
    ],
    ["how many tasks", { partitions: 3 }, /^"repartition-1" in stage 0 was "[^"]*2 partitions\b.* and is "[^"]*3 part/],
    ["event time", { outOfOrderMs: 6 }, /^"stream-1" in stage 0 was .*outOfOrderMs 5\b.*outOfOrderMs 6\b/],
    ["where keys go", { by: { kind: "range", bounds: ["m"] } }, /"repartition-1" in stage 0 was .*hash.*range/],
    ["a bound of keys", { by: { kind: "range", bounds: ["n"] } }, /"repartition-1" in stage 0/],
    ["how long state stays", { ttlMs: 8 }, /^"process-1" in stage 1 was "process \(seen: value for 7 ms\).*for 8 ms/],
    ["a state more", { states: ["seen", "met"] }, /met: value for 7 ms, seen: value/],
    ["where it writes", { out: "others" }, /"to-1" in stage 1 was "to \(out\)/],
    [
      "an operator more",
      { filtered: true },
      /"key-by-1" in stage 0 was "key-by <- stream-1" and is "key-by <- filter-1"/,
    ],
    ["their order", { first: true }, /in stage 0/],
  ])("tells %s", (what, options, expected) => {
    expect(shapeDifference(shape(), shape(options)), what).toMatch(expected);
  });

  it("names what is new, what is gone, and what stands elsewhere", () => {
    const parts = ["a", "b", "c"].map((name) => ({ stage: 0, name, text: name.toUpperCase() }));
    const [a, b, c] = parts as [(typeof parts)[0], (typeof parts)[0], (typeof parts)[0]];
    expect(shapeDifference(parts, parts)).toBeUndefined();
    expect(shapeDifference([a, b], parts)).toBe('"c" in stage 0 (C) is new');
    expect(shapeDifference(parts, [a, c])).toBe('"b" in stage 0 (B) is gone');
    expect(shapeDifference(parts, [a, c, b])).toBe('"c" in stage 0 (C) stands before "b" in stage 0');
    const elsewhere = parts.map((part) => ({ ...part, stage: 1 }));
    expect(shapeDifference([...parts, ...elsewhere], elsewhere, 1)).toBeUndefined();
    expect(shapeDifference(parts, elsewhere, 0)).toBe('"a" in stage 0 (A) is gone');
  });

  it("cuts long texts, and still tells them apart", () => {
    const states = Array.from({ length: 60 }, (_, place) => `state-${place}`);
    const [one, other] = [shape({ states }), shape({ states: [...states, "zzz"] })];
    expect(Math.max(...one.map(({ text }) => text.length))).toBeLessThan(RUNTIME_LIMITS.shapeTextLengthMax + 20);
    expect(shapeDifference(one, other)).toMatch(/^"process-1"/);
  });
});
