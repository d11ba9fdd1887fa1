/** How much is read ahead of its turn, counted against a bound of its own and against one that it shares with others. */
import { assert } from "../../../src/lib/assert.ts";

export class AheadRoom {
  readonly #bytesMax: number;
  readonly #shared: AheadRoom | undefined;
  #bytes = 0;

  constructor(bytesMax: number, shared?: AheadRoom) {
    this.#bytesMax = bytesMax;
    this.#shared = shared;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** More is there than should be. */
  get full(): boolean {
    return this.#bytes > this.#bytesMax || this.#shared?.full === true;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#shared?.add(bytes);
  }

  remove(bytes: number): void {
    assert(bytes <= this.#bytes, "I15: what is given back was taken");
    this.#bytes -= bytes;
    this.#shared?.remove(bytes);
  }
}
