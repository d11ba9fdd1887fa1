/** Sorted entries that are objects of their own: for values of any kind, and few of them. */
import { compareBytes } from "../../lib/bytes.ts";
import { firstNotBefore } from "../../lib/sorted.ts";
import type { SortedPage } from "./sorted-map.ts";

/** A page with more is cut in half. */
const ENTRIES_MAX = 128;

export class EntryPage<V> implements SortedPage<V> {
  readonly #keys: Uint8Array[];
  readonly #values: V[];

  constructor(keys: Uint8Array[] = [], values: V[] = []) {
    this.#keys = keys;
    this.#values = values;
  }

  get size(): number {
    return this.#keys.length;
  }

  get tooLarge(): boolean {
    return this.size > ENTRIES_MAX;
  }

  key(place: number): Uint8Array {
    return this.#keys[place] as Uint8Array;
  }

  value(place: number): V {
    return this.#values[place] as V;
  }

  placeOf(key: Uint8Array): number {
    return firstNotBefore(this.#keys, (other) => compareBytes(other, key) < 0);
  }

  compare(place: number, key: Uint8Array): number {
    return compareBytes(this.key(place), key);
  }

  insert(place: number, key: Uint8Array, value: V): void {
    this.#keys.splice(place, 0, key);
    this.#values.splice(place, 0, value);
  }

  replace(place: number, _key: Uint8Array, value: V): void {
    this.#values[place] = value;
  }

  remove(place: number): void {
    this.#keys.splice(place, 1);
    this.#values.splice(place, 1);
  }

  cut(): EntryPage<V> {
    const middle = this.size >>> 1;
    return new EntryPage(this.#keys.splice(middle), this.#values.splice(middle));
  }
}
