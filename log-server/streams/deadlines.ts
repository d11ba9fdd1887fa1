/**
 * What is due when, in log time: a heap of deadlines whose order, (time, owner), depends on nothing but the state.
 *
 * Deadlines mostly move later (every append refreshes a sliding expiry), so moving one only writes its field: its
 * place in the heap is a lower bound, put right when it comes to the top.
 */

const NEVER = Number.POSITIVE_INFINITY;
const SWEEP_MIN = 64;

export class Deadline<T> {
  readonly owner: T;
  /** Infinite: not due at any time. */
  atMs = NEVER;
  /** Its key in the heap, at most `atMs`; infinite if it is not in there. */
  queuedMs = NEVER;

  constructor(owner: T) {
    this.owner = owner;
  }
}

type Entry<T> = { readonly keyMs: number; readonly deadline: Deadline<T> };

export class Deadlines<T> {
  readonly #compare: (a: T, b: T) => number;
  #heap: Entry<T>[] = [];
  #stale = 0;

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  set(deadline: Deadline<T>, atMs: number): void {
    deadline.atMs = atMs;
    if (atMs >= deadline.queuedMs) return;
    if (deadline.queuedMs !== NEVER) this.#left();
    this.#push(deadline);
  }

  cancel(deadline: Deadline<T>): void {
    if (deadline.atMs === NEVER) return;
    deadline.atMs = NEVER;
    this.#left();
  }

  /** The earliest. */
  first(): Deadline<T> | undefined {
    for (;;) {
      const top = this.#heap[0];
      if (top === undefined) return undefined;
      const { keyMs, deadline } = top;
      if (keyMs === deadline.queuedMs && keyMs === deadline.atMs) return deadline;
      this.#pop();
      if (keyMs !== deadline.queuedMs) continue;
      deadline.queuedMs = NEVER;
      if (deadline.atMs !== NEVER) this.#push(deadline);
    }
  }

  #push(deadline: Deadline<T>): void {
    deadline.queuedMs = deadline.atMs;
    const entry = { keyMs: deadline.atMs, deadline };
    const heap = this.#heap;
    let place = heap.length;
    heap.push(entry);
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above] as Entry<T>;
      if (!this.#before(entry, parent)) break;
      heap[place] = parent;
      place = above;
    }
    heap[place] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) this.#sink(0, last);
  }

  #sink(place: number, entry: Entry<T>): void {
    const heap = this.#heap;
    for (;;) {
      let below = place * 2 + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && this.#before(heap[below + 1] as Entry<T>, heap[below] as Entry<T>)) below += 1;
      if (!this.#before(heap[below] as Entry<T>, entry)) break;
      heap[place] = heap[below] as Entry<T>;
      place = below;
    }
    heap[place] = entry;
  }

  /** An entry stays behind. The heap must never be much larger than what is due some day. */
  #left(): void {
    this.#stale += 1;
    if (this.#stale > SWEEP_MIN && this.#stale > this.#heap.length / 2) this.#sweep();
  }

  #sweep(): void {
    const kept: Entry<T>[] = [];
    for (const { keyMs, deadline } of this.#heap) {
      if (keyMs !== deadline.queuedMs) continue;
      deadline.queuedMs = deadline.atMs;
      if (deadline.atMs !== NEVER) kept.push({ keyMs: deadline.atMs, deadline });
    }
    this.#heap = kept;
    for (let place = (kept.length >> 1) - 1; place >= 0; place -= 1) this.#sink(place, kept[place] as Entry<T>);
    this.#stale = 0;
  }

  #before(a: Entry<T>, b: Entry<T>): boolean {
    return a.keyMs < b.keyMs || (a.keyMs === b.keyMs && this.#compare(a.deadline.owner, b.deadline.owner) < 0);
  }
}
