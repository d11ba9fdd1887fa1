/** Bytes that are almost right: what parsers are least prepared for. Everything is drawn from the given generator. */
import { concat } from "../../src/lib/bytes.ts";
import type { Prng } from "../../src/lib/prng.ts";

/** Values that parsers trip over: ends of ranges, lengths, varint continuations. */
const INTERESTING: readonly (readonly number[])[] = [
  [0],
  [1],
  [0x7f],
  [0x80],
  [0xff],
  [0xff, 0xff],
  [0x80, 0x00],
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0x7f],
  [0x00, 0x00, 0x00, 0x80],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
];

/** One of the samples with one to four small changes; now and then bytes that have nothing to do with any. */
export function mutate(prng: Prng, samples: readonly Uint8Array[]): Uint8Array {
  if (prng.chance(0.05)) return prng.bytes(prng.below(200));
  let bytes = prng.pick(samples);
  for (let change = 0; change <= prng.below(4); change += 1) bytes = changed(prng, bytes, samples);
  return bytes;
}

function changed(prng: Prng, bytes: Uint8Array, samples: readonly Uint8Array[]): Uint8Array {
  const place = prng.below(bytes.length + 1);
  const other = prng.pick(samples);
  switch (prng.below(7)) {
    case 0:
      return withBytes(bytes, place, [(bytes[place] ?? 0) ^ (1 << prng.below(8))]);
    case 1:
      return withBytes(bytes, place, prng.pick(INTERESTING));
    case 2:
      return concat([bytes.subarray(0, place), Uint8Array.from(prng.pick(INTERESTING)), bytes.subarray(place)]);
    case 3:
      return bytes.slice(0, place);
    case 4:
      return concat([bytes.subarray(0, place), bytes.subarray(place + prng.below(8))]);
    case 5:
      return concat([bytes.subarray(0, place), other.subarray(prng.below(other.length + 1))]);
    default:
      return withBytes(bytes, place, [prng.below(256)]);
  }
}

function withBytes(bytes: Uint8Array, place: number, values: readonly number[]): Uint8Array {
  const copy = bytes.slice();
  for (const [index, value] of values.entries()) if (place + index < copy.length) copy[place + index] = value;
  return copy;
}
