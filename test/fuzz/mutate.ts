/** Bytes that are almost right: what parsers are least prepared for. Everything is drawn from the given generator. */
import { concat } from "../../src/lib/bytes.ts";
import type { Prng } from "../../src/lib/prng.ts";

/** Values that parsers trip over: ends of ranges, lengths, varint continuations, what is no UTF-8. */
const INTERESTING: readonly Uint8Array[] = [
  [0],
  [1],
  [0x7f],
  [0x80],
  [0xff],
  [0xff, 0xff],
  [0x80, 0x00],
  [0x00, 0x00, 0x00, 0x00],
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0x7f],
  [0x00, 0x00, 0x00, 0x80],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
].map((bytes) => Uint8Array.from(bytes));

const CHANGES_MAX = 4;
const NOISE_BYTES_MAX = 200;
/** Of bytes repeated; an input never grows beyond a few of its samples. */
const REPEATED_BYTES_MAX = 64;
const REPEATS_MAX = 8;
const WORD_BYTES = 4;

/**
 * One of the samples with one to four small changes; now and then bytes that have nothing to do with any. `words` are
 * pieces of the format that may turn up anywhere.
 */
export function mutate(
  prng: Prng,
  samples: readonly Uint8Array[],
  words: readonly Uint8Array[] = INTERESTING,
): Uint8Array {
  if (prng.chance(0.05)) return prng.bytes(prng.below(NOISE_BYTES_MAX));
  let bytes = prng.pick(samples);
  for (let left = 1 + prng.below(CHANGES_MAX); left > 0; left -= 1) bytes = changed(prng, bytes, samples, words);
  return bytes;
}

function changed(
  prng: Prng,
  bytes: Uint8Array,
  samples: readonly Uint8Array[],
  words: readonly Uint8Array[],
): Uint8Array {
  const place = prng.below(bytes.length + 1);
  switch (prng.below(10)) {
    case 0:
      return withBytes(bytes, place, [(bytes[place] ?? 0) ^ (1 << prng.below(8))]);
    case 1:
      return withBytes(bytes, place, prng.pick(INTERESTING));
    case 2:
      return inserted(bytes, place, prng.pick(words));
    case 3:
      return bytes.slice(0, place);
    case 4:
      return concat([bytes.subarray(0, place), bytes.subarray(place + prng.below(8))]);
    case 5: {
      const other = prng.pick(samples);
      return concat([bytes.subarray(0, place), other.subarray(prng.below(other.length + 1))]);
    }
    case 6: {
      const end = place + prng.below(REPEATED_BYTES_MAX);
      const piece = bytes.subarray(place, end);
      return inserted(bytes, place, concat(Array.from({ length: 1 + prng.below(REPEATS_MAX) }, () => piece)));
    }
    case 7:
      return withLength(prng, bytes, place);
    case 8: {
      // A piece of the same format where another stood.
      const other = prng.pick(samples);
      const from = prng.below(other.length + 1);
      return withBytes(bytes, place, other.subarray(from, from + prng.below(REPEATED_BYTES_MAX)));
    }
    default:
      return withBytes(bytes, place, [prng.below(256)]);
  }
}

/** A number of one or four bytes, as lengths are, a little larger or smaller. */
function withLength(prng: Prng, bytes: Uint8Array, place: number): Uint8Array {
  const change = prng.below(9) - 4;
  if (prng.chance(0.5) || place + WORD_BYTES > bytes.length)
    return withBytes(bytes, place, [((bytes[place] ?? 0) + change) & 0xff]);
  const copy = bytes.slice();
  const data = new DataView(copy.buffer, copy.byteOffset, copy.byteLength);
  data.setUint32(place, data.getUint32(place, true) + change, true);
  return copy;
}

function inserted(bytes: Uint8Array, place: number, piece: Uint8Array): Uint8Array {
  return concat([bytes.subarray(0, place), piece, bytes.subarray(place)]);
}

function withBytes(bytes: Uint8Array, place: number, values: ArrayLike<number>): Uint8Array {
  const copy = bytes.slice();
  for (let at = 0; at < values.length && place + at < copy.length; at += 1) copy[place + at] = values[at] as number;
  return copy;
}
