/**
 * The streams of a merge that have something to give, the one whose next batch comes first in the log at the top: a
 * binary heap. A fork and its source have batches at the same place; then the stream that was named first goes first.
 */
import { comparePlaces, type LogPlace } from "../../../src/record/log-place.ts";

/** `head`: the place of its next batch. It does not change while the stream is in here. */
export type Head = { readonly stream: number; readonly head: LogPlace };

export class MergeHeads<T extends Head> {
  readonly #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  first(): T | undefined {
    return this.#heap[0];
  }

  push(added: T): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(added);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as T;
      if (compareHeads(above, added) <= 0) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = added;
  }

  pop(): T | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const least = right < heap.length && compareHeads(heap[right] as T, heap[left] as T) < 0 ? right : left;
      const below = heap[least] as T;
      if (compareHeads(last, below) <= 0) break;
      heap[at] = below;
      at = least;
    }
    heap[at] = last;
    return top;
  }
}

/** Negative where `a` goes out first. */
export function compareHeads(a: Head, b: Head): number {
  return comparePlaces(a.head, b.head) || a.stream - b.stream;
}

/** Whether a batch at this place, of this stream, goes out before the head. */
export function goesBefore(place: LogPlace, stream: number, other: Head): boolean {
  return (comparePlaces(place, other.head) || stream - other.stream) < 0;
}
