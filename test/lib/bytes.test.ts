/** Byte arrays and text. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes, concat, equalBytes, hex, hex64, readU32, readU64, text, utf8 } from "../../src/lib/bytes.ts";

const bytes = fc.uint8Array({ maxLength: 80 });

describe("bytes", () => {
  it("joins chunks", () => {
    expect(concat([])).toEqual(new Uint8Array());
    expect(concat([Uint8Array.of(1), new Uint8Array(), Uint8Array.of(2, 3)])).toEqual(Uint8Array.of(1, 2, 3));
  });

  it("compares as unsigned bytes, a prefix first", () => {
    expect(compareBytes(Uint8Array.of(0x7f), Uint8Array.of(0x80))).toBeLessThan(0);
    expect(compareBytes(Uint8Array.of(1), Uint8Array.of(1, 0))).toBeLessThan(0);
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(a, b));
        expect(equalBytes(a, b)).toBe(compareBytes(a, b) === 0);
        expect(equalBytes(a, a.slice())).toBe(true);
      }),
    );
  });

  it("shows bytes as hexadecimal", () => {
    expect(hex(Uint8Array.of(0, 15, 255))).toBe("000fff");
  });
});

describe("text", () => {
  it("W4: reads back whatever is well-formed, short or long", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 100 }), (value) => {
        expect(text(utf8(value))).toBe(value);
      }),
    );
  });

  it.each([
    ["a lone continuation", [0x80]],
    ["an overlong slash", [0xc0, 0xaf]],
    ["an overlong NUL", [0xc0, 0x80]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["past U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
    ["a cut sequence", [0x61, 0xe2, 0x82]],
    ["a cut sequence far behind", [...Array.from({ length: 60 }, () => 0x61), 0xe2]],
  ])("W4: refuses %s", (_what, value) => {
    expect(text(Uint8Array.from(value))).toBeUndefined();
  });

  it("keeps a byte order mark and NUL: they are text", () => {
    expect(text(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe("\ufeffa");
    expect(text(Uint8Array.of(0))).toBe("\0");
  });

  it("agrees with the platform about every short input", () => {
    const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (value) => {
        let expected: string | undefined;
        try {
          expected = strict.decode(value);
        } catch {
          expected = undefined;
        }
        expect(text(value)).toBe(expected);
      }),
    );
  });

  it("shows 64 bits with all their digits", () => {
    expect([0n, 0xabcn, 2n ** 64n - 1n].map(hex64)).toEqual(["0000000000000000", "0000000000000abc", "f".repeat(16)]);
  });

  it("reads fixed-width numbers anywhere in them, little-endian (W1)", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(9), (value, at) => {
        const bytes = new Uint8Array(20).fill(0xff);
        new DataView(bytes.buffer).setBigUint64(at, value, true);
        expect(readU64(bytes, at)).toBe(value);
        expect(readU32(bytes, at)).toBe(Number(value & 0xffff_ffffn));
      }),
    );
  });
});
