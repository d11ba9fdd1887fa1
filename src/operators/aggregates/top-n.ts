/** The n values that are greatest by something, greatest first; of equals the one that sorts first by its encoding. */
import { compareBytes } from "../../lib/bytes.ts";
import { checkCount } from "../build/settings.ts";
import type { Key } from "../encoding/key-codec.ts";
import { encodeValue } from "../encoding/value-codec.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import type { Aggregate } from "./aggregate.ts";
import { compareKeys } from "./min-max.ts";

type Ranked<V> = { readonly by: Key; readonly value: V };

/** `n` is 1 to `topMax`; throws `TopologyError` for another. */
export function topN<V>(n: number, by: (value: V) => Key): Aggregate<V, readonly Ranked<V>[], readonly V[]> {
  const most = checkCount("the number of topN", n, OPERATOR_LIMITS.topMax);
  const best = (ranked: readonly Ranked<V>[]): readonly Ranked<V>[] => ranked.toSorted(compareRanked).slice(0, most);
  return {
    name: `top ${most}`,
    start: () => [],
    add: (ranked, value) => best([...ranked, { by: by(value), value }]),
    merge: (a, b) => best([...a, ...b]),
    result: (ranked) => ranked.map(({ value }) => value),
  };
}

function compareRanked<V>(a: Ranked<V>, b: Ranked<V>): number {
  return compareKeys(b.by, a.by) || compareBytes(encodeValue(a.value), encodeValue(b.value));
}
