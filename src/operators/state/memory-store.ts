/** Rows in memory: what state is in unless it is larger. */
import { assert } from "../../lib/assert.ts";
import { RowPage } from "./row-page.ts";
import { SortedMap } from "./sorted-map.ts";
import type { StateStore } from "./state-store.ts";

export class MemoryStore extends SortedMap<Uint8Array, RowPage> implements StateStore {
  constructor() {
    super(new RowPage());
  }

  /** What its pages take of memory. */
  get capacity(): number {
    return this.pages.reduce((sum, { capacity }) => sum + capacity, 0);
  }

  /** Of a key behind all others: for many that come sorted, this costs no search. */
  append(key: Uint8Array, value: Uint8Array): void {
    const last = this.pages.at(-1) as RowPage;
    assert(last.size === 0 || last.compare(last.size - 1, key) < 0, "what is appended stands behind the rest");
    // Pages of one load are much alike.
    if (last.filled) this.pages.push(new RowPage(last.capacity));
    const page = this.pages.at(-1) as RowPage;
    this.insert(page, page.size, key, value);
  }
}
