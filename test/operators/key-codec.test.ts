/** The order of keys is the order of their bytes, and every key has one encoding. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes, hex, utf8 } from "../../src/lib/bytes.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { decodeKey, decodeKeys, encodeKey, type Key, writeKey } from "../../src/operators/encoding/key-codec.ts";
import { OPERATOR_LIMITS } from "../../src/operators/limits.ts";
import { arbitraryKey } from "./arbitrary-data.ts";

const KINDS = ["null", "boolean", "number", "bigint", "string", "bytes", "array"];

function kindOf(key: Key): number {
  if (key === null) return 0;
  if (key instanceof Uint8Array) return KINDS.indexOf("bytes");
  return Array.isArray(key) ? KINDS.indexOf("array") : KINDS.indexOf(typeof key);
}

/** The order as a reader would write it down, without bytes. */
function compareKeys(a: Key, b: Key): number {
  const kinds = kindOf(a) - kindOf(b);
  if (kinds !== 0 || a === null || b === null) return kinds;
  if (typeof a === "string") return compareBytes(utf8(a), utf8(b as string));
  if (a instanceof Uint8Array) return compareBytes(a, b as Uint8Array);
  if (typeof a === "number" && (Number.isNaN(a) || Number.isNaN(b)))
    return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  if (!Array.isArray(a)) return a === b ? 0 : (a as number) < (b as number) ? -1 : 1;
  const other = b as readonly Key[];
  for (const [place, item] of (a as readonly Key[]).entries()) {
    if (place >= other.length) return 1;
    const difference = compareKeys(item, other[place] as Key);
    if (difference !== 0) return difference;
  }
  return a.length - other.length;
}

describe("key codec", () => {
  it("sorts as the keys do", () => {
    fc.assert(
      fc.property(arbitraryKey, arbitraryKey, (a, b) => {
        expect(Math.sign(compareBytes(encodeKey(a), encodeKey(b)))).toBe(Math.sign(compareKeys(a, b)));
      }),
      { numRuns: 1_000 },
    );
  });

  it("reads back what it wrote, alone and behind others", () => {
    fc.assert(
      fc.property(fc.array(arbitraryKey, { maxLength: 4 }), (keys) => {
        const writer = new ByteWriter();
        for (const key of keys) writeKey(writer, key);
        const decoded = decodeKeys(writer.finish());
        expect(decoded.ok && decoded.value.map((key) => hex(encodeKey(key)))).toEqual(
          keys.map((key) => hex(encodeKey(key))),
        );
        expect(decoded.ok && decoded.value.map((key, place) => compareKeys(key, keys[place] as Key))).toEqual(
          keys.map(() => 0),
        );
      }),
    );
  });

  it("has these bytes", () => {
    const bytes = (key: Key) => hex(encodeKey(key));
    expect(bytes(null)).toBe("05");
    expect(bytes(1)).toBe("20bff0000000000000");
    expect(bytes(-0)).toBe(bytes(0));
    expect(bytes(-1n)).toBe("307ffefe");
    expect(bytes("a\0b")).toBe("406100ff6200");
    expect(bytes([true, []])).toBe("6011600000");
  });

  it("refuses what is no key", () => {
    for (const wrong of [undefined, () => 1, { a: 1 }, new Map(), "\ud800", [[{}]]])
      expect(() => encodeKey(wrong as Key)).toThrow("key");
    expect(() => encodeKey("x".repeat(OPERATOR_LIMITS.keyBytesMax))).toThrow("at most");
    let deep: Key = null;
    for (let depth = 0; depth <= OPERATOR_LIMITS.depthMax; depth += 1) deep = [deep];
    expect(() => encodeKey(deep)).toThrow("deep");
  });

  it.each([
    "",
    "01",
    "20ff",
    "207fffffffffffffff",
    "20fff8000000000001",
    "3080020001",
    "307fff",
    "4061",
    "40ff00",
    "60",
    "6005",
    "0505",
  ])("refuses %s", (digits) => {
    expect(decodeKey(Uint8Array.from(Buffer.from(digits, "hex")))).toEqual({ ok: false, error: "malformed-key" });
  });
});
