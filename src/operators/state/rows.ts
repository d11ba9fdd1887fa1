/**
 * A task's rows as its operators change them: with the digest of all of them, kept up with every write, and with a way back.
 * What a record did can be undone (`mark`, `rollback`), and what was done since the last commit can be had as a list of
 * changes, for the store's own commit and for a snapshot that writes only what changed.
 *
 * It is a journal of what stood there before: reading costs nothing more, and a commit forgets the journal.
 */
import { assert } from "../../lib/assert.ts";
import { compareBytes, equalBytes } from "../../lib/bytes.ts";
import { asDigest, type Row, type RowChange, rowHash } from "../../record/row.ts";
import { ChangedKeys } from "./changed-keys.ts";
import { RowCapture } from "./row-capture.ts";
import { ROWS_FROM, ROWS_TO } from "./row-keys.ts";
import type { StateStore } from "./state-store.ts";
import { rowBytes, type RowTotals, totalsOf } from "./totals.ts";

/** A write, by what stood there before it. */
export type RowUndo = { readonly key: Uint8Array; readonly before: Uint8Array | undefined };

export class Rows {
  readonly #store: StateStore;
  #digest: bigint;
  #count: number;
  #bytes: number;
  #journal: RowUndo[] = [];
  /** Since the last capture, or since changes are tracked; undefined: they are not. */
  #changed: ChangedKeys | undefined;
  #capture: RowCapture | undefined;

  /** Whoever knows the totals of what is in the store saves reading all of it. */
  constructor(store: StateStore, totals: RowTotals = totalsOf(store.range(ROWS_FROM, ROWS_TO))) {
    this.#store = store;
    this.#digest = totals.digest;
    this.#count = totals.rows;
    this.#bytes = totals.bytes;
  }

  get digest(): bigint {
    return this.#digest;
  }

  get totals(): RowTotals {
    return { digest: this.#digest, rows: this.#count, bytes: this.#bytes };
  }

  /** How many writes a commit would take along; one row may be written more than once. */
  get writes(): number {
    return this.#journal.length;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#store.get(key);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    const before = this.#store.get(key);
    if (before !== undefined && equalBytes(before, value)) return;
    this.#journal.push({ key, before });
    this.#set(key, before, value);
  }

  delete(key: Uint8Array): void {
    const before = this.#store.get(key);
    if (before === undefined) return;
    this.#journal.push({ key, before });
    this.#set(key, before, undefined);
  }

  range(from: Uint8Array, to: Uint8Array): Iterable<Row> {
    return this.#store.range(from, to);
  }

  all(): Iterable<Row> {
    return this.#store.range(ROWS_FROM, ROWS_TO);
  }

  /** From now on a capture knows which rows have changed. */
  track(): void {
    this.#changed ??= new ChangedKeys();
  }

  get captured(): boolean {
    return this.#capture !== undefined;
  }

  /** All rows as they are now, to be read later. One at a time, until it is settled. */
  capture(): RowCapture {
    assert(this.#capture === undefined, "I15: there is one capture at a time");
    const changed = this.#changed;
    this.#changed = new ChangedKeys();
    this.#capture = new RowCapture(this.#store, this.totals, changed?.unknown === false ? changed : undefined);
    return this.#capture;
  }

  /** The capture is not read any more. `used`: the next one is about what changed since; otherwise, also about what it was about. */
  settle(capture: RowCapture, used: boolean): void {
    assert(this.#capture === capture, "the capture that is settled is the one that was made");
    capture.close();
    this.#capture = undefined;
    if (used) return;
    if (capture.changed === undefined) this.#changed = undefined;
    else this.#changed?.addAll(capture.changed);
  }

  /** The place to which `rollback` goes back; it holds until the next commit. */
  mark(): number {
    return this.#journal.length;
  }

  /** Undoes every write since the mark. */
  rollback(mark: number): void {
    assert(mark <= this.#journal.length, "a mark is of this commit's time");
    while (this.#journal.length > mark) {
      const { key, before } = this.#journal.pop() as RowUndo;
      this.#set(key, this.#store.get(key), before);
    }
  }

  /** What differs from the last commit, in key order; a row that is again as it was is not there. */
  changes(): RowChange[] {
    const firsts = this.#journal.map((undo, place) => ({ ...undo, place }));
    firsts.sort((a, b) => compareBytes(a.key, b.key) || a.place - b.place);
    const changes: RowChange[] = [];
    let last: Uint8Array | undefined;
    for (const { key, before } of firsts) {
      if (last !== undefined && equalBytes(last, key)) continue;
      last = key;
      const value = this.#store.get(key);
      if (!sameValue(before, value)) changes.push({ key, value });
    }
    return changes;
  }

  /** There is no way back behind this, but for who keeps what it answers: the writes since the last one, in their order. */
  commit(): readonly RowUndo[] {
    const journal = this.#journal;
    this.#journal = [];
    return journal;
  }

  #set(key: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    this.#changed?.add(key);
    this.#capture?.replaces(key, before);
    const hashBefore = before === undefined ? 0n : rowHash(key, before);
    const hashAfter = after === undefined ? 0n : rowHash(key, after);
    this.#digest = asDigest(this.#digest - hashBefore + hashAfter);
    this.#count += Number(after !== undefined) - Number(before !== undefined);
    this.#bytes += rowBytes(key, after) - rowBytes(key, before);
    if (after === undefined) this.#store.delete(key);
    else this.#store.put(key, after);
  }
}

function sameValue(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}
