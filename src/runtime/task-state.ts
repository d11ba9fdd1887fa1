/**
 * Where a replica's rows come from, and where they are kept. What is kept is never ahead of the task's commits, not by a record of which nothing
 * came out either: after a restart nobody could make the outputs in between again, and a newer version's code might make some.
 */
import type { StateStore } from "../operators/state/state-store.ts";
import type { RowTotals } from "../operators/state/totals.ts";
import type { Clock } from "../ports/clock.ts";
import { compareTaskPlaces, type TaskPlace } from "../record/task-place.ts";
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

type Seal = { readonly seal: number; readonly place: TaskPlace };

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

  /** After each batch that was taken: the task's totals, and how far it has come. */
  taken(totals: RowTotals, place: TaskPlace): void {
    const seal = this.#store.seal(totals);
    const last = this.#seals.at(-1);
    // A later seal at the same place holds the earlier one, and more.
    if (last !== undefined && compareTaskPlaces(last.place, place) === 0) this.#seals.pop();
    this.#seals.push({ seal, place });
  }

  /** So far the task is committed. */
  committed(place: TaskPlace): void {
    const isDue =
      this.#clock.monotonic() - this.#flushedMs >= RUNTIME_LIMITS.flushEveryMs ||
      this.#store.unflushedBytes >= RUNTIME_LIMITS.flushBytes;
    if (isDue && this.#flushing === undefined) this.#flush(place);
  }

  /** The last of it: what is committed is kept when this resolves. */
  async close(place: TaskPlace): Promise<void> {
    await this.#flushing;
    this.#flush(place);
    await this.#flushing;
  }

  #flush(committed: TaskPlace): void {
    const last = this.#seals.findLast(({ place }) => compareTaskPlaces(place, committed) <= 0);
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
