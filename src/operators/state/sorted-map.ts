/**
 * Values by key, in the order of their keys: leaves of sorted keys, and the list of leaves, sorted too. A search halves twice; a
 * change moves a part of one leaf; the list of leaves changes only where one is cut or goes empty. Two levels are enough for
 * what fits in memory.
 */
import { compareBytes } from "../../lib/bytes.ts";
import { firstNotBefore } from "../../lib/sorted.ts";

/** Keys of a leaf; a full one is cut in half. */
const LEAF_KEYS_MAX = 128;

type Leaf<V> = { readonly keys: Uint8Array[]; readonly values: V[] };

export class SortedMap<V> {
  /** Never empty; a leaf is, only if it is the only one. */
  readonly #leaves: Leaf<V>[] = [{ keys: [], values: [] }];
  #size = 0;
  /** Changes when keys come and go: a range then looks for its place again. */
  #shape = 0;

  get size(): number {
    return this.#size;
  }

  get(key: Uint8Array): V | undefined {
    const leaf = this.#leaves[this.#leafOf(key)] as Leaf<V>;
    const place = placeIn(leaf, key);
    return holds(leaf, place, key) ? leaf.values[place] : undefined;
  }

  put(key: Uint8Array, value: V): void {
    const at = this.#leafOf(key);
    const leaf = this.#leaves[at] as Leaf<V>;
    const place = placeIn(leaf, key);
    if (holds(leaf, place, key)) {
      leaf.values[place] = value;
      return;
    }
    leaf.keys.splice(place, 0, key);
    leaf.values.splice(place, 0, value);
    this.#size += 1;
    this.#shape += 1;
    if (leaf.keys.length <= LEAF_KEYS_MAX) return;
    const middle = leaf.keys.length >>> 1;
    this.#leaves.splice(at + 1, 0, { keys: leaf.keys.splice(middle), values: leaf.values.splice(middle) });
  }

  delete(key: Uint8Array): void {
    const at = this.#leafOf(key);
    const leaf = this.#leaves[at] as Leaf<V>;
    const place = placeIn(leaf, key);
    if (!holds(leaf, place, key)) return;
    leaf.keys.splice(place, 1);
    leaf.values.splice(place, 1);
    this.#size -= 1;
    this.#shape += 1;
    if (leaf.keys.length === 0 && this.#leaves.length > 1) this.#leaves.splice(at, 1);
  }

  /** `from <= key < to`, in key order; each step goes to the next key that is there then. */
  *range(from: Uint8Array, to: Uint8Array): Iterable<readonly [Uint8Array, V]> {
    let shape = this.#shape;
    let at = this.#leafOf(from);
    let place = placeIn(this.#leaves[at] as Leaf<V>, from);
    for (;;) {
      let leaf = this.#leaves[at] as Leaf<V>;
      if (place >= leaf.keys.length) {
        at += 1;
        place = 0;
        if (at >= this.#leaves.length) return;
        leaf = this.#leaves[at] as Leaf<V>;
      }
      const key = leaf.keys[place] as Uint8Array;
      if (compareBytes(key, to) >= 0) return;
      yield [key, leaf.values[place] as V];
      if (shape === this.#shape) place += 1;
      else {
        shape = this.#shape;
        at = this.#leafOf(key);
        leaf = this.#leaves[at] as Leaf<V>;
        place = placeIn(leaf, key);
        if (holds(leaf, place, key)) place += 1;
      }
    }
  }

  /** The last leaf that begins at or before the key; the first if none does. */
  #leafOf(key: Uint8Array): number {
    let low = 0;
    let high = this.#leaves.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const first = (this.#leaves[middle] as Leaf<V>).keys[0] as Uint8Array;
      if (compareBytes(first, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Of the first key in the leaf that is not before `key`. */
function placeIn({ keys }: Leaf<unknown>, key: Uint8Array): number {
  return firstNotBefore(keys, (other) => compareBytes(other, key) < 0);
}

function holds({ keys }: Leaf<unknown>, place: number, key: Uint8Array): boolean {
  const found = keys[place];
  return found !== undefined && compareBytes(found, key) === 0;
}
