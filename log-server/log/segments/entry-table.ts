/**
 * The entries of an unsealed segment, in columns: a segment holds hundreds of thousands of small ones, and as objects
 * they would cost more than they store. Slots are in log order, without gaps; a damaged entry keeps its slot.
 */
import { assert } from "../../../src/lib/assert.ts";

export type EntrySlot = {
  readonly place: number;
  /** Of the frame, without padding; 0 for an entry of which nothing is known. */
  readonly length: number;
  readonly term: number;
  readonly hash: bigint;
  readonly logTime: number;
  readonly firstRow: number;
  readonly rowCount: number;
  readonly intact: boolean;
};

const FIRST_CAPACITY = 64;

export class EntryTable {
  count = 0;
  place: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  length: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  term: Float64Array = new Float64Array(FIRST_CAPACITY);
  hash: BigUint64Array = new BigUint64Array(FIRST_CAPACITY);
  logTime: Float64Array = new Float64Array(FIRST_CAPACITY);
  /** The entry's batches: rows of the row table. */
  firstRow: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  rowCount: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  /** 1: the head can be read. */
  intact: Uint8Array = new Uint8Array(FIRST_CAPACITY);
  /** 1: it is known where the state machine put its batches. */
  placed: Uint8Array = new Uint8Array(FIRST_CAPACITY);

  add(slot: EntrySlot): void {
    const at = this.count;
    if (at === this.place.length) this.#grow(at * 2);
    this.place[at] = slot.place;
    this.length[at] = slot.length;
    this.term[at] = slot.term;
    this.hash[at] = slot.hash;
    this.logTime[at] = slot.logTime;
    this.firstRow[at] = slot.firstRow;
    this.rowCount[at] = slot.rowCount;
    this.intact[at] = slot.intact ? 1 : 0;
    this.placed[at] = 0;
    this.count = at + 1;
  }

  /** Forgets the slots from `count` on. */
  truncate(count: number): void {
    assert(count <= this.count, "a table is cut, not extended");
    this.count = count;
  }

  #grow(capacity: number): void {
    this.place = grown(this.place, new Uint32Array(capacity));
    this.length = grown(this.length, new Uint32Array(capacity));
    this.term = grown(this.term, new Float64Array(capacity));
    this.hash = grown(this.hash, new BigUint64Array(capacity));
    this.logTime = grown(this.logTime, new Float64Array(capacity));
    this.firstRow = grown(this.firstRow, new Uint32Array(capacity));
    this.rowCount = grown(this.rowCount, new Uint32Array(capacity));
    this.intact = grown(this.intact, new Uint8Array(capacity));
    this.placed = grown(this.placed, new Uint8Array(capacity));
  }
}

/** Copies a column into a longer one. */
export function grown<Column extends { set(from: Column): void }>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}
