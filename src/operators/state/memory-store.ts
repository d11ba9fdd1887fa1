/**
 * Rows in memory: what state is in unless it is larger. Pages of sorted rows, and the list of pages, sorted too. A search halves twice; a
 * change is written to one page; the list of pages changes only where one is cut or goes empty. Two levels are enough for what
 * fits in memory.
 */
import { assert } from "../../lib/assert.ts";
import { compareBytes } from "../../lib/bytes.ts";
import type { Row } from "../../record/row.ts";
import { RowPage } from "./row-page.ts";
import type { StateStore } from "./state-store.ts";

export class MemoryStore implements StateStore {
  /** Never empty; a page is, only if it is the only one. */
  readonly #pages: RowPage[] = [new RowPage()];
  #size = 0;
  /** Changes when keys come and go: a range then looks for its place again. */
  #shape = 0;

  get size(): number {
    return this.#size;
  }

  /** What its pages take of memory. */
  get capacity(): number {
    return this.#pages.reduce((sum, { capacity }) => sum + capacity, 0);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const page = this.#pages[this.#pageOf(key)] as RowPage;
    const place = page.placeOf(key);
    return page.has(place, key) ? page.value(place) : undefined;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    const at = this.#pageOf(key);
    const page = this.#pages[at] as RowPage;
    const place = page.placeOf(key);
    if (page.has(place, key)) page.replace(place, key, value);
    else {
      page.insert(place, key, value);
      this.#size += 1;
      this.#shape += 1;
    }
    if (!page.tooLarge) return;
    this.#shape += 1;
    this.#pages.splice(at + 1, 0, page.cut());
  }

  /** Of a key behind all others: for many that come sorted, this costs no search. */
  append(key: Uint8Array, value: Uint8Array): void {
    const last = this.#pages.at(-1) as RowPage;
    assert(last.size === 0 || last.compare(last.size - 1, key) < 0, "what is appended stands behind the rest");
    // Pages of one load are much alike.
    if (last.filled) this.#pages.push(new RowPage(last.capacity));
    const page = this.#pages.at(-1) as RowPage;
    page.insert(page.size, key, value);
    this.#size += 1;
    this.#shape += 1;
  }

  delete(key: Uint8Array): void {
    const at = this.#pageOf(key);
    const page = this.#pages[at] as RowPage;
    const place = page.placeOf(key);
    if (!page.has(place, key)) return;
    page.remove(place);
    this.#size -= 1;
    this.#shape += 1;
    if (page.size === 0 && this.#pages.length > 1) this.#pages.splice(at, 1);
  }

  *range(from: Uint8Array, to: Uint8Array): Iterable<Row> {
    let shape = this.#shape;
    let at = this.#pageOf(from);
    let place = (this.#pages[at] as RowPage).placeOf(from);
    for (;;) {
      let page = this.#pages[at] as RowPage;
      if (place >= page.size) {
        at += 1;
        place = 0;
        if (at >= this.#pages.length) return;
        page = this.#pages[at] as RowPage;
      }
      const key = page.key(place);
      if (compareBytes(key, to) >= 0) return;
      yield [key, page.value(place)];
      if (shape === this.#shape) place += 1;
      else {
        shape = this.#shape;
        at = this.#pageOf(key);
        page = this.#pages[at] as RowPage;
        place = page.placeOf(key);
        if (page.has(place, key)) place += 1;
      }
    }
  }

  /** The last page that begins at or before the key; the first if none does. */
  #pageOf(key: Uint8Array): number {
    let low = 0;
    let high = this.#pages.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#pages[middle] as RowPage).compare(0, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
