/**
 * What a task's rows were at one place, to be read bit by bit while the task goes on. Making one costs nothing: whatever is
 * replaced from then on is kept here first, and stands before the rows as they are now.
 *
 * What is kept is bounded (I15): a capture that is read too slowly is lost, and with it no more than one snapshot.
 */
import { assert } from "../../lib/assert.ts";
import type { Row } from "../../record/row.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import type { ChangedKeys } from "./changed-keys.ts";
import { Overlay } from "./overlay.ts";
import type { StateStore } from "./state-store.ts";
import type { RowTotals } from "./totals.ts";

export class RowCapture {
  readonly totals: RowTotals;
  /** Which rows changed since the capture before, and perhaps some more; undefined: not known. */
  readonly changed: ChangedKeys | undefined;
  readonly #store: StateStore;
  #replaced: Overlay | undefined = new Overlay();
  #bytes = 0;

  constructor(store: StateStore, totals: RowTotals, changed: ChangedKeys | undefined) {
    this.#store = store;
    this.totals = totals;
    this.changed = changed;
  }

  /** It can be read no more: it was closed, or too much was replaced meanwhile. */
  get lost(): boolean {
    return this.#replaced === undefined;
  }

  /** Of the room for what is replaced: 0 at the beginning, 1 where it is lost. */
  get spent(): number {
    return this.lost ? 1 : this.#bytes / OPERATOR_LIMITS.captureReplacedBytesMax;
  }

  /** Rows as they were. Each step must find the capture not lost. */
  range(from: Uint8Array, to: Uint8Array): Iterable<Row> {
    assert(this.#replaced !== undefined, "a capture that is lost is not read");
    return this.#replaced.over(this.#store.range(from, to), from, to);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    assert(this.#replaced !== undefined, "a capture that is lost is not read");
    const over = this.#replaced.get(key);
    return over === undefined ? this.#store.get(key) : over.value;
  }

  /** A row is about to be another. */
  replaces(key: Uint8Array, before: Uint8Array | undefined): void {
    if (this.#replaced === undefined || this.#replaced.get(key) !== undefined) return;
    this.#replaced.set(key, before);
    this.#bytes += key.length + (before?.length ?? 0);
    if (this.#bytes > OPERATOR_LIMITS.captureReplacedBytesMax) this.#replaced = undefined;
  }

  close(): void {
    this.#replaced = undefined;
  }
}
