/**
 * The terms of a log's entries, as the places where they change: few, however long the log. It answers for entries that
 * only the disk holds, so matching logs reads no disk.
 */
import { assert } from "../../src/lib/assert.ts";
import { firstNotBefore } from "../../src/lib/sorted.ts";
import type { LogIndex, Term } from "../../src/wire/entry.ts";
import type { LogPoint, TermRun } from "./types.ts";

export class TermRuns {
  #runs: TermRun[];
  #last: LogIndex;

  /** Of a log that ends at `last`. What is before the first run is not known. */
  constructor(runs: readonly TermRun[], last: LogIndex) {
    this.#runs = runs.filter((run) => run.firstIndex <= last);
    this.#last = last;
  }

  get last(): LogPoint {
    return { index: this.#last, term: this.#runs.at(-1)?.term ?? 0 };
  }

  get lastIndex(): LogIndex {
    return this.#last;
  }

  /** Undefined behind the end, or before what is known. Before the first entry of all there is term 0. */
  term(index: LogIndex): Term | undefined {
    if (index > this.#last) return undefined;
    const run = this.#runs[this.#runAt(index)];
    return run === undefined ? (index === 0 ? 0 : undefined) : run.term;
  }

  add(index: LogIndex, term: Term): void {
    const last = this.#runs.at(-1);
    assert(
      index === this.#last + 1 && term >= (last?.term ?? 0),
      "I2: entries follow one another, terms never go back",
    );
    if (last === undefined || last.term !== term) this.#runs.push({ firstIndex: index, term });
    this.#last = index;
  }

  /** Forgets the entries behind `index`. */
  cut(index: LogIndex): void {
    while (this.#runs.length > 0 && (this.#runs.at(-1) as TermRun).firstIndex > index) this.#runs.pop();
    this.#last = Math.min(this.#last, index);
  }

  /** Forgets the entries before `index`, but not the term of the one just before it. */
  trim(index: LogIndex): void {
    const keep = this.#runAt(index - 1);
    if (keep > 0) this.#runs = this.#runs.slice(keep);
  }

  /** What was before the first that is known, from whoever can read it now. What does not fit is left out. */
  learn(runs: readonly TermRun[]): void {
    const [first] = this.#runs;
    if (first === undefined) return;
    const older = runs.filter((run) => run.firstIndex < first.firstIndex);
    const before = older.at(-1);
    if (before === undefined || before.term > first.term) return;
    this.#runs = [...older, ...(before.term === first.term ? this.#runs.slice(1) : this.#runs)];
  }

  /** Starts anew behind a snapshot. */
  reset(point: LogPoint): void {
    this.#runs = point.index === 0 ? [] : [{ firstIndex: point.index, term: point.term }];
    this.#last = point.index;
  }

  /** The newest entry at or before `index` whose term is at most `term`: where two logs can still agree. */
  atMost(index: LogIndex, term: Term): LogPoint {
    let place = this.#runAt(Math.min(index, this.#last));
    while (place >= 0 && (this.#runs[place] as TermRun).term > term) place -= 1;
    const run = this.#runs[place];
    if (run === undefined) return { index: 0, term: 0 };
    const next = this.#runs[place + 1];
    const end = next === undefined ? this.#last : next.firstIndex - 1;
    return { index: Math.min(index, end), term: run.term };
  }

  /** The newest entry that both logs have: by I2 they agree on all before it. */
  commonWith(other: TermRuns): LogIndex {
    let index = Math.min(this.#last, other.lastIndex);
    while (index > 0) {
      const mine = this.term(index);
      const theirs = other.term(index);
      if (mine === undefined || theirs === undefined || mine === theirs) return index;
      // The one with the higher term has nothing in common with the other down to where that term begins.
      const [higher, lower] = mine > theirs ? [this, theirs] : [other, mine];
      index = Math.min(index - 1, higher.atMost(index, lower).index);
    }
    return 0;
  }

  copy(): TermRuns {
    return new TermRuns(this.#runs, this.#last);
  }

  /** The last run that begins at or before `index`; -1 if none does. */
  #runAt(index: LogIndex): number {
    return firstNotBefore(this.#runs, ({ firstIndex }) => firstIndex <= index) - 1;
  }
}
