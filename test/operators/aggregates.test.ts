/** Aggregates against the plain computation, by record and merged. */
import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import { TopologyDriver } from "../../client/testing/topology-driver.ts";
import type { SomeAggregate } from "../../src/operators/aggregates/aggregate.ts";
import { avg } from "../../src/operators/aggregates/avg.ts";
import { combine } from "../../src/operators/aggregates/combine.ts";
import { count } from "../../src/operators/aggregates/count.ts";
import { distinct } from "../../src/operators/aggregates/distinct.ts";
import { fold, reduced } from "../../src/operators/aggregates/fold.ts";
import { max, min } from "../../src/operators/aggregates/min-max.ts";
import { sum, sumBigint } from "../../src/operators/aggregates/sum.ts";
import { topN } from "../../src/operators/aggregates/top-n.ts";
import type { Table } from "../../src/operators/build/table.ts";
import { topology } from "../../src/operators/build/topology.ts";
import { decodeValue, encodeValue } from "../../src/operators/encoding/value-codec.ts";
import { OPERATOR_LIMITS } from "../../src/operators/limits.ts";
import { session } from "../../src/operators/windows/window.ts";

type Reading = { readonly at: number; readonly of: string };
const reading = fc.record({ at: fc.integer({ min: -50, max: 50 }), of: fc.constantFrom("x", "y", "z", "ß") });
const readings = fc.array(reading, { minLength: 1, maxLength: 20 });

/** Through the codec at every step, as state goes. */
function kept<A>(value: A): A {
  const decoded = decodeValue(encodeValue(value));
  if (!decoded.ok) throw new Error("state does not come back");
  return decoded.value as A;
}

function over({ start, add }: SomeAggregate<Reading, unknown>, values: readonly Reading[]): never {
  return values.reduce((sofar, value) => kept(add(sofar as never, value)), kept(start())) as never;
}

const byNumber = (a: number, b: number) => a - b;

const CASES: readonly [SomeAggregate<Reading, unknown>, (values: readonly Reading[]) => unknown][] = [
  [count(), (values) => values.length],
  [sum<Reading>(({ at }) => at), (values) => values.reduce((total, { at }) => total + at, 0)],
  [sumBigint<Reading>(({ at }) => BigInt(at)), (values) => BigInt(values.reduce((total, { at }) => total + at, 0))],
  [min<Reading, number>(({ at }) => at), (values) => Math.min(...values.map(({ at }) => at))],
  [
    max<Reading, string>(({ of }) => of),
    (values) =>
      values
        .map(({ of }) => of)
        .toSorted()
        .at(-1),
  ],
  [avg<Reading>(({ at }) => at), (values) => values.reduce((total, { at }) => total + at, 0) / values.length],
  [
    topN<Reading>(3, ({ at }) => at),
    (values) => values.toSorted((a, b) => b.at - a.at || (a.of === b.of ? 0 : a.of < b.of ? -1 : 1)).slice(0, 3),
  ],
  [distinct<Reading, string>(({ of }) => of), (values) => [...new Set(values.map(({ of }) => of))].sort()],
  [
    fold<Reading, number[], number>({
      start: () => [],
      add: (all, { at }) => [...all, at].sort(byNumber),
      merge: (a, b) => [...a, ...b].sort(byNumber),
      result: (all) => all.length,
    }),
    (values) => values.length,
  ],
  [
    reduced<Reading>((a, b) => ({ at: a.at + b.at, of: b.of })),
    (values) => ({ at: values.reduce((total, { at }) => total + at, 0), of: values.at(-1)?.of }),
  ],
  [
    combine({
      n: count(),
      top: max(({ at }: Reading) => at),
    }),
    (values) => ({ n: values.length, top: Math.max(...values.map(({ at }) => at)) }),
  ],
];

describe("aggregates", () => {
  it.each(CASES.map(([aggregate, plain]) => [aggregate.name, aggregate, plain] as const))(
    "%s",
    (_name, aggregate, plain) => {
      fc.assert(
        fc.property(readings, (values) => {
          expect(aggregate.result(over(aggregate, values))).toEqual(plain(values));
        }),
      );
    },
  );

  it.each(CASES.map(([aggregate, plain]) => [aggregate.name, aggregate, plain] as const))(
    "%s, merged of two parts",
    (_name, aggregate, plain) => {
      fc.assert(
        fc.property(readings, readings, (first, second) => {
          const merged = aggregate.merge?.(over(aggregate, first), over(aggregate, second)) as never;
          expect(aggregate.result(kept(merged))).toEqual(plain([...first, ...second]));
        }),
      );
    },
  );

  it("infer their types from the stream", () => {
    const app = topology("types");
    const stream = app.stream("in", { format: "text" });
    const table = stream.groupByKey().aggregate(combine({ n: count(), longest: max((value: string) => value.length) }));
    expectTypeOf(table).toEqualTypeOf<Table<string | null, { readonly n: number; readonly longest: number }>>();
  });

  it("keep a result for each key, which joins and users may look at", () => {
    const app = topology("counts");
    app
      .stream("in")
      .groupBy((value) => value as string)
      .count()
      .filter((n) => n % 2 === 1)
      .map((n) => n * 10)
      .to("out");
    const driver = new TopologyDriver(app);
    for (const word of ["a", "b", "a", "a"]) driver.write("in", word);
    expect(driver.read("out").map(({ key, value }) => [key, value])).toEqual([
      ["a", 10],
      ["b", 10],
      ["a", null],
      ["a", 30],
    ]);
  });

  it.each([null, undefined])("have nothing of a key whose result is %s", (nothing) => {
    const app = topology("large");
    const sum = fold({
      start: () => 0,
      add: (sum: number, value: unknown) => sum + (value as number),
      result: (sum) => (sum > 1 ? sum : nothing),
    });
    app.stream("in").groupByKey().aggregate(sum).to("out");
    const driver = new TopologyDriver(app);
    for (const value of [1, 1, -1, -1]) driver.write("in", value, { key: "k" });
    expect(driver.read("out").map(({ value }) => value)).toEqual([2, null]);
  });

  it("are bounded, and must be able to join where sessions do", () => {
    const app = topology("bounded");
    const grouped = app
      .stream("in")
      .flatMap((n) => Array.from({ length: n as number }, (_, place) => place))
      .groupByKey();
    grouped.aggregate(distinct((n: number) => n)).to("out");
    const driver = new TopologyDriver(app);
    driver.write("in", 5);
    expect(driver.read("out").at(-1)?.value).toEqual([0, 1, 2, 3, 4]);
    expect(OPERATOR_LIMITS.distinctMax).toBeGreaterThan(5);
    const all = distinct((n: number) => n);
    const full = Array.from({ length: OPERATOR_LIMITS.distinctMax }, (_, n) => n);
    expect(() => all.add(full, -1)).toThrow("group by it instead");
    const unmergeable = fold<number, number, number>({ start: () => 0, add: (a, b) => a + b, result: (a) => a });
    expect(() => grouped.window(session({ gapMs: 5 })).aggregate(unmergeable)).toThrow("`merge`");
  });
});
