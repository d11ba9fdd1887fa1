/** What one run has come to so far, and with it all runs of its file, if it has one. */
import { add, addToFile, NOTHING, type Totals } from "./totals.ts";

export class Tally {
  readonly #path: string | undefined;
  #run = NOTHING;
  #all = NOTHING;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  get run(): Totals {
    return this.#run;
  }

  get all(): Totals {
    return this.#all;
  }

  add(more: Totals): void {
    this.#run = add(this.#run, more);
    this.#all = this.#path === undefined ? this.#run : addToFile(this.#path, more);
  }
}
