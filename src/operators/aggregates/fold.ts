/** A user's own aggregate, and `reduce`, whose state is a value like those it takes. */
import type { Aggregate } from "./aggregate.ts";

export type Fold<V, A, R> = {
  readonly start: () => A;
  readonly add: (sofar: A, value: V) => A;
  readonly merge?: (a: A, b: A) => A;
  readonly result: (sofar: A) => R;
};

export function fold<V, A, R>(functions: Fold<V, A, R>): Aggregate<V, A, R> {
  return { name: "fold", ...functions };
}

/** Nothing yet, or the value so far. */
type Reduced<V> = readonly [] | readonly [V];

/** `reducer` must not care how its arguments are grouped: session windows put together what they have of each part. */
export function reduced<V>(reducer: (a: V, b: V) => V): Aggregate<V, Reduced<V>, V> {
  const merge = (a: Reduced<V>, b: Reduced<V>): Reduced<V> => {
    if (a.length === 0) return b;
    return b.length === 0 ? a : [reducer(a[0], b[0])];
  };
  return {
    name: "reduce",
    start: () => [],
    add: (sofar, value) => merge(sofar, [value]),
    merge,
    result: ([value]) => value as V,
  };
}
