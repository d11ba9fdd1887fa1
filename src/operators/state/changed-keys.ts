/** Keys of rows that changed since some place, in order, each once; of too many it is only known that they are many. */
import { OPERATOR_LIMITS } from "../limits.ts";
import { ROWS_FROM, ROWS_TO } from "./row-keys.ts";
import { SortedMap } from "./sorted-map.ts";

export class ChangedKeys {
  #keys: SortedMap<true> | undefined = new SortedMap<true>();

  /** Too many: any row may have changed. */
  get unknown(): boolean {
    return this.#keys === undefined;
  }

  add(key: Uint8Array): void {
    if (this.#keys === undefined) return;
    this.#keys.put(key, true);
    if (this.#keys.size > OPERATOR_LIMITS.changedKeysMax) this.#keys = undefined;
  }

  addAll(others: ChangedKeys): void {
    if (others.#keys === undefined) this.#keys = undefined;
    for (const key of others.keys()) this.add(key);
  }

  *keys(): Iterable<Uint8Array> {
    for (const [key] of this.#keys?.range(ROWS_FROM, ROWS_TO) ?? []) yield key;
  }
}
