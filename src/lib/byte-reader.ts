/**
 * Reads the project's formats out of bytes that may be anything. It never throws and never allocates more than the
 * input holds: after the first overrun or bad value `failed` is set for good and every getter returns zero or
 * nothing, so a decoder reads straight on and looks at `failed` once, at its end.
 */
import { text } from "./bytes.ts";
import { fromZigzag, VARINT_BYTES_MAX } from "./varint.ts";

const NOTHING: Uint8Array = new Uint8Array(0);
const HIGH = 0x1_0000_0000;

export class ByteReader {
  readonly #bytes: Uint8Array;
  /** Made when it is needed: most of what is read has varints and bytes only. */
  #data: DataView | undefined;
  readonly #end: number;
  #position: number;
  #failed = false;

  constructor(bytes: Uint8Array, position = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#position = position;
    this.#end = Math.min(end, bytes.length);
    if (!(position >= 0 && position <= this.#end)) this.#failed = true;
  }

  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#failed ? 0 : this.#end - this.#position;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** All was read, and all of it was good. */
  get complete(): boolean {
    return !this.#failed && this.#position === this.#end;
  }

  /** For values that are well-formed but not allowed. */
  fail(): void {
    this.#failed = true;
  }

  u8(): number {
    const place = this.#take(1);
    return place < 0 ? 0 : (this.#bytes[place] as number);
  }

  u16(): number {
    const place = this.#take(2);
    return place < 0 ? 0 : this.#view().getUint16(place, true);
  }

  u32(): number {
    const place = this.#take(4);
    return place < 0 ? 0 : this.#view().getUint32(place, true);
  }

  u64(): bigint {
    const place = this.#take(8);
    return place < 0 ? 0n : this.#view().getBigUint64(place, true);
  }

  /** A u64 that must be a safe integer. */
  int(): number {
    const place = this.#take(8);
    if (place < 0) return 0;
    const data = this.#view();
    const value = data.getUint32(place + 4, true) * HIGH + data.getUint32(place, true);
    return this.#checked(value);
  }

  f64(): number {
    const place = this.#take(8);
    return place < 0 ? 0 : this.#view().getFloat64(place, true);
  }

  /** A safe integer; overlong forms (a last byte of zero) are refused, so each value has one encoding. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let length = 1; length <= VARINT_BYTES_MAX; length += 1) {
      const place = this.#take(1);
      if (place < 0) return 0;
      const byte = this.#bytes[place] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && length > 1) this.#failed = true;
        return this.#checked(value);
      }
      scale *= 0x80;
    }
    this.#failed = true;
    return 0;
  }

  zigzag(): number {
    return fromZigzag(this.varint());
  }

  /** Passes over bytes. */
  skip(length: number): void {
    this.#take(length);
  }

  /** The next bytes, not copied. */
  bytes(length: number): Uint8Array {
    const place = this.#take(length);
    return place < 0 ? NOTHING : this.#bytes.subarray(place, place + length);
  }

  /** Length, then bytes; not copied. */
  blob(maxBytes: number): Uint8Array {
    const length = this.varint();
    if (length > maxBytes) this.#failed = true;
    return this.bytes(length);
  }

  string(maxBytes: number): string {
    const value = text(this.blob(maxBytes));
    if (value === undefined) this.#failed = true;
    return value ?? "";
  }

  /** How many items follow: bounded by `max`, and by the bytes left, for each takes one at least. */
  count(max: number): number {
    const value = this.varint();
    if (value > max || value > this.remaining) this.#failed = true;
    return this.#failed ? 0 : value;
  }

  #view(): DataView {
    this.#data ??= new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    return this.#data;
  }

  #take(length: number): number {
    const place = this.#position;
    // Written so that NaN and negative lengths fail, too: decoders compute some.
    if (this.#failed || !(length >= 0 && length <= this.#end - place)) {
      this.#failed = true;
      return -1;
    }
    this.#position = place + length;
    return place;
  }

  #checked(value: number): number {
    if (value > Number.MAX_SAFE_INTEGER) {
      this.#failed = true;
      return 0;
    }
    return value;
  }
}
