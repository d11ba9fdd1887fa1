/**
 * Readers that wait for a stream to change (its tail, its closure, its end), or takers for a group to have something.
 * Bounded over all streams, or groups.
 */
import { NodeError } from "../node-error.ts";

export class Waiters<K> {
  readonly #max: number;
  readonly #byKey = new Map<K, Set<() => void>>();
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  /** Resolves at the next `wake` of the key, or when the signal aborts. Throws `overloaded` at the bound. */
  wait(key: K, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    if (this.#count >= this.#max) throw new NodeError("overloaded", "too many readers are waiting");
    return new Promise((resolve) => {
      const waiting = this.#byKey.get(key) ?? new Set();
      this.#byKey.set(key, waiting);
      const finish = (): void => {
        signal.removeEventListener("abort", finish);
        if (!waiting.delete(finish)) return;
        this.#count -= 1;
        if (waiting.size === 0 && this.#byKey.get(key) === waiting) this.#byKey.delete(key);
        resolve();
      };
      waiting.add(finish);
      this.#count += 1;
      signal.addEventListener("abort", finish, { once: true });
    });
  }

  wake(key: K): void {
    const waiting = this.#byKey.get(key);
    if (waiting === undefined) return;
    for (const finish of [...waiting]) finish();
  }

  wakeAll(): void {
    for (const key of [...this.#byKey.keys()]) this.wake(key);
  }
}
