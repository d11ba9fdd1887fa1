/** The least or the greatest of what each record has, in the order of keys: numbers by value, texts by code point. */
import { compareBytes } from "../../lib/bytes.ts";
import { encodeKey, type Key } from "../encoding/key-codec.ts";
import type { Aggregate } from "./aggregate.ts";

/** In a list, so that nothing yet is another thing than null. */
type Best<T> = readonly [] | readonly [T];

export function min<V, T extends Key>(of: (value: V) => T): Aggregate<V, Best<T>, T> {
  return best("min", of, (a, b) => compareKeys(a, b) <= 0);
}

export function max<V, T extends Key>(of: (value: V) => T): Aggregate<V, Best<T>, T> {
  return best("max", of, (a, b) => compareKeys(a, b) >= 0);
}

function best<V, T extends Key>(
  name: string,
  of: (value: V) => T,
  keeps: (a: T, b: T) => boolean,
): Aggregate<V, Best<T>, T> {
  const better = (a: Best<T>, b: Best<T>): Best<T> => {
    if (a.length === 0) return b;
    return b.length === 0 || keeps(a[0], b[0]) ? a : b;
  };
  return {
    name,
    start: () => [],
    add: (sofar, value) => better(sofar, [of(value)]),
    merge: better,
    // Asked only after a record.
    result: ([value]) => value as T,
  };
}

/** As state sorts them. */
export function compareKeys(a: Key, b: Key): number {
  if (typeof a === "number" && typeof b === "number" && a - b !== 0 && !Number.isNaN(a - b)) return a - b;
  return compareBytes(encodeKey(a), encodeKey(b));
}
