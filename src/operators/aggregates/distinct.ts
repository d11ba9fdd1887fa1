/** What there is, each once, in the order of keys. */
import type { Key } from "../encoding/key-codec.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import type { Aggregate } from "./aggregate.ts";
import { compareKeys } from "./min-max.ts";

/** More than `distinctMax` are an error: every record reads and writes all of them. */
export function distinct<V, T extends Key>(of: (value: V) => T): Aggregate<V, readonly T[], readonly T[]> {
  const union = (a: readonly T[], b: readonly T[]): readonly T[] => {
    const all = [...a, ...b]
      .sort(compareKeys)
      .filter((key, place, keys) => place === 0 || compareKeys(keys[place - 1] as T, key) !== 0);
    if (all.length <= OPERATOR_LIMITS.distinctMax) return all;
    throw new RangeError(`more than ${OPERATOR_LIMITS.distinctMax} distinct; group by it instead, and count`);
  };
  return {
    name: "distinct",
    start: () => [],
    add: (all, value) => union(all, [of(value)]),
    merge: union,
    result: (all) => all,
  };
}
