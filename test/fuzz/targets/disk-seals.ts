/** Makes the checksums of what is on disk good again after a mutation, so that what lies behind them is reached. */
import { aligned, FRAME_HEADER_LENGTH, seedOfSegment } from "../../../log-server/log/entries/frame.ts";
import { SEGMENT_HEADER_LENGTH } from "../../../log-server/log/segments/segment-header.ts";
import { xxh64 } from "../../../src/record/checksum.ts";

export const SEQUENCE = 3;
export const HASH_LENGTH = 8;
const BLOCKS = 3;
const BLOCK_HEAD_LENGTH = 16;

/** Makes the hash good that stands before `length` bytes from `at` on, itself among them. */
export function hashed(bytes: Uint8Array, at: number, length: number, seed: bigint): Uint8Array {
  if (bytes.length < at + length) return bytes;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  data.setBigUint64(at, xxh64(bytes.subarray(at + HASH_LENGTH, at + length), seed), true);
  return bytes;
}

/** Makes both hashes of the frame at `at` good, which is to stand at `place`. */
export function framed(bytes: Uint8Array, at: number, place: number): Uint8Array {
  if (bytes.length < at + FRAME_HEADER_LENGTH) return bytes;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = at + FRAME_HEADER_LENGTH;
  data.setBigUint64(at + 24, xxh64(bytes.subarray(start, start + data.getUint32(at + 20, true))), true);
  return hashed(bytes, at, FRAME_HEADER_LENGTH, seedOfSegment(SEQUENCE) + BigInt(place));
}

/** Where frames may still begin in a mutated segment: where their lengths lead to. */
export function framePlaces(bytes: Uint8Array): number[] {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const places: number[] = [];
  for (let place = SEGMENT_HEADER_LENGTH; place + FRAME_HEADER_LENGTH <= bytes.length;) {
    places.push(place);
    const length = data.getUint32(place + 8, true);
    if (length < FRAME_HEADER_LENGTH) break;
    place = aligned(place + length);
  }
  return places;
}

/** A block of a snapshot: hash, length, kind, body. */
export function sealBlock(bytes: Uint8Array, pick: (n: number) => number): Uint8Array {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const target = pick(BLOCKS);
  let place = 0;
  for (let block = 0; place + BLOCK_HEAD_LENGTH <= bytes.length; block += 1) {
    const length = BLOCK_HEAD_LENGTH + data.getUint32(place + HASH_LENGTH, true);
    if (block === target) return hashed(bytes, place, length, (BigInt(SEQUENCE) << 24n) + BigInt(block));
    place += length;
  }
  return bytes;
}
