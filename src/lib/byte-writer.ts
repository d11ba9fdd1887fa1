/**
 * Writes the project's formats: little-endian, into a buffer that grows. One of these can be kept and reused
 * (`reset`); `finish` copies what was written, `view` lends it until the next write.
 */
import { assert } from "./assert.ts";
import { toZigzag } from "./varint.ts";

const ENCODER = new TextEncoder();
const HIGH = 0x1_0000_0000;

export class ByteWriter {
  #bytes: Uint8Array;
  #data: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#data = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const place = this.#grow(1);
    this.#bytes[place] = value;
    return this;
  }

  u16(value: number): this {
    const place = this.#grow(2);
    this.#data.setUint16(place, value, true);
    return this;
  }

  u32(value: number): this {
    const place = this.#grow(4);
    this.#data.setUint32(place, value, true);
    return this;
  }

  u64(value: bigint): this {
    const place = this.#grow(8);
    this.#data.setBigUint64(place, value, true);
    return this;
  }

  /** A safe integer from 0, as u64. */
  int(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, "a codec writes safe integers only");
    const place = this.#grow(8);
    this.#data.setUint32(place, value % HIGH, true);
    this.#data.setUint32(place + 4, Math.floor(value / HIGH), true);
    return this;
  }

  f64(value: number): this {
    const place = this.#grow(8);
    this.#data.setFloat64(place, value, true);
    return this;
  }

  varint(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, "a codec writes safe integers only");
    let place = this.#grow(8);
    while (value >= 0x80) {
      this.#bytes[place] = (value % 0x80) | 0x80;
      value = Math.floor(value / 0x80);
      place += 1;
    }
    this.#bytes[place] = value;
    this.#length = place + 1;
    return this;
  }

  zigzag(value: number): this {
    return this.varint(toZigzag(value));
  }

  bytes(value: Uint8Array): this {
    const place = this.#grow(value.length);
    this.#bytes.set(value, place);
    return this;
  }

  /** Length, then bytes. */
  blob(value: Uint8Array): this {
    return this.varint(value.length).bytes(value);
  }

  /** Length in UTF-8, then the text. */
  string(value: string): this {
    return this.blob(ENCODER.encode(value));
  }

  /** Overwrites four bytes that were written before. */
  patchU32(place: number, value: number): void {
    this.#data.setUint32(place, value, true);
  }

  patchU64(place: number, value: bigint): void {
    this.#data.setBigUint64(place, value, true);
  }

  /** What was written, not copied: valid until the next write or reset. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  reset(): void {
    this.#length = 0;
  }

  #grow(by: number): number {
    const place = this.#length;
    const needed = place + by;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, place));
      this.#bytes = grown;
      this.#data = new DataView(grown.buffer);
    }
    this.#length = needed;
    return place;
  }
}
