/** A sum of numbers or of bigints, in the records' order. */
import type { Aggregate } from "./aggregate.ts";

/** Null before the first. */
type Total<N> = N | null;

export function sum<V>(of: (value: V) => number): Aggregate<V, Total<number>, number> {
  return summed(of, (a, b) => a + b);
}

/** Of any size, and exact. */
export function sumBigint<V>(of: (value: V) => bigint): Aggregate<V, Total<bigint>, bigint> {
  return summed(of, (a, b) => a + b);
}

function summed<V, N>(of: (value: V) => N, plus: (a: N, b: N) => N): Aggregate<V, Total<N>, N> {
  const both = (a: Total<N>, b: Total<N>): Total<N> => {
    if (a === null) return b;
    return b === null ? a : plus(a, b);
  };
  return {
    name: "sum",
    start: () => null,
    add: (total, value) => both(total, of(value)),
    merge: both,
    // Asked only after a record.
    result: (total) => total as N,
  };
}
