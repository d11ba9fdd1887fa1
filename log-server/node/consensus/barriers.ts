/**
 * Reads that wait for their linearizable point: first for Raft to say which position that is, then for this node to have
 * applied it. Every one is answered or refused, within a time, and their number is bounded (I15).
 */
import type { Result } from "../../../src/lib/result.ts";
import type { Clock, Timer } from "../../../src/ports/clock.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { ReadError } from "../../raft/types.ts";
import type { NodeLimits } from "../limits.ts";
import { NodeError } from "../node-error.ts";

type Waiting = {
  /** Monotonic milliseconds; infinite: however long it takes. */
  readonly until: number;
  readonly resolve: () => void;
  readonly reject: (error: NodeError) => void;
};

export class Barriers {
  readonly #limits: Pick<NodeLimits, "barriersMax" | "barrierMsMax">;
  readonly #clock: Clock;
  /** By context: Raft has not answered yet. */
  readonly #asked = new Map<number, Waiting>();
  /** By position: not applied yet. */
  readonly #behind = new Map<LogIndex, Waiting[]>();
  #behindCount = 0;
  #expiring: Timer | undefined;
  /** Contexts are used once in a node's life (P14). */
  #nextContext = 1;

  constructor({ limits, clock }: { readonly limits: NodeLimits; readonly clock: Clock }) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** How many wait. */
  get count(): number {
    return this.#asked.size + this.#behindCount;
  }

  /**
   * Resolves at the point; rejects with `unavailable`, `overloaded`, or what `fail` is told. `patient`: it may take as long
   * as it takes; else it is refused after a while, for a leader that is heard may still be unable to commit, and this node to
   * apply.
   */
  ask(readIndex: (context: number) => Result<undefined, ReadError>, patient = false): Promise<void> {
    if (this.count >= this.#limits.barriersMax)
      return Promise.reject(new NodeError("overloaded", "too many reads are waiting"));
    const context = this.#nextContext;
    this.#nextContext += 1;
    return new Promise((resolve, reject) => {
      const until = patient ? Number.POSITIVE_INFINITY : this.#clock.monotonic() + this.#limits.barrierMsMax;
      this.#asked.set(context, { until, resolve, reject });
      const asked = readIndex(context);
      if (asked.ok) {
        if (!patient) this.#expireLater();
        return;
      }
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
    this.#expiring?.cancel();
    this.#expiring = undefined;
    const all = [...this.#asked.values(), ...[...this.#behind.values()].flat()];
    this.#asked.clear();
    this.#behind.clear();
    this.#behindCount = 0;
    for (const { reject } of all) reject(error);
  }

  #expireLater(): void {
    if (this.#asked.size + this.#behindCount === 0) return;
    this.#expiring ??= this.#clock.schedule(this.#limits.barrierMsMax, () => {
      this.#expiring = undefined;
      this.#expire(this.#clock.monotonic());
      this.#expireLater();
    });
  }

  #expire(now: number): void {
    const error = new NodeError("unavailable", "the log's end was not confirmed and applied here in time");
    for (const [context, { until, reject }] of this.#asked) {
      if (until > now) continue;
      this.#asked.delete(context);
      reject(error);
    }
    for (const [index, waiting] of this.#behind) {
      const left = waiting.filter(({ until }) => until > now);
      this.#behindCount -= waiting.length - left.length;
      if (left.length === 0) this.#behind.delete(index);
      else if (left.length < waiting.length) this.#behind.set(index, left);
      for (const { until, reject } of waiting) if (until <= now) reject(error);
    }
  }
}
