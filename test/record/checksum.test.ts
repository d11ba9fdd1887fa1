/** xxh64 against published values and against a plain reading of its specification. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import { xxh64 } from "../../src/record/checksum.ts";

const MASK = 2n ** 64n - 1n;
const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

function rotate(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & MASK;
}

function round(lane: bigint, input: bigint): bigint {
  return (rotate((lane + input * P2) & MASK, 31n) * P1) & MASK;
}

/** As the specification says it, slowly. */
function reference(bytes: Uint8Array, seed: bigint): bigint {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let place = 0;
  let hash = (seed + P5) & MASK;
  if (bytes.length >= 32) {
    const lanes = [seed + P1 + P2, seed + P2, seed, seed - P1].map((lane) => lane & MASK);
    for (; place + 32 <= bytes.length; place += 32) {
      for (let lane = 0; lane < 4; lane += 1)
        lanes[lane] = round(lanes[lane] as bigint, data.getBigUint64(place + lane * 8, true));
    }
    const [a, b, c, d] = lanes as [bigint, bigint, bigint, bigint];
    hash = (rotate(a, 1n) + rotate(b, 7n) + rotate(c, 12n) + rotate(d, 18n)) & MASK;
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * P1 + P4) & MASK;
  }
  hash = (hash + BigInt(bytes.length)) & MASK;
  for (; place + 8 <= bytes.length; place += 8)
    hash = (rotate(hash ^ round(0n, data.getBigUint64(place, true)), 27n) * P1 + P4) & MASK;
  for (; place + 4 <= bytes.length; place += 4)
    hash = (rotate(hash ^ ((BigInt(data.getUint32(place, true)) * P1) & MASK), 23n) * P2 + P3) & MASK;
  for (; place < bytes.length; place += 1)
    hash = (rotate(hash ^ ((BigInt(bytes[place] as number) * P5) & MASK), 11n) * P1) & MASK;
  hash = ((hash ^ (hash >> 33n)) * P2) & MASK;
  hash = ((hash ^ (hash >> 29n)) * P3) & MASK;
  return hash ^ (hash >> 32n);
}

describe("xxh64", () => {
  it.each([
    ["", 0xef46db3751d8e999n],
    ["a", 0xd24ec4f1a98c6e5bn],
    ["abc", 0x44bc2cf5ad770999n],
    ["Nobody inspects the spammish repetition", 0xfbcea83c8a378bf1n],
  ])("of %j is what is published", (value, hash) => {
    expect(xxh64(utf8(value))).toBe(hash);
    expect(reference(utf8(value), 0n)).toBe(hash);
  });

  it("is what the specification says, for any bytes and seed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.bigInt({ min: 0n, max: MASK }), (bytes, seed) => {
        expect(xxh64(bytes, seed)).toBe(reference(bytes, seed));
      }),
    );
  });

  it("does not depend on what was hashed before, nor on where the bytes lie", () => {
    const small = utf8("abc");
    const large = new Uint8Array(3_000_000).fill(7);
    const before = xxh64(large);
    expect(xxh64(small)).toBe(0x44bc2cf5ad770999n);
    expect(xxh64(large)).toBe(before);
    expect(xxh64(large.subarray(1, 100))).toBe(xxh64(large.slice(1, 100)));
  });
});
