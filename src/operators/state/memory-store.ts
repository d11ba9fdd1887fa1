/**
 * Rows in memory: leaves of sorted keys, and the list of leaves, sorted too. A search halves twice; a change moves a part of
 * one leaf; the list of leaves changes only where one is cut or goes empty. Two levels are enough for what fits in memory.
 */
import { compareBytes } from "../../lib/bytes.ts";
import type { Row } from "../../record/row.ts";
import type { StateStore } from "./state-store.ts";

/** Rows of a leaf; a full one is cut in half. */
const LEAF_ROWS_MAX = 128;

type Leaf = { readonly keys: Uint8Array[]; readonly values: Uint8Array[] };

export class MemoryStore implements StateStore {
  /** Never empty; a leaf is, only if it is the only one. */
  readonly #leaves: Leaf[] = [{ keys: [], values: [] }];
  #rows = 0;
  /** Changes when rows come and go: a range then looks for its place again. */
  #shape = 0;

  /** How many rows there are. */
  get rows(): number {
    return this.#rows;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const leaf = this.#leaves[this.#leafOf(key)] as Leaf;
    const place = placeIn(leaf, key);
    return holds(leaf, place, key) ? leaf.values[place] : undefined;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    const at = this.#leafOf(key);
    const leaf = this.#leaves[at] as Leaf;
    const place = placeIn(leaf, key);
    if (holds(leaf, place, key)) {
      leaf.values[place] = value;
      return;
    }
    leaf.keys.splice(place, 0, key);
    leaf.values.splice(place, 0, value);
    this.#rows += 1;
    this.#shape += 1;
    if (leaf.keys.length <= LEAF_ROWS_MAX) return;
    const middle = leaf.keys.length >>> 1;
    this.#leaves.splice(at + 1, 0, { keys: leaf.keys.splice(middle), values: leaf.values.splice(middle) });
  }

  delete(key: Uint8Array): void {
    const at = this.#leafOf(key);
    const leaf = this.#leaves[at] as Leaf;
    const place = placeIn(leaf, key);
    if (!holds(leaf, place, key)) return;
    leaf.keys.splice(place, 1);
    leaf.values.splice(place, 1);
    this.#rows -= 1;
    this.#shape += 1;
    if (leaf.keys.length === 0 && this.#leaves.length > 1) this.#leaves.splice(at, 1);
  }

  *range(from: Uint8Array, to: Uint8Array): Iterable<Row> {
    let shape = this.#shape;
    let at = this.#leafOf(from);
    let place = placeIn(this.#leaves[at] as Leaf, from);
    for (;;) {
      let leaf = this.#leaves[at] as Leaf;
      if (place >= leaf.keys.length) {
        at += 1;
        place = 0;
        if (at >= this.#leaves.length) return;
        leaf = this.#leaves[at] as Leaf;
      }
      const key = leaf.keys[place] as Uint8Array;
      if (compareBytes(key, to) >= 0) return;
      yield [key, leaf.values[place] as Uint8Array];
      if (shape === this.#shape) place += 1;
      else {
        shape = this.#shape;
        at = this.#leafOf(key);
        leaf = this.#leaves[at] as Leaf;
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
      const first = (this.#leaves[middle] as Leaf).keys[0] as Uint8Array;
      if (compareBytes(first, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Of the first key in the leaf that is not before `key`. */
function placeIn({ keys }: Leaf, key: Uint8Array): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(keys[middle] as Uint8Array, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function holds({ keys }: Leaf, place: number, key: Uint8Array): boolean {
  const found = keys[place];
  return found !== undefined && compareBytes(found, key) === 0;
}
