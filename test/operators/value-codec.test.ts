/** A value has one encoding, whatever was done to get there (I10), and comes back as it was. */
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hex } from "../../src/lib/bytes.ts";
import { decodeValue, encodeValue } from "../../src/operators/encoding/value-codec.ts";
import { OPERATOR_LIMITS } from "../../src/operators/limits.ts";
import { arbitraryValue } from "./arbitrary-data.ts";

const bytes = (value: unknown) => hex(encodeValue(value));

/** -0 is written as 0, and nothing else changes. */
function withoutMinusZero(value: unknown): unknown {
  if (typeof value === "number") return value === 0 ? 0 : value;
  if (Array.isArray(value)) return value.map(withoutMinusZero);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, withoutMinusZero(item)]));
  if (value instanceof Set || value instanceof Date || value instanceof Uint8Array) return value;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withoutMinusZero(item)]));
}

describe("value codec", () => {
  it("reads back what it wrote", () => {
    fc.assert(
      fc.property(arbitraryValue, (value) => {
        const encoded = encodeValue(value);
        const decoded = decodeValue(encoded);
        expect(decoded.ok && isDeepStrictEqual(plain(decoded.value), plain(withoutMinusZero(value)))).toBe(true);
        expect(decoded.ok && bytes(decoded.value)).toBe(hex(encoded));
      }),
      { numRuns: 500 },
    );
  });

  it("depends on no history", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(fc.string(), fc.integer()), { selector: ([name]) => name }), (entries) => {
        const back = entries.toReversed();
        expect(bytes(Object.fromEntries(back))).toBe(bytes(Object.fromEntries(entries)));
        expect(bytes(new Map(back))).toBe(bytes(new Map(entries)));
        expect(bytes(new Set(back.map(([name]) => name)))).toBe(bytes(new Set(entries.map(([name]) => name))));
      }),
    );
    expect(bytes({ a: undefined, b: 1 })).toBe(bytes({ b: 1 }));
  });

  it("has these bytes", () => {
    expect(bytes(-0)).toBe("0300");
    expect(bytes(-2)).toBe("0303");
    expect(bytes(0.5)).toBe("04000000000000e03f");
    expect(bytes(-255n)).toBe("0601ff");
    expect(bytes({ b: [null, true], a: "x" })).toBe("0a02016107017801620902" + "0002");
    expect(bytes(new Map([[1, new Set([2])]]))).toBe("0c0103020d010304");
    expect(bytes(new Date(0))).toBe("0b0000000000000000");
  });

  it("keeps a field named __proto__ a field", () => {
    const value: unknown = JSON.parse('{"__proto__":{"x":1}}');
    const decoded = decodeValue(encodeValue(value));
    expect(decoded.ok && Object.keys(decoded.value as object)).toEqual(["__proto__"]);
  });

  it("refuses what would come back as something else", () => {
    class Money {
      readonly amount = 1;
    }
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(() => encodeValue(new Money())).toThrow("an instance of Money");
    expect(() => encodeValue([undefined])).toThrow("use null");
    expect(() => encodeValue([1, , 3])).toThrow("use null"); // oxlint-disable-line no-sparse-arrays -- what is meant
    expect(() => encodeValue(() => 1)).toThrow("a function");
    expect(() => encodeValue(cycle)).toThrow(`at most ${OPERATOR_LIMITS.depthMax} deep`);
    expect(() => encodeValue("\udc00")).toThrow("no Unicode");
    expect(() => encodeValue(new Set([{}, {}]))).toThrow("identity");
  });

  it.each([
    "",
    "0e",
    "03",
    "0380808080808080808001",
    "0400000000000000f03f",
    "04010000000000f87f",
    "0a0201620001610" + "0",
    "0a020161000161" + "00",
    "0d0203040302",
    "0d0203020302",
    "0600",
    "050100",
    "0b000000000000e03f",
    "0000",
    "09ff01",
  ])("refuses %s", (digits) => {
    expect(decodeValue(Uint8Array.from(Buffer.from(digits, "hex")))).toEqual({ ok: false, error: "malformed-value" });
  });
});

/** Of dictionaries without a prototype, which strict comparison tells from others. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  // In encoding order, as a map comes back.
  if (value instanceof Map)
    return new Map(
      [...value].sort(([a], [b]) => (bytes(a) < bytes(b) ? -1 : 1)).map(([key, item]) => [key, plain(item)]),
    );
  if (value instanceof Set || value instanceof Date || value instanceof Uint8Array) return value;
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, item]) => [name, plain(item)]);
}
