/**
 * Rows that stand before other rows: what was put hides what is below, what was deleted hides it too. It is how a store on disk
 * shows what it has not written yet. Below may be anything ordered that stands still while it is walked; the overlay itself
 * may change meanwhile.
 */
import { compareBytes } from "../../lib/bytes.ts";
import type { Row } from "../../record/row.ts";
import { SortedMap } from "./sorted-map.ts";

/** `value` is undefined where the row is hidden. Each `set` makes its own, by which it can be told from the next. */
export type Over = { readonly value: Uint8Array | undefined };

export class Overlay {
  readonly #overs = new SortedMap<Over>();
  #changes = 0;

  /** Of how many keys it says something. */
  get size(): number {
    return this.#overs.size;
  }

  /** Undefined: it says nothing, look below. */
  get(key: Uint8Array): Over | undefined {
    return this.#overs.get(key);
  }

  /** `value` undefined: the row is hidden. */
  set(key: Uint8Array, value: Uint8Array | undefined): Over {
    const over: Over = { value };
    this.#changes += 1;
    this.#overs.put(key, over);
    return over;
  }

  /** It says nothing of this key any more. */
  forget(key: Uint8Array): void {
    this.#changes += 1;
    this.#overs.delete(key);
  }

  /** `below` has the rows of the same range. */
  *over(below: Iterable<Row>, from: Uint8Array, to: Uint8Array): Iterable<Row> {
    const lower = below[Symbol.iterator]();
    try {
      let under = lower.next();
      let upper = this.#overs.range(from, to)[Symbol.iterator]();
      let above = upper.next();
      let changes = this.#changes;
      while (above.done !== true || under.done !== true) {
        const order = above.done === true ? 1 : under.done === true ? -1 : compareBytes(above.value[0], under.value[0]);
        const [key, over] = (order <= 0 ? above.value : [under.value[0], { value: under.value[1] }]) as [
          Uint8Array,
          Over,
        ];
        if (order <= 0) above = upper.next();
        if (order >= 0) under = lower.next();
        if (over.value !== undefined) yield [key, over.value];
        if (changes === this.#changes) continue;
        changes = this.#changes;
        upper = this.#overs.range(behindKey(key), to)[Symbol.iterator]();
        above = upper.next();
      }
    } finally {
      lower.return?.();
    }
  }
}

/** The first key that can come behind this one. */
export function behindKey(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
