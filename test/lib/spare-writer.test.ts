/** A writer that is used again: by one at a time. */
import { expect, it } from "vitest";
import { giveBack, takeWriter } from "../../src/lib/spare-writer.ts";
import { encodeValue } from "../../src/operators/encoding/value-codec.ts";

it("is empty whenever it is taken, and nobody else's until it is given back", () => {
  const writer = takeWriter().u8(1);
  const other = takeWriter().u8(2).u8(3);
  expect([...writer.finish()]).toEqual([1]);
  expect([...other.finish()]).toEqual([2, 3]);
  giveBack(writer);
  giveBack(other);
  expect(takeWriter().length).toBe(0);
});

it("stands an encoding within an encoding, and one that fails", () => {
  const whole = encodeValue({ a: 1, b: "two" });
  const nested = {
    a: 1,
    get b() {
      encodeValue(["something", "else"]);
      return "two";
    },
  };
  expect(encodeValue(nested)).toEqual(whole);
  expect(() => encodeValue({ a: 1, b: () => 2 })).toThrow("function");
  expect(encodeValue({ a: 1, b: "two" })).toEqual(whole);
});
