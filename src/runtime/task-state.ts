/**
 * Where a replica's rows come from, and where they are kept. What is kept is never ahead of the task's commits: after a restart nobody could
 * make the outputs in between again.
 */
import type { StateStore } from "../operators/state/state-store.ts";
import type { RowTotals } from "../operators/state/totals.ts";
import type { Clock } from "../ports/clock.ts";
import { RUNTIME_LIMITS } from "./limits.ts";
import type { RestoredSnapshot, SnapshotPlan } from "./snapshots/snapshotter.ts";

/** The task's rows at one of its places; none for a beginning from nothing. */
export type TaskState = {
  readonly store: StateStore;
  /** Of those rows, if they are known. */
  readonly totals?: RowTotals;
  /** Where the store keeps its rows over restarts. */
  readonly durable?: DurableStore;
  /** Whether, where and how often snapshots are taken. */
  readonly snapshots?: SnapshotPlan;
  /** The one that the rows are of, if they were restored. */
  readonly restored?: RestoredSnapshot;
};

export interface DurableStore {
  /** Of changes that are in memory only. */
  readonly unflushedBytes: number;
  /** What was changed until now is a state at one place. Answers what `flush` takes. */
  seal(totals: RowTotals): number;
  /** Keeps all until this seal. One at a time. */
  flush(seal: number): Promise<void>;
}

type Seal = { readonly seal: number; readonly outputs: number };

/** Seals each batch, and keeps what is committed: now and then, or when it is much. */
export class StateKeeper {
  readonly #store: DurableStore;
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  #seals: Seal[] = [];
  #flushing: Promise<void> | undefined;
  #flushedMs: number;

  constructor(store: DurableStore, clock: Clock, onFailure: (error: unknown) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#onFailure = onFailure;
    this.#flushedMs = clock.monotonic();
  }

  /** Too much waits for the disk, or for commits. */
  get full(): boolean {
    return this.#store.unflushedBytes >= RUNTIME_LIMITS.unflushedBytesMax;
  }

  /** After each batch that was taken: the task's totals, and how many outputs there are. */
  taken(totals: RowTotals, outputs: number): void {
    const seal = this.#store.seal(totals);
    // A later seal with the same outputs holds the earlier one, and more.
    if (this.#seals.at(-1)?.outputs === outputs) this.#seals.pop();
    this.#seals.push({ seal, outputs });
  }

  /** So many outputs are committed. */
  committed(outputs: number): void {
    const isDue =
      this.#clock.monotonic() - this.#flushedMs >= RUNTIME_LIMITS.flushEveryMs ||
      this.#store.unflushedBytes >= RUNTIME_LIMITS.flushBytes;
    if (isDue && this.#flushing === undefined) this.#flush(outputs);
  }

  /** The last of it: what is committed is kept when this resolves. */
  async close(outputs: number): Promise<void> {
    await this.#flushing;
    this.#flush(outputs);
    await this.#flushing;
  }

  #flush(outputs: number): void {
    const last = this.#seals.findLast((seal) => seal.outputs <= outputs);
    if (last === undefined) return;
    this.#seals = this.#seals.filter(({ seal }) => seal > last.seal);
    this.#flushedMs = this.#clock.monotonic();
    this.#flushing = this.#store
      .flush(last.seal)
      .catch(this.#onFailure)
      .finally(() => {
        this.#flushing = undefined;
      });
  }
}
