/**
 * Writes the project's formats: little-endian, into a buffer that grows. One of these can be kept and reused
 * (`reset`); `finish` copies what was written, `view` lends it until the next write.
 */
import { assert } from "./assert.ts";
import { SHARED_LENGTH_MAX, sharedBytes } from "./shared-bytes.ts";
import { toZigzag } from "./varint.ts";

const ENCODER = new TextEncoder();
const HIGH = 0x1_0000_0000;
/** Up to here a loop over ASCII beats the platform's encoder, whose every call has a price. Below 128. */
const SHORT_TEXT_LENGTH = 48;

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
    assert((value & 0xff) === value, "a u8 holds 0 to 255");
    const place = this.#grow(1);
    this.#bytes[place] = value;
    return this;
  }

  u16(value: number): this {
    assert((value & 0xffff) === value, "a u16 holds 0 to 65,535");
    const place = this.#grow(2);
    this.#data.setUint16(place, value, true);
    return this;
  }

  u32(value: number): this {
    assert(value >>> 0 === value, "a u32 holds 0 to 4,294,967,295");
    const place = this.#grow(4);
    this.#data.setUint32(place, value, true);
    return this;
  }

  /** The low 64 bits. */
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
    return value.length <= SHORT_TEXT_LENGTH && this.#asciiString(value) ? this : this.blob(ENCODER.encode(value));
  }

  /** Room for bytes that are patched later; they are zero until then. */
  skip(length: number): this {
    const place = this.#grow(length);
    // It is short, and a call of the platform's has its price.
    for (let at = place; at < place + length; at += 1) this.#bytes[at] = 0;
    return this;
  }

  /* Patches overwrite what was written before, or skipped. */

  patchU8(place: number, value: number): void {
    assert((value & 0xff) === value && place < this.#length, "a patch fits what was written");
    this.#bytes[place] = value;
  }

  patchU32(place: number, value: number): void {
    assert(value >>> 0 === value && place + 4 <= this.#length, "a patch fits what was written");
    this.#data.setUint32(place, value, true);
  }

  patchU64(place: number, value: bigint): void {
    assert(place + 8 <= this.#length, "a patch fits what was written");
    this.#data.setBigUint64(place, value, true);
  }

  /** What was written from `place` on, not copied: valid until the next write or reset. */
  view(place = 0): Uint8Array {
    return this.#bytes.subarray(place, this.#length);
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** As `finish`, for what is soon let go of: it may share memory (`shared-bytes.ts`). */
  finishShared(): Uint8Array {
    if (this.#length > SHARED_LENGTH_MAX) return this.finish();
    const bytes = sharedBytes(this.#length);
    bytes.set(this.view());
    return bytes;
  }

  reset(): void {
    this.#length = 0;
  }

  /** Forgets what was written behind the first `length` bytes. */
  truncate(length: number): this {
    assert(length <= this.#length, "a writer is cut, not stretched");
    this.#length = length;
    return this;
  }

  /** False, and nothing written, where the text is not ASCII. */
  #asciiString(value: string): boolean {
    const start = this.#length;
    // Short enough that its length takes one byte.
    const place = this.#grow(1 + value.length) + 1;
    this.#bytes[start] = value.length;
    for (let index = 0; index < value.length; index += 1) {
      const unit = value.charCodeAt(index);
      if (unit >= 0x80) {
        this.#length = start;
        return false;
      }
      this.#bytes[place + index] = unit;
    }
    return true;
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
