/** Types from the schema to the output, as users see them: what is inferred, and what does not compile. */
import * as v from "valibot";
import { describe, expectTypeOf, it } from "vitest";
import {
  avg,
  combine,
  count,
  distinct,
  fold,
  max,
  session,
  type Stream,
  sum,
  sumBigint,
  type Table,
  topN,
  topology,
  tumbling,
  valueState,
  type WindowResult,
} from "../../src/operators/index.ts";

const order = v.object({ customer: v.string(), amount: v.number(), kind: v.picklist(["book", "toy"]) });
type Order = v.InferOutput<typeof order>;
type Book = Order & { readonly kind: "book" };
const customer = v.object({ name: v.string() });

describe("types", () => {
  const app = topology("types");
  const orders = app.stream("orders", { schema: order });
  const byCustomer = orders.keyBy((one) => one.customer);
  const customers = app.table("customers", { schema: customer });

  it("come from the schema, or from the format", () => {
    expectTypeOf(orders).toEqualTypeOf<Stream<string | null, Order>>();
    expectTypeOf(customers).toEqualTypeOf<Table<string | null, { name: string }>>();
    expectTypeOf(topology("t").stream("s")).toEqualTypeOf<Stream<string | null, unknown>>();
    expectTypeOf(topology("t").stream("s", { format: "text" })).toEqualTypeOf<Stream<string | null, string>>();
    expectTypeOf(
      topology("t").stream("s", { schema: order, key: ({ kind, amount }) => [kind, amount] as const }),
    ).toEqualTypeOf<Stream<readonly ["book" | "toy", number], Order>>();
    topology("t").stream("s", {
      schema: order,
      // @ts-expect-error what the schema does not have
      timestamp: ({ time }) => Number(time),
    });
  });

  it("go through verbs", () => {
    expectTypeOf(orders.map(({ amount }) => ({ amount }))).toEqualTypeOf<Stream<string | null, { amount: number }>>();
    expectTypeOf(orders.flatMap(({ kind }) => kind.split(""))).toEqualTypeOf<Stream<string | null, string>>();
    const isBook = (one: Order): one is Book => one.kind === "book";
    expectTypeOf(orders.filter(isBook)).toEqualTypeOf<Stream<string | null, Book>>();
    const [books, others] = orders.branch([isBook, () => true]);
    expectTypeOf(books).toEqualTypeOf<Stream<string | null, Book>>();
    expectTypeOf(others).toEqualTypeOf<Stream<string | null, Order>>();
    expectTypeOf(byCustomer.merge(orders.keyBy((): number => 5).map(() => "x"))).toEqualTypeOf<
      Stream<string | number, Order | string>
    >();
    expectTypeOf(orders.toTable()).toEqualTypeOf<Table<string | null, Order>>();
    expectTypeOf(orders.map(() => null as 5 | null).toTable()).toEqualTypeOf<Table<string | null, 5>>();
  });

  it("go through aggregates and windows", () => {
    const byKind = orders.groupBy(({ kind }) => kind);
    expectTypeOf(byKind.count()).toEqualTypeOf<Table<"book" | "toy", number>>();
    expectTypeOf(byKind.reduce((a, b) => (a.amount > b.amount ? a : b))).toEqualTypeOf<Table<"book" | "toy", Order>>();
    const many = combine({
      orders: count(),
      mean: avg((one: Order) => one.amount),
      total: sum((one: Order) => one.amount),
      exact: sumBigint((one: Order) => BigInt(one.amount)),
      last: max((one: Order) => one.customer),
      dearest: topN(3, (one: Order) => one.amount),
      kinds: distinct((one: Order) => one.kind),
      text: fold({ start: () => "", add: (sofar, one: Order) => sofar + one.kind, result: (sofar) => sofar.length }),
    });
    type Many = {
      readonly orders: number;
      readonly mean: number;
      readonly total: number;
      readonly exact: bigint;
      readonly last: string;
      readonly dearest: readonly Order[];
      readonly kinds: readonly ("book" | "toy")[];
      readonly text: number;
    };
    expectTypeOf(byKind.aggregate(many)).toEqualTypeOf<Table<"book" | "toy", Many>>();
    expectTypeOf(byKind.window(tumbling({ sizeMs: 5 })).aggregate(many)).toEqualTypeOf<
      Stream<"book" | "toy", WindowResult<Many>>
    >();
    // The value's type comes from where it is used.
    expectTypeOf(
      byKind.window(session({ gapMs: 5 })).aggregate(combine({ mean: avg((one) => one.amount) })),
    ).toEqualTypeOf<Stream<"book" | "toy", WindowResult<{ readonly mean: number }>>>();
    // @ts-expect-error an aggregate of something else
    byKind.aggregate(avg((one: { readonly weight: number }) => one.weight));
  });

  it("go through joins, whose keys may be equal", () => {
    expectTypeOf(byCustomer.join(customers, ({ amount }, { name }) => ({ amount, name }))).toEqualTypeOf<
      Stream<string, { amount: number; name: string }>
    >();
    expectTypeOf(byCustomer.leftJoin(customers, (_, found) => found)).toEqualTypeOf<
      Stream<string, { name: string } | null>
    >();
    const pairs = orders.outerJoin(byCustomer, (a, b) => [a, b] as const, { withinMs: 5 });
    expectTypeOf(pairs).toEqualTypeOf<Stream<string | null, readonly [Order | null, Order | null]>>();
    const totals = byCustomer.groupByKey().aggregate(sum(({ amount }) => amount));
    expectTypeOf(totals.join(customers, (total, { name }) => `${name} ${total}`)).toEqualTypeOf<
      Table<string, string>
    >();
    expectTypeOf(totals.outerJoin(customers, (total, found) => ({ total, found }))).toEqualTypeOf<
      Table<string | null, { total: number | null; found: { name: string } | null }>
    >();
    expectTypeOf(customers.leftJoin(totals, (_, total) => total)).toEqualTypeOf<Table<string | null, number>>();
    // @ts-expect-error a number is no text
    orders.keyBy(({ amount }) => amount).join(customers, () => 1);
    // @ts-expect-error two streams meet in time
    byCustomer.join(orders, () => 1);
  });

  it("go through processes with state and timers", () => {
    const counted = byCustomer.process({
      state: { orders: valueState<number>() },
      *onRecord({ amount }, { key, state, timers, time }) {
        const before = state.orders.get() ?? 0;
        expectTypeOf(before).toEqualTypeOf<number>();
        expectTypeOf(key).toEqualTypeOf<string>();
        state.orders.set(before + amount);
        timers.event(time + 1_000);
        yield { key, amount };
      },
      onTimer: () => [null],
    });
    expectTypeOf(counted).toEqualTypeOf<Stream<string, { key: string; amount: number } | null>>();
    expectTypeOf(byCustomer.process({ onRecord: ({ kind }) => [kind] })).toEqualTypeOf<
      Stream<string, "book" | "toy">
    >();
    expectTypeOf(byCustomer.process({ onRecord: () => undefined })).toEqualTypeOf<Stream<string, unknown>>();
  });
});
