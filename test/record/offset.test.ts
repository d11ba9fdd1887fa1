/** Offset tokens. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatOffset, parseOffset } from "../../src/record/offset.ts";

/** Sixteen digits hold them all. */
const tokenNumber = fc.oneof(fc.nat(1_000), fc.maxSafeNat());

describe("offset tokens", () => {
  it("read back, and sort as their offsets do", () => {
    fc.assert(
      fc.property(tokenNumber, tokenNumber, tokenNumber, (incarnation, a, b) => {
        const token = formatOffset(incarnation, a);
        expect(token).toMatch(/^\d{16}_\d{16}$/);
        expect(parseOffset(token)).toEqual({ ok: true, value: { incarnation, offset: a } });
        expect(token < formatOffset(incarnation, b)).toBe(a < b);
      }),
    );
  });

  it("beyond the safe integers they are behind every tail", () => {
    const parsed = parseOffset("0000000000000001_9999999999999999");
    expect(parsed).toEqual({ ok: true, value: { incarnation: 1, offset: Number.MAX_SAFE_INTEGER } });
  });

  it.each([
    "",
    "0",
    "now",
    "-1",
    "0000000000000001",
    "0000000000000001_",
    "0000000000000001_000000000000001",
    "0000000000000001_00000000000000011",
    "0000000000000001_0000000000000001\n",
    " 0000000000000001_0000000000000001",
    "0000000000000001_000000000000000x",
    "000000000000000١_0000000000000001",
    "0000000000000001-0000000000000001",
    "+000000000000001_0000000000000001",
    "0x00000000000001_0000000000000001",
  ])("%j is none", (token) => {
    expect(parseOffset(token)).toEqual({ ok: false, error: "malformed-offset" });
  });

  it("survive any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (token) => {
        const parsed = parseOffset(token);
        if (parsed.ok)
          expect(Number.isSafeInteger(parsed.value.offset) && Number.isSafeInteger(parsed.value.incarnation)).toBe(
            true,
          );
      }),
    );
  });
});
