/**
 * A body of a stream's content type, made of its values: behind one another, or in JSON mode an array of them. Values are
 * copied out of the batches that hold them, once, with nothing made for each.
 */
import type { BodyPool } from "../body-pool.ts";
import { isJson } from "../content-type.ts";

const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
/** A tombstone, to readers of JSON; to others it is nothing. */
const NULL: Uint8Array = Buffer.from("null");
const NOTHING: Buffer = Buffer.alloc(0);

export class StreamBody {
  readonly #json: boolean;
  readonly #pool: BodyPool;
  #bytes: Buffer;
  #length = 0;
  #count = 0;

  /** `bytesExpected`: about how long it will be. */
  constructor(contentType: string, bytesExpected: number, pool: BodyPool) {
    this.#json = isJson(contentType);
    this.#pool = pool;
    this.#bytes = pool.take(bytesExpected + 2);
  }

  /** Values added, tombstones among them. */
  get count(): number {
    return this.#count;
  }

  add(source: Buffer, start: number, end: number): void {
    const length = end - start;
    const at = this.#begin(length);
    source.copy(this.#bytes, at, start, end);
    this.#length = at + length;
  }

  addTombstone(): void {
    const length = this.#json ? NULL.length : 0;
    const at = this.#begin(length);
    if (this.#json) this.#bytes.set(NULL, at);
    this.#length = at + length;
  }

  /** All of it; nothing is added any more. */
  finish(): Uint8Array {
    if (!this.#json) return this.#bytes.subarray(0, this.#length);
    if (this.#count === 0) this.#bytes[this.#length++] = OPEN_BRACKET;
    this.#bytes[this.#length++] = CLOSE_BRACKET;
    return this.#bytes.subarray(0, this.#length);
  }

  /** Its memory is for others now; the body that `finish` gave is gone. */
  release(): void {
    this.#pool.give(this.#bytes);
    this.#bytes = NOTHING;
  }

  /** Room for the next value and for what stands before it and closes it; where the value begins. */
  #begin(length: number): number {
    const needed = this.#length + length + 2;
    if (needed > this.#bytes.length) {
      const grown = this.#pool.take(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#pool.give(this.#bytes);
      this.#bytes = grown;
    }
    if (this.#json) this.#bytes[this.#length++] = this.#count === 0 ? OPEN_BRACKET : COMMA;
    this.#count += 1;
    return this.#length;
  }
}
