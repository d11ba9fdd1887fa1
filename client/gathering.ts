/**
 * Holds back what is about to be sent until the code that asks for it has come to rest, so that what is asked together
 * travels together: the callers of a message full of answers each ask again some microtasks later, side by side. It
 * costs no turn of the event loop.
 */

/** At rest: so many microtasks have passed and nobody has joined. */
const QUIET_MICROTASKS = 8;

export class Gathering {
  /** In the order in which they joined. Bounded by those that send. */
  readonly #flushes = new Set<() => void>();
  #joins = 0;
  #watching = false;

  /** `flush` is called once at rest, however often it joins until then. */
  join(flush: () => void): void {
    this.#joins += 1;
    this.#flushes.add(flush);
    if (this.#watching) return;
    this.#watching = true;
    this.#watch(0, this.#joins);
  }

  /** Waits no longer. */
  flush(): void {
    for (const flush of this.#flushes) {
      this.#flushes.delete(flush);
      flush();
    }
  }

  #watch(quiet: number, joins: number): void {
    queueMicrotask(() => {
      if (joins === this.#joins && quiet >= QUIET_MICROTASKS) {
        this.#watching = false;
        this.flush();
      } else {
        this.#watch(joins === this.#joins ? quiet + 1 : 0, this.#joins);
      }
    });
  }
}
