/**
 * A first-in, first-out queue with a bound (I15). A full one refuses; whoever pushes decides what that means:
 * wait, drop, or answer `overloaded`.
 */
import { assert } from "./assert.ts";

/** Taken items leave holes at the front; from this many on they are closed once they are half of the array. */
const HOLES_MIN = 32;

export class BoundedQueue<T> {
  readonly capacity: number;
  #items: (T | undefined)[] = [];
  /** Invariant: what lies before it was taken. */
  #head = 0;

  constructor(capacity: number) {
    assert(Number.isSafeInteger(capacity) && capacity > 0, "I15: a queue has a bound");
    this.capacity = capacity;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  get full(): boolean {
    return this.size >= this.capacity;
  }

  /** False, and nothing changed, when full. */
  push(item: T): boolean {
    if (this.full) return false;
    this.#items.push(item);
    return true;
  }

  /** The oldest item, left where it is. */
  peek(): T | undefined {
    return this.#items[this.#head];
  }

  /** Takes the oldest item. */
  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head >= HOLES_MIN && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes everything, oldest first. */
  drain(): T[] {
    const items = this.#items.slice(this.#head) as T[];
    this.#items = [];
    this.#head = 0;
    return items;
  }
}
