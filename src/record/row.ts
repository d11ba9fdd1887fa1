/**
 * Rows: how state is kept outside of memory, in an image or a snapshot. A row's hash is of its key and value together,
 * so that a value in the wrong place shows. The sum of all rows' hashes, mod 2^64, is the digest of a state, in
 * whatever order they come: what nodes compare, and what a stored copy is verified by (I10, I13).
 */
import { xxh64 } from "./checksum.ts";

/** `undefined`: the row is deleted. */
export type RowChange = { readonly key: Uint8Array; readonly value: Uint8Array | undefined };
export type Row = readonly [key: Uint8Array, value: Uint8Array];

const LENGTH_BYTES = 4;
const U64 = 64;

let scratch = new Uint8Array(4_096);
let scratchView = new DataView(scratch.buffer);

/** xxh64 of the key's length (u32), the key and the value. */
export function rowHash(key: Uint8Array, value: Uint8Array): bigint {
  const length = LENGTH_BYTES + key.length + value.length;
  if (length > scratch.length) {
    scratch = new Uint8Array(length * 2);
    scratchView = new DataView(scratch.buffer);
  }
  scratchView.setUint32(0, key.length, true);
  scratch.set(key, LENGTH_BYTES);
  scratch.set(value, LENGTH_BYTES + key.length);
  return xxh64(scratch.subarray(0, length));
}

/** Sums and differences of row hashes. */
export function asDigest(sum: bigint): bigint {
  return BigInt.asUintN(U64, sum);
}
