/**
 * The newest batches, in memory, so that readers at the tail need no disk: the bytes hang on the rows of the unsealed
 * segments' indexes, and leave in the order in which they came.
 */
import type { LogLimits } from "../limits.ts";
import type { RowTable } from "../segments/row-table.ts";

/** The queue gives its front back when that is longer than this, and longer than the rest. */
const COMPACT_SLOTS_MIN = 4_096;

export class TailCache {
  readonly #limits: LogLimits;
  /** Rows that were given bytes, with how many, oldest first, from `#first` on. */
  #tables: RowTable[] = [];
  #rows: number[] = [];
  #lengths: number[] = [];
  #first = 0;
  #bytes = 0;

  constructor(limits: LogLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The row's bytes are in `block`, from `blockAt` on, and stay there. */
  keep(table: RowTable, row: number, block: Uint8Array, blockAt: number): void {
    const length = table.length[row] as number;
    table.keepBytes(row, block, blockAt);
    this.#tables.push(table);
    this.#rows.push(row);
    this.#lengths.push(length);
    this.#bytes += length;
    while (this.#bytes > this.#limits.tailCacheBytes) this.#dropOldest();
  }

  /** Lets go of a table whose segment is sealed; the oldest ones are sealed first. */
  forget(table: RowTable): void {
    while (this.#tables[this.#first] === table) this.#dropOldest();
  }

  #dropOldest(): void {
    const table = this.#tables[this.#first] as RowTable;
    // The row may have been cut off, or been given to another batch since: that one is then read from the disk.
    table.forgetBytes(this.#rows[this.#first] as number);
    this.#bytes -= this.#lengths[this.#first] as number;
    this.#first += 1;
    if (this.#first < COMPACT_SLOTS_MIN || this.#first * 2 < this.#rows.length) return;
    this.#tables = this.#tables.slice(this.#first);
    this.#rows = this.#rows.slice(this.#first);
    this.#lengths = this.#lengths.slice(this.#first);
    this.#first = 0;
  }
}
