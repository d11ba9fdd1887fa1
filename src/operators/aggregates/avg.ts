/** The mean of numbers. */
import type { Aggregate } from "./aggregate.ts";

type Mean = { readonly sum: number; readonly count: number };

export function avg<V>(of: (value: V) => number): Aggregate<V, Mean, number> {
  return {
    name: "avg",
    start: () => ({ sum: 0, count: 0 }),
    add: ({ sum, count }, value) => ({ sum: sum + of(value), count: count + 1 }),
    merge: (a, b) => ({ sum: a.sum + b.sum, count: a.count + b.count }),
    result: ({ sum, count }) => sum / count,
  };
}
