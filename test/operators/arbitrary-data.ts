/** Keys and values as users may have them, for properties. */
import fc from "fast-check";
import type { Key } from "../../src/operators/encoding/key-codec.ts";

const wellFormed = fc.string({ unit: "binary", maxLength: 8 });
const numbers = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -0, Number.NaN, Infinity, -Infinity, 2 ** 51, 2 ** 51 + 1, -(2 ** 51), 5e-324),
);
const bytes = fc.uint8Array({ maxLength: 8 });
const dates = fc.date({ noInvalidDate: false });

export const arbitraryKey: fc.Arbitrary<Key> = fc.letrec<{ readonly key: Key }>((tie) => ({
  key: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    numbers,
    fc.bigInt(),
    wellFormed,
    bytes,
    fc.array(tie("key"), { maxLength: 4 }),
  ),
})).key;

export const arbitraryValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    numbers,
    fc.bigInt(),
    wellFormed,
    bytes,
    dates,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.oneof(wellFormed, fc.constant("__proto__")), tie("value"), { maxKeys: 4 }),
    fc
      .uniqueArray(fc.tuple(fc.oneof(wellFormed, fc.integer()), tie("value")), {
        selector: ([key]) => key,
        maxLength: 4,
      })
      .map((entries) => new Map(entries)),
    fc.uniqueArray(fc.oneof(wellFormed, fc.bigInt()), { maxLength: 4 }).map((items) => new Set(items)),
  ),
})).value;
