/** Index rows in columns: a rewrite holds those of a whole segment, and as objects they would cost more than they say. */
import { assert } from "../../../src/lib/assert.ts";
import { grown } from "../segments/entry-table.ts";
import type { BatchRow } from "./index-block.ts";

const FIRST_CAPACITY = 64;

export class BatchColumns {
  count = 0;
  #stream: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  #firstOffset: Float64Array = new Float64Array(FIRST_CAPACITY);
  #hash: BigUint64Array = new BigUint64Array(FIRST_CAPACITY);
  #logTime: Float64Array = new Float64Array(FIRST_CAPACITY);
  #position: Float64Array = new Float64Array(FIRST_CAPACITY);
  #ordinal: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  #span: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  #place: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  #length: Uint32Array = new Uint32Array(FIRST_CAPACITY);

  /** Where it is kept. */
  add(row: BatchRow): number {
    const at = this.count;
    if (at === this.#place.length) this.#grow(at * 2);
    this.#stream[at] = row.streamId;
    this.#firstOffset[at] = row.firstOffset;
    this.#hash[at] = row.hash;
    this.#logTime[at] = row.logTime;
    this.#position[at] = row.position;
    this.#ordinal[at] = row.ordinal;
    this.#span[at] = row.span;
    this.#place[at] = row.place;
    this.#length[at] = row.length;
    this.count = at + 1;
    return at;
  }

  row(at: number): BatchRow {
    return {
      streamId: this.#stream[at] as number,
      firstOffset: this.#firstOffset[at] as number,
      hash: this.#hash[at] as bigint,
      logTime: this.#logTime[at] as number,
      position: this.#position[at] as number,
      ordinal: this.#ordinal[at] as number,
      span: this.#span[at] as number,
      place: this.#place[at] as number,
      length: this.#length[at] as number,
    };
  }

  /** All of them in the order in which they stand in their file. */
  byPlace(): Uint32Array {
    const { count } = this;
    // Numbers are sorted by themselves in a fifth of the time that comparing takes, and appends wait for it.
    const keys = new Float64Array(count);
    for (let at = 0; at < count; at += 1) keys[at] = (this.#place[at] as number) * count + at;
    keys.sort();
    assert(Number.isSafeInteger(keys.at(-1) ?? 0), "places and rows of one file fit together in a number");
    return Uint32Array.from(keys, (key) => key % count);
  }

  #grow(capacity: number): void {
    this.#stream = grown(this.#stream, new Uint32Array(capacity));
    this.#firstOffset = grown(this.#firstOffset, new Float64Array(capacity));
    this.#hash = grown(this.#hash, new BigUint64Array(capacity));
    this.#logTime = grown(this.#logTime, new Float64Array(capacity));
    this.#position = grown(this.#position, new Float64Array(capacity));
    this.#ordinal = grown(this.#ordinal, new Uint32Array(capacity));
    this.#span = grown(this.#span, new Uint32Array(capacity));
    this.#place = grown(this.#place, new Uint32Array(capacity));
    this.#length = grown(this.#length, new Uint32Array(capacity));
  }
}
