/** Base64: what the platform gives, and nothing else taken. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { fromBase64, toBase64 } from "../../src/lib/base64.ts";

it("encodes as the platform does, and decodes what it has encoded", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const encoded = toBase64(bytes);
      expect(encoded).toBe(Buffer.from(bytes).toString("base64"));
      expect(fromBase64(encoded)).toEqual(bytes);
    }),
  );
});

it("takes no text that is not the one encoding of some bytes", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...Array.from("AB+/z9=-_ é\n")), maxLength: 9 }), (text) => {
      const bytes = fromBase64(text);
      if (bytes !== undefined) expect(toBase64(bytes)).toBe(text);
    }),
    { numRuns: 2_000 },
  );
  for (const text of ["A", "AA", "AAA", "AB==", "AAB=", "=", "====", "A===", "AA=A", "AAAA=", "AP8", "AP8=\n", "AP_="])
    expect(fromBase64(text), text).toBeUndefined();
});
