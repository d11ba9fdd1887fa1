/**
 * A task's rows on disk, in a `Kv` of their own, for state that is larger than memory. What was changed stays in memory until
 * it is flushed, and is read from there.
 *
 * Only what is *sealed* is flushed, in one transaction together with the totals of all rows: what is on disk is a task's state
 * at one place of its input, always. That place must not be ahead of the task's commits, for nobody could make the outputs in
 * between again after a restart: whoever drives the task seals at each `take`, and flushes what has been committed.
 *
 * It is a copy of what the log says. Opened, it is read whole, in turns, and compared with its totals; on any doubt it begins empty.
 */
import { assert } from "../../lib/assert.ts";
import { ByteReader } from "../../lib/byte-reader.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import { utf8 } from "../../lib/bytes.ts";
import { unguarded } from "../../operators/engine/guards.ts";
import { behindKey, type Over, Overlay } from "../../operators/state/overlay.ts";
import { ROWS_FROM, ROWS_TO } from "../../operators/state/row-keys.ts";
import type { StateStore } from "../../operators/state/state-store.ts";
import {
  NO_ROWS,
  readTotals,
  type RowTotals,
  sameTotals,
  TotalsSum,
  writeTotals,
} from "../../operators/state/totals.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Kv, KvWrite } from "../../ports/kv.ts";
import type { Row } from "../../record/row.ts";
import { RUNTIME_LIMITS } from "../limits.ts";
import { Turns } from "../snapshots/turns.ts";

/** The rows of a task are before it. */
const TOTALS_KEY: Uint8Array = Uint8Array.of(0xff, ...utf8("totals"));
const VERSION = 1;

type Change = { readonly key: Uint8Array; readonly over: Over };
type Sealed = {
  readonly number: number;
  readonly changes: readonly Change[];
  readonly bytes: number;
  readonly totals: RowTotals;
};

export type OpenedKvStore = {
  readonly store: KvStore;
  /** Of the rows that it opened with. */
  readonly totals: RowTotals;
  /** Why it begins empty although there was something. */
  readonly discarded?: string;
};

export class KvStore implements StateStore {
  readonly #kv: Kv;
  readonly #label: string;
  /** What differs from what is on disk. */
  readonly #overlay = new Overlay();
  /** Since the last seal. */
  #changes: Change[] = [];
  #changedBytes = 0;
  #sealed: Sealed[] = [];
  #sealedBytes = 0;
  #seals = 0;
  #flushing = false;
  /** Changes when what is on disk does: a range then looks for its place again. */
  #flushes = 0;

  /** `label`: whose rows these are, so that they are not taken for another's. Nobody else uses the `Kv`. */
  static async open(kv: Kv, label: string, clock: Clock): Promise<OpenedKvStore> {
    const store = new KvStore(kv, label);
    const totals = await storedTotals(kv, clock);
    const discarded = objection(kv.get(TOTALS_KEY), label, totals);
    if (discarded === undefined) return { store, totals };
    await kv.clear();
    return { store, totals: NO_ROWS, discarded };
  }

  /** All rows of a state were written to the `Kv` by somebody else: from now on it is a store. */
  static complete(kv: Kv, label: string, totals: RowTotals): Promise<void> {
    return kv.write([totalsWrite(label, totals)]);
  }

  private constructor(kv: Kv, label: string) {
    this.#kv = kv;
    this.#label = label;
  }

