/**
 * Values by key, in the order of their keys: pages of sorted entries, and the list of pages, sorted too. A search halves twice; a
 * change moves a part of one page; the list of pages changes only where one is cut or goes empty. Two levels are enough for
 * what fits in memory. Entries are objects (`EntryPage`), or rows that lie in one piece of memory (`memory-store.ts`).
 */
import { compareBytes } from "../../lib/bytes.ts";
import { EntryPage } from "./entry-page.ts";

export interface SortedPage<V> {
  readonly size: number;
  /** It is to be cut. */
  readonly tooLarge: boolean;
  key(place: number): Uint8Array;
  value(place: number): V;
  /** The place of the first entry whose key is not before this one. */
  placeOf(key: Uint8Array): number;
  /** The key of the entry there with this one, as `compareBytes` does. */
  compare(place: number, key: Uint8Array): number;
  insert(place: number, key: Uint8Array, value: V): void;
  /** The entry there has this key. */
  replace(place: number, key: Uint8Array, value: V): void;
  remove(place: number): void;
  /** Keeps the first half of its entries; the page of the others. */
  cut(): SortedPage<V>;
}

export class SortedMap<V, P extends SortedPage<V> = SortedPage<V>> {
  /** Never empty; a page is, only if it is the only one. */
  protected readonly pages: P[];
  #size = 0;
  /** Changes when keys come and go: a range then looks for its place again. */
  #shape = 0;

  constructor(first: P = new EntryPage<V>() as SortedPage<V> as P) {
    this.pages = [first];
  }

  get size(): number {
    return this.#size;
  }

  get(key: Uint8Array): V | undefined {
    const page = this.pages[this.#pageOf(key)] as P;
    const place = page.placeOf(key);
    return holds(page, place, key) ? page.value(place) : undefined;
  }

  put(key: Uint8Array, value: V): void {
    const at = this.#pageOf(key);
    const page = this.pages[at] as P;
    const place = page.placeOf(key);
    if (holds(page, place, key)) page.replace(place, key, value);
    else this.insert(page, place, key, value);
    if (!page.tooLarge) return;
    this.#shape += 1;
    this.pages.splice(at + 1, 0, page.cut() as P);
  }

  delete(key: Uint8Array): void {
    const at = this.#pageOf(key);
    const page = this.pages[at] as P;
    const place = page.placeOf(key);
    if (!holds(page, place, key)) return;
    page.remove(place);
    this.#size -= 1;
    this.#shape += 1;
    if (page.size === 0 && this.pages.length > 1) this.pages.splice(at, 1);
  }

  /** `from <= key < to`, in key order; each step goes to the next key that is there then. */
  *range(from: Uint8Array, to: Uint8Array): Iterable<readonly [Uint8Array, V]> {
    let shape = this.#shape;
    let at = this.#pageOf(from);
    let place = (this.pages[at] as P).placeOf(from);
    for (;;) {
      let page = this.pages[at] as P;
      if (place >= page.size) {
        at += 1;
        place = 0;
        if (at >= this.pages.length) return;
        page = this.pages[at] as P;
      }
      const key = page.key(place);
      if (compareBytes(key, to) >= 0) return;
      yield [key, page.value(place)];
      if (shape === this.#shape) place += 1;
      else {
        shape = this.#shape;
        at = this.#pageOf(key);
        page = this.pages[at] as P;
        place = page.placeOf(key);
        if (holds(page, place, key)) place += 1;
      }
    }
  }

  /** A key that is not there yet, where it belongs. */
  protected insert(page: P, place: number, key: Uint8Array, value: V): void {
    page.insert(place, key, value);
    this.#size += 1;
    this.#shape += 1;
  }

  /** The last page that begins at or before the key; the first if none does. */
  #pageOf(key: Uint8Array): number {
    let low = 0;
    let high = this.pages.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.pages[middle] as P).compare(0, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function holds(page: SortedPage<unknown>, place: number, key: Uint8Array): boolean {
  return place < page.size && page.compare(place, key) === 0;
}
