/**
 * Variable-length integers: seven bits a byte, low first, the high bit says that more follow (LEB128). Values are
 * safe integers from 0; at most eight bytes. Signed values are zigzag-coded first.
 */

/** Bytes that a safe integer takes at most. */
export const VARINT_BYTES_MAX = 8;

export function varintLength(value: number): number {
  let length = 1;
  while (value >= 0x80) {
    value = Math.floor(value / 0x80);
    length += 1;
  }
  return length;
}

/** 0, -1, 1, -2 … become 0, 1, 2, 3 …; the argument must stay within ±2^52. */
export function toZigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

export function fromZigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
