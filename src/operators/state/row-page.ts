/**
 * Rows that stand next to one another, in one piece of memory: a leaf of `MemoryStore`. To a collector of garbage a page is two objects,
 * where a row that has objects of its own is six. A worker that changed 4,080 of 408,000 rows a second, and wrote a snapshot every second, took
 * 0.7 to 0.85 of a processor with such, a quarter of that for collecting them and for bursts of half a second; in pages it takes 0.35.
 *
 * What is written stays as it is, since views of it are handed out: a row that changes is written anew, behind the others, and what it was
 * before is waste. A page that is full goes on in a new piece of memory, without the waste. So whoever keeps a view keeps at most a page
 * of memory with it, and all the views that are kept keep at most some bytes for each that was written since the oldest of them.
 *
 *   row   length of the key (u32) · length of the value (u32) · key · value
 */
import { readU32, writeU32 } from "../../lib/bytes.ts";
import { firstNotBefore } from "../../lib/sorted.ts";
import type { SortedPage } from "./sorted-map.ts";

/** A page is cut in half where it has more rows … */
const ROWS_MAX = 128;
/** … or more bytes of rows, unless it is one row. */
const BYTES_MAX = 48 * 1_024;
/** Where sorted rows are appended, room is left for others between them. */
const FILLED = 0.75;
/** Room for what is written next, as a part of what there is, and within these bounds. */
const ROOM = 0.5;
const ROOM_BYTES_MIN = 256;
const ROOM_BYTES_MAX = 24 * 1_024;
/** Waste that nothing more is written behind goes, too, where it is so many times what is left. */
const WASTE_RATIO_MAX = 2;
const HEAD_BYTES = 8;

export class RowPage implements SortedPage<Uint8Array> {
  #bytes: Uint8Array;
  /** Of `#bytes`, from its beginning. */
  #used = 0;
  /** Of what is used: rows that are still there. */
  #live = 0;
  /** Where each row begins, in the order of their keys. */
  readonly #starts: number[] = [];

  /** `capacity`: whoever knows how much it will hold spares it to move. */
  constructor(capacity = 0) {
    this.#bytes = new Uint8Array(capacity);
  }

  get size(): number {
    return this.#starts.length;
  }

  get tooLarge(): boolean {
    return this.size > ROWS_MAX || (this.#live > BYTES_MAX && this.size > 1);
  }

  /** Of sorted rows the next ones belong to another page. */
  get filled(): boolean {
    return this.size >= ROWS_MAX * FILLED || this.#live >= BYTES_MAX * FILLED;
  }

  /** What it takes of memory. */
  get capacity(): number {
    return this.#bytes.length;
  }

  key(place: number): Uint8Array {
    const start = this.#starts[place] as number;
    return this.#bytes.subarray(start + HEAD_BYTES, start + HEAD_BYTES + readU32(this.#bytes, start));
  }

  value(place: number): Uint8Array {
    const start = this.#starts[place] as number;
    const begin = start + HEAD_BYTES + readU32(this.#bytes, start);
    return this.#bytes.subarray(begin, begin + readU32(this.#bytes, start + 4));
  }

  placeOf(key: Uint8Array): number {
    return firstNotBefore(this.#starts, (start) => this.#compareAt(start, key) < 0);
  }

  compare(place: number, key: Uint8Array): number {
    return this.#compareAt(this.#starts[place] as number, key);
  }

  insert(place: number, key: Uint8Array, value: Uint8Array): void {
    const start = this.#write(key, value);
    if (place === this.size) this.#starts.push(start);
    else this.#starts.splice(place, 0, start);
  }

  replace(place: number, key: Uint8Array, value: Uint8Array): void {
    this.#live -= this.#lengthOf(place);
    // A new piece of memory is without it.
    const start = this.#write(key, value, place);
    this.#starts[place] = start;
  }

  remove(place: number): void {
    this.#live -= this.#lengthOf(place);
    this.#starts.splice(place, 1);
    if (this.#used - this.#live > WASTE_RATIO_MAX * this.#live + ROOM_BYTES_MAX) this.#move(0);
  }

  cut(): RowPage {
    const upper = new RowPage(Math.ceil(this.#live * (1 + ROOM)) >>> 1);
    const middle = this.size >>> 1;
    for (let place = middle; place < this.size; place += 1) {
      this.#live -= this.#lengthOf(place);
      upper.insert(place - middle, this.key(place), this.value(place));
    }
    this.#starts.length = middle;
    this.#move(0);
    return upper;
  }

  /** As `compareBytes` of its key, without a view of that. */
  #compareAt(start: number, key: Uint8Array): number {
    const bytes = this.#bytes;
    const length = readU32(bytes, start);
    const shared = Math.min(length, key.length);
    for (let at = 0; at < shared; at += 1) {
      const difference = (bytes[start + HEAD_BYTES + at] as number) - (key[at] as number);
      if (difference !== 0) return difference;
    }
    return length - key.length;
  }

  #lengthOf(place: number): number {
    return lengthAt(this.#bytes, this.#starts[place] as number);
  }

  /** Behind all others; answers where. `instead`: the place of the row that it stands for. */
  #write(key: Uint8Array, value: Uint8Array, instead = -1): number {
    const length = HEAD_BYTES + key.length + value.length;
    if (this.#used + length > this.#bytes.length) this.#move(length, instead);
    const [bytes, start] = [this.#bytes, this.#used];
    writeU32(bytes, start, key.length);
    writeU32(bytes, start + 4, value.length);
    bytes.set(key, start + HEAD_BYTES);
    bytes.set(value, start + HEAD_BYTES + key.length);
    this.#used += length;
    this.#live += length;
    return start;
  }

  /** To a new piece of memory, with room for a row of this length, and for some more. The row at the place `without` is let go. */
  #move(length: number, without = -1): void {
    const needed = this.#live + length;
    const room = Math.min(Math.max(Math.ceil(needed * ROOM), ROOM_BYTES_MIN), ROOM_BYTES_MAX);
    const [before, bytes] = [this.#bytes, new Uint8Array(needed + room)];
    this.#bytes = bytes;
    if (this.#used === this.#live && without < 0) {
      bytes.set(before.subarray(0, this.#used));
      return;
    }
    let used = 0;
    for (let place = 0; place < this.size; place += 1) {
      if (place === without) continue;
      const start = this.#starts[place] as number;
      const length = lengthAt(before, start);
      bytes.set(before.subarray(start, start + length), used);
      this.#starts[place] = used;
      used += length;
    }
    this.#used = used;
  }
}

/** Of the row that begins there. */
function lengthAt(bytes: Uint8Array, start: number): number {
  return HEAD_BYTES + readU32(bytes, start) + readU32(bytes, start + 4);
}
