/**
 * The batches of an unsealed segment, in columns (see `entry-table.ts`), in the order in which they were written.
 * Where the state machine put a batch is known once its entry is applied.
 */
import { grown } from "./entry-table.ts";

const FIRST_CAPACITY = 64;

export class RowTable {
  count = 0;
  /** Of the batch's bytes in the segment's file. */
  place: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  length: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  span: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  hash: BigUint64Array = new BigUint64Array(FIRST_CAPACITY);
  /** The slot of its entry. */
  slot: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  /** -1: not applied, or not accepted. */
  stream: Float64Array = new Float64Array(FIRST_CAPACITY);
  firstOffset: Float64Array = new Float64Array(FIRST_CAPACITY);
  /**
   * While the tail's cache keeps the bytes: the block that they are in, shared with others, and where they begin. An
   * object for each batch would be most of what the garbage collector has to look at under small appends.
   */
  readonly #block: (Uint8Array | undefined)[] = [];
  #blockAt: Uint32Array = new Uint32Array(FIRST_CAPACITY);

  add(place: number, length: number, span: number, hash: bigint, slot: number): void {
    const at = this.count;
    if (at === this.place.length) this.#grow(at * 2);
    this.place[at] = place;
    this.length[at] = length;
    this.span[at] = span;
    this.hash[at] = hash;
    this.slot[at] = slot;
    this.stream[at] = -1;
    this.firstOffset[at] = 0;
    this.#block[at] = undefined;
    this.count = at + 1;
  }

  keepBytes(row: number, block: Uint8Array, blockAt: number): void {
    this.#block[row] = block;
    this.#blockAt[row] = blockAt;
  }

  forgetBytes(row: number): void {
    this.#block[row] = undefined;
  }

  /** A view of the bytes, if they are in memory. */
  bytes(row: number): Uint8Array | undefined {
    const at = this.#blockAt[row] as number;
    return this.#block[row]?.subarray(at, at + (this.length[row] as number));
  }

  truncate(count: number): void {
    this.count = count;
    this.#block.length = count;
  }

  #grow(capacity: number): void {
    this.place = grown(this.place, new Uint32Array(capacity));
    this.length = grown(this.length, new Uint32Array(capacity));
    this.span = grown(this.span, new Uint32Array(capacity));
    this.hash = grown(this.hash, new BigUint64Array(capacity));
    this.slot = grown(this.slot, new Uint32Array(capacity));
    this.stream = grown(this.stream, new Float64Array(capacity));
    this.firstOffset = grown(this.firstOffset, new Float64Array(capacity));
    this.#blockAt = grown(this.#blockAt, new Uint32Array(capacity));
  }
}
