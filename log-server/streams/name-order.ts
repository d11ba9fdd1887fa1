/**
 * Names in order, for listing by prefix page by page: however many there are, a page costs what it holds, and adding or
 * removing a name a search and a move within one small run. It knows names only; whose they are is `State`'s.
 *
 * Order is that of UTF-16 code units, in which all names of one prefix stand together, and the prefix itself comes first.
 */
import { assert } from "../../src/lib/assert.ts";
import { firstNotBefore } from "../../src/lib/sorted.ts";

/** Of a run, before it is cut in two: what an insertion moves at most. */
const RUN_NAMES_MAX = 512;

export class NameOrder {
  /** None is empty, each is sorted, and all of one come before all of the next. */
  readonly #runs: string[][] = [];

  add(name: string): void {
    const place = Math.max(0, this.#runOf(name));
    const run = this.#runs[place];
    if (run === undefined) {
      this.#runs.push([name]);
      return;
    }
    const index = placeIn(run, name);
    assert(run[index] !== name, "a name is one stream's");
    run.splice(index, 0, name);
    if (run.length > RUN_NAMES_MAX) this.#runs.splice(place + 1, 0, run.splice(run.length >>> 1));
  }

  remove(name: string): void {
    const place = this.#runOf(name);
    const run = this.#runs[place];
    const index = run === undefined ? -1 : placeIn(run, name);
    assert(run !== undefined && run[index] === name, "only a name that was added is removed");
    run.splice(index, 1);
    if (run.length === 0) this.#runs.splice(place, 1);
  }

  /** The names that begin with `prefix` and come after `after`, in order. Valid until the next change. */
  *names(prefix: string, after: string): Iterable<string> {
    const from = after > prefix ? after : prefix;
    for (let place = Math.max(0, this.#runOf(from)); place < this.#runs.length; place += 1) {
      const run = this.#runs[place] as string[];
      for (let index = placeIn(run, from); index < run.length; index += 1) {
        const name = run[index] as string;
        if (name <= after) continue;
        if (!name.startsWith(prefix)) return;
        yield name;
      }
    }
  }

  /** The last run that begins at or before the name; -1: it would come before all. */
  #runOf(name: string): number {
    return firstNotBefore(this.#runs, ([first]) => (first as string) <= name) - 1;
  }
}

function placeIn(run: readonly string[], name: string): number {
  return firstNotBefore(run, (other) => other < name);
}
