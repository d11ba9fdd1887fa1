/**
 * The newest batches, in memory, so that readers at the tail need no disk: the bytes hang on the rows of the unsealed
 * segments' indexes, and leave in the order in which they came.
 */
import type { LogLimits } from "../limits.ts";
import type { RowTable } from "../segments/row-table.ts";

/** The queue gives its front back when that is longer than this, and longer than the rest. */
const COMPACT_KEPT_MIN = 1_024;

/** Rows `from` to before `to`: an entry's. One by one they would cost more than what is appended in small batches. */
type Kept = { readonly table: RowTable; readonly from: number; readonly to: number; readonly bytes: number };

export class TailCache {
  readonly #limits: LogLimits;
  /** Oldest first, from `#first` on. */
  #kept: Kept[] = [];
  #first = 0;
  #bytes = 0;

  constructor(limits: LogLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The rows from `from` on have been given their bytes, so many. */
  keep(table: RowTable, from: number, bytes: number): void {
    if (table.count === from) return;
    this.#kept.push({ table, from, to: table.count, bytes });
    this.#bytes += bytes;
    while (this.#bytes > this.#limits.tailCacheBytes) this.#dropOldest();
  }

  /** Lets go of a table whose segment is sealed; the oldest ones are sealed first. */
  forget(table: RowTable): void {
    while (this.#kept[this.#first]?.table === table) this.#dropOldest();
  }

  #dropOldest(): void {
    const { table, from, to, bytes } = this.#kept[this.#first] as Kept;
    // The rows may have been cut off, or been given to others since: those are then read from the disk.
    table.forgetBytes(from, to);
    this.#bytes -= bytes;
    this.#first += 1;
    if (this.#first < COMPACT_KEPT_MIN || this.#first * 2 < this.#kept.length) return;
    this.#kept = this.#kept.slice(this.#first);
    this.#first = 0;
  }
}
