/** A queue whose items are numbered from some number on and found by their number. How many it may hold is its owner's bound (I15). */
import { assert } from "../lib/assert.ts";

/** Taken items leave holes at the front; from this many on they are closed once they are half of the array. */
const HOLES_MIN = 64;

export class NumberedQueue<T> {
  #items: (T | undefined)[] = [];
  /** Invariant: what lies before it was dropped. */
  #head = 0;
  /** Of the item at the head. */
  #first: number;

  constructor(first: number) {
    this.#first = first;
  }

  /** The oldest item's number; the next item's, if there is none. */
  get first(): number {
    return this.#first;
  }

  /** The next item's number. */
  get next(): number {
    return this.#first + this.size;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The item with this number, if it is here. */
  at(number: number): T | undefined {
    return number < this.#first ? undefined : this.#items[this.#head + number - this.#first];
  }

  /** Those from one number up to, not including, another. */
  slice(from: number, to: number): T[] {
    assert(from >= this.#first && to <= this.next, "what is taken is here");
    const start = this.#head + from - this.#first;
    return this.#items.slice(start, start + to - from) as T[];
  }

  /** Takes the oldest; undefined if there is none. */
  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    this.#first += 1;
    if (this.#head >= HOLES_MIN && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
