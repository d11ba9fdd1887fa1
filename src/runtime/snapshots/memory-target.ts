/** Restored rows in memory. Slices come sorted, and are put together from what was added to each of them, in short turns. */
import { compareBytes } from "../../lib/bytes.ts";
import { MemoryStore } from "../../operators/state/memory-store.ts";
import { type RowTotals, TotalsSum } from "../../operators/state/totals.ts";
import type { Clock } from "../../ports/clock.ts";
import type { RowChange } from "../../record/row.ts";
import type { RestoreTarget } from "./restore.ts";
import { Turns } from "./turns.ts";

/** Sorted by key. */
type Run = readonly RowChange[];

export class MemoryTarget implements RestoreTarget<MemoryStore> {
  readonly #clock: Clock;
  /** By slice, the older first. */
  #runs: Run[][] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async begin(slices: number): Promise<void> {
    this.#runs = Array.from({ length: slices }, () => []);
  }

  async add(slice: number, rows: Run): Promise<void> {
    this.#runs[slice]?.push(rows);
  }

  async finish(): Promise<{ readonly store: MemoryStore; readonly totals: RowTotals }> {
    const turns = new Turns(this.#clock, 0);
    const store = new MemoryStore();
    const sum = new TotalsSum();
    for (const [slice, runs] of this.#runs.entries()) {
      for (const { key, value } of merged(runs)) {
        if (value === undefined) continue;
        store.append(key, value);
        sum.add(key, value);
      }
      this.#runs[slice] = [];
      await turns.rest();
    }
    this.#runs = [];
    return { store, totals: sum.totals };
  }
}

/** Of rows with the same key, the one of the last run. */
function merged(runs: readonly Run[]): Run {
  const [first = [], ...others] = runs;
  // The later ones are few and short: two by two would read the first again and again.
  const later = others.length <= 1 ? (others[0] ?? []) : newestOf(others.flat());
  return later.length === 0 ? first : merge(first, later);
}

/** Of rows in the order of their runs. */
function newestOf(rows: readonly RowChange[]): Run {
  // Stable, so that the later stand behind the earlier.
  const sorted = rows.toSorted((a, b) => compareBytes(a.key, b.key));
  return sorted.filter(({ key }, place) => {
    const next = sorted[place + 1];
    return next === undefined || compareBytes(key, next.key) !== 0;
  });
}

function merge(older: Run, later: Run): Run {
  const rows: RowChange[] = [];
  let at = 0;
  for (const row of later) {
    let order = -1;
    for (; at < older.length; at += 1) {
      const before = older[at] as RowChange;
      order = compareBytes(before.key, row.key);
      if (order >= 0) break;
      rows.push(before);
    }
    if (order === 0) at += 1;
    rows.push(row);
  }
  for (; at < older.length; at += 1) rows.push(older[at] as RowChange);
  return rows;
}
