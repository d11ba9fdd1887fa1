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
   * While the tail's cache keeps the bytes: the number of the block that they are in, shared with others, and where they
   * begin. An object or a reference for each batch would be most of what the garbage collector has to look at under small
   * appends. Without bytes the number is 0.
   */
  #block: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  #blockAt: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  /** By number, in the order of their rows: `#firstBlock` to before `#nextBlock`. */
  readonly #blocks = new Map<number, Uint8Array>();
  #firstBlock = 1;
  #nextBlock = 1;

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
    this.#block[at] = 0;
    this.count = at + 1;
  }

  /** Of the newest row. */
  keepBytes(block: Uint8Array, blockAt: number): void {
    const row = this.count - 1;
    if (this.#blocks.get(this.#nextBlock - 1) !== block) {
      this.#blocks.set(this.#nextBlock, block);
      this.#nextBlock += 1;
    }
    this.#block[row] = this.#nextBlock - 1;
    this.#blockAt[row] = blockAt;
  }

  /** Of the rows `from` to before `to`, and of none before them is anything kept. */
  forgetBytes(from: number, to: number): void {
    const end = Math.min(to, this.count);
    let last = 0;
    for (let row = from; row < end; row += 1) {
      last = Math.max(last, this.#block[row] as number);
      this.#block[row] = 0;
    }
    const needed = end < this.count && this.#block[end] === last ? last : last + 1;
    for (; this.#firstBlock < needed; this.#firstBlock += 1) this.#blocks.delete(this.#firstBlock);
  }

  /** A view of the bytes, if they are in memory. */
  bytes(row: number): Uint8Array | undefined {
    const at = this.#blockAt[row] as number;
    return this.#blocks.get(this.#block[row] as number)?.subarray(at, at + (this.length[row] as number));
  }

  truncate(count: number): void {
    this.count = count;
    const last = count === 0 ? 0 : (this.#block[count - 1] as number);
    for (; this.#nextBlock > Math.max(last + 1, this.#firstBlock); this.#nextBlock -= 1)
      this.#blocks.delete(this.#nextBlock - 1);
  }

  #grow(capacity: number): void {
    this.place = grown(this.place, new Uint32Array(capacity));
    this.length = grown(this.length, new Uint32Array(capacity));
    this.span = grown(this.span, new Uint32Array(capacity));
    this.hash = grown(this.hash, new BigUint64Array(capacity));
    this.slot = grown(this.slot, new Uint32Array(capacity));
    this.stream = grown(this.stream, new Float64Array(capacity));
    this.firstOffset = grown(this.firstOffset, new Float64Array(capacity));
    this.#block = grown(this.#block, new Uint32Array(capacity));
    this.#blockAt = grown(this.#blockAt, new Uint32Array(capacity));
  }
}