  /** Which all changes take that are in memory for not having been flushed. */
  get unflushedBytes(): number {
    return this.#sealedBytes + this.#changedBytes;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const over = this.#overlay.get(key);
    return over === undefined ? unguarded(() => this.#kv.get(key)) : over.value;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#set(key, value);
  }

  delete(key: Uint8Array): void {
    this.#set(key, undefined);
  }

  *range(from: Uint8Array, to: Uint8Array): Iterable<Row> {
    let next = from;
    for (;;) {
      const flushes = this.#flushes;
      let last: Uint8Array | undefined;
      for (const row of this.#overlay.over(stored(this.#kv, next, to), next, to)) {
        last = row[0];
        yield row;
        if (flushes !== this.#flushes) break;
      }
      if (last === undefined || flushes === this.#flushes) return;
      next = behindKey(last);
    }
  }

  /** What was changed until now is a state at one place, with these totals. Answers what `flush` takes. */
  seal(totals: RowTotals): number {
    if (this.#changes.length === 0) return this.#seals;
    // Of a row that was changed twice, the last.
    const changes = this.#changes.filter(({ key, over }) => this.#overlay.get(key) === over);
    this.#seals += 1;
    const bytes = bytesOf(changes);
    this.#sealed.push({ number: this.#seals, changes, bytes, totals });
    this.#sealedBytes += bytes;
    this.#changes = [];
    this.#changedBytes = 0;
    return this.#seals;
  }

  /** Writes all until this seal: on disk when it resolves. Where it fails the store is of no more use. */
  async flush(seal: number): Promise<void> {
    assert(!this.#flushing, "a store is flushed by one at a time");
    const covered = this.#sealed.filter(({ number }) => number <= seal);
    const last = covered.at(-1);
    if (last === undefined) return;
    const changes = covered.flatMap(({ changes }) => changes);
    this.#flushing = true;
    await this.#kv.write([...changes.map(writeOf), totalsWrite(this.#label, last.totals)]);
    this.#flushing = false;
    this.#flushes += 1;
    this.#sealed = this.#sealed.filter(({ number }) => number > seal);
    this.#sealedBytes -= covered.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { key, over } of changes) if (this.#overlay.get(key) === over) this.#overlay.forget(key);
  }

  #set(key: Uint8Array, value: Uint8Array | undefined): void {
    const change: Change = { key, over: this.#overlay.set(key, value) };
    this.#changes.push(change);
    this.#changedBytes += sizeOf(change);
  }
}

/** There may be so many that whoever reads them must be heard of meanwhile. */
async function storedTotals(kv: Kv, clock: Clock): Promise<RowTotals> {
  const turns = new Turns(clock, 0);
  const limit = RUNTIME_LIMITS.openedRowsPerTurn;
  const sum = new TotalsSum();
  let next = ROWS_FROM;
  for (;;) {
    let looked = 0;
    for (const [key, value] of kv.range(next, ROWS_TO, { limit })) {
      sum.add(key, value);
      next = behindKey(key);
      looked += 1;
    }
    if (looked < limit) return sum.totals;
    await turns.rest();
  }
}

/** Asked for while operators run, too. */
function* stored(kv: Kv, from: Uint8Array, to: Uint8Array): Iterable<Row> {
  const rows = unguarded(() => kv.range(from, to)[Symbol.iterator]());
  try {
    for (;;) {
      const next = unguarded(() => rows.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    unguarded(() => rows.return?.());
  }
}

function totalsWrite(label: string, totals: RowTotals): KvWrite {
  const value = new ByteWriter().u8(VERSION).string(label);
  return { kind: "put", key: TOTALS_KEY, value: writeTotals(value, totals).finish() };
}

function writeOf({ key, over: { value } }: Change): KvWrite {
  return value === undefined ? { kind: "delete", key } : { kind: "put", key, value };
}

function bytesOf(changes: readonly Change[]): number {
  return changes.reduce((sum, change) => sum + sizeOf(change), 0);
}

function sizeOf({ key, over: { value } }: Change): number {
  return RUNTIME_LIMITS.rowOverheadBytes + key.length + (value?.length ?? 0);
}

/** Why these rows are not to be used; undefined if they are, or if there are none. */
function objection(stored: Uint8Array | undefined, label: string, found: RowTotals): string | undefined {
  if (stored === undefined) return found.rows === 0 ? undefined : "it was never complete";
  const reader = new ByteReader(stored);
  const version = reader.u8();
  const owner = reader.string(stored.length);
  const totals = readTotals(reader);
  if (!reader.complete || version !== VERSION) return "what it says of itself cannot be read";
  if (owner !== label) return `it is of "${owner}", not of "${label}"`;
  return sameTotals(totals, found) ? undefined : "its rows are not those that were written";
}
