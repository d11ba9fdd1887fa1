/** The terms of the log's entries, as the places where they change: few, however long the log. */
import { assert } from "../../../src/lib/assert.ts";
import { firstNotBefore } from "../../../src/lib/sorted.ts";
import type { SegmentIndex } from "./segment-index.ts";

/** From this entry to the next run's first. Term 0: damage hides it. */
export type TermRun = { readonly firstIndex: number; readonly term: number };

export class TermRuns {
  #runs: TermRun[] = [];

  /** The entries from `firstIndex` on have this term, until told otherwise. */
  add(firstIndex: number, term: number): void {
    const last = this.#runs.at(-1);
    if (last?.term === term) return;
    assert(last === undefined || last.firstIndex < firstIndex, "terms are told in log order");
    this.#runs.push({ firstIndex, term });
  }

  get runs(): readonly TermRun[] {
    return this.#runs;
  }

  /** The term of an entry that is in the log. */
  term(index: number): number | undefined {
    const run = this.#runs[firstNotBefore(this.#runs, ({ firstIndex }) => firstIndex <= index) - 1];
    return run === undefined || run.term === 0 ? undefined : run.term;
  }

  /** Forgets the entries from `index` on. */
  cut(index: number): void {
    while (this.#runs.length > 0 && (this.#runs.at(-1) as TermRun).firstIndex >= index) this.#runs.pop();
  }

  /** Forgets the entries before `index`. */
  trim(index: number): void {
    const keep = this.#runs.findLastIndex((run) => run.firstIndex <= index);
    if (keep > 0) this.#runs = this.#runs.slice(keep);
  }
}

/** Where the terms of a segment's entries begin. */
export function termRuns(index: SegmentIndex): TermRun[] {
  const runs: TermRun[] = [];
  for (let slot = 0; slot < index.count; slot += 1) {
    const term = index.entries.term[slot] as number;
    if (runs.at(-1)?.term !== term) runs.push({ firstIndex: index.firstIndex + slot, term });
  }
  return runs;
}
