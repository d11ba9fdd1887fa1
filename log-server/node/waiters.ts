/**
 * Readers that wait for a stream to change: its tail, its closure, its end. Bounded over all streams.
 */
import { NodeError } from "./node-error.ts";

export class Waiters {
  readonly #max: number;
  readonly #byStream = new Map<number, Set<() => void>>();
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  /** Resolves at the next `wake` of the stream, or when the signal aborts. Throws `overloaded` at the bound. */
  wait(streamId: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    if (this.#count >= this.#max) throw new NodeError("overloaded", "too many readers are waiting");
    return new Promise((resolve) => {
      const waiting = this.#byStream.get(streamId) ?? new Set();
      this.#byStream.set(streamId, waiting);
      const finish = (): void => {
        signal.removeEventListener("abort", finish);
        if (!waiting.delete(finish)) return;
        this.#count -= 1;
        if (waiting.size === 0 && this.#byStream.get(streamId) === waiting) this.#byStream.delete(streamId);
        resolve();
      };
      waiting.add(finish);
      this.#count += 1;
      signal.addEventListener("abort", finish, { once: true });
    });
  }

  wake(streamId: number): void {
    const waiting = this.#byStream.get(streamId);
    if (waiting === undefined) return;
    for (const finish of [...waiting]) finish();
  }

  wakeAll(): void {
    for (const streamId of [...this.#byStream.keys()]) this.wake(streamId);
  }
}
