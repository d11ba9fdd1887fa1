/**
 * Reads that wait for their linearizable point: first for Raft to say which position that is, then for this node to have
 * applied it. Every one is answered or refused, and their number is bounded.
 */
import type { Result } from "../../src/lib/result.ts";
import type { LogIndex } from "../../src/wire/entry.ts";
import type { ReadError } from "../raft/types.ts";
import { NodeError } from "./node-error.ts";

type Waiting = { readonly resolve: () => void; readonly reject: (error: NodeError) => void };

export class Barriers {
  readonly #max: number;
  /** By context: Raft has not answered yet. */
  readonly #asked = new Map<number, Waiting>();
  /** By position: not applied yet. */
  readonly #behind = new Map<LogIndex, Waiting[]>();
  #behindCount = 0;
  /** Contexts are used once in a node's life (P14). */
  #nextContext = 1;

  constructor(max: number) {
    this.#max = max;
  }

  /** Resolves at the point; rejects with `unavailable`, `overloaded`, or what `fail` is told. */
  ask(readIndex: (context: number) => Result<undefined, ReadError>): Promise<void> {
    if (this.#asked.size + this.#behindCount >= this.#max)
      return Promise.reject(new NodeError("overloaded", "too many reads are waiting"));
    const context = this.#nextContext;
    this.#nextContext += 1;
    return new Promise((resolve, reject) => {
      this.#asked.set(context, { resolve, reject });
      const asked = readIndex(context);
      if (asked.ok) return;
      this.#asked.delete(context);
      reject(
        asked.error === "no-leader"
          ? new NodeError("unavailable", "there is no leader")
          : new NodeError("overloaded", "too many reads are waiting"),
      );
    });
  }

  /** The point is `index`; this node has applied everything to `position`. */
  confirmed(context: number, index: LogIndex, position: LogIndex): void {
    const waiting = this.#asked.get(context);
    if (waiting === undefined) return;
    this.#asked.delete(context);
    if (index <= position) {
      waiting.resolve();
      return;
    }
    const others = this.#behind.get(index);
    if (others === undefined) this.#behind.set(index, [waiting]);
    else others.push(waiting);
    this.#behindCount += 1;
  }

  /** Leadership changed, or the leader was silent, before that was known; it may be asked again. */
  refused(context: number): void {
    this.#asked.get(context)?.reject(new NodeError("unavailable", "the leader changed"));
    this.#asked.delete(context);
  }

  applied(position: LogIndex): void {
    if (this.#behindCount === 0) return;
    for (const [index, waiting] of this.#behind) {
      if (index > position) continue;
      this.#behind.delete(index);
      this.#behindCount -= waiting.length;
      for (const { resolve } of waiting) resolve();
    }
  }

  fail(error: NodeError): void {
    const all = [...this.#asked.values(), ...[...this.#behind.values()].flat()];
    this.#asked.clear();
    this.#behind.clear();
    this.#behindCount = 0;
    for (const { reject } of all) reject(error);
  }
}
