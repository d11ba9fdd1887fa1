/** What was thrown, whatever it is, has a text. */
import { expect, it } from "vitest";
import { messageOf } from "../../src/lib/thrown.ts";

it.each<[unknown, string]>([
  [new Error("why"), "why"],
  [new RangeError(""), "RangeError"],
  [Object.assign(new Error("why"), { message: 5 }), "5"],
  ["text", "text"],
  ["", "an empty text"],
  [undefined, "undefined"],
  [Symbol("sign"), "Symbol(sign)"],
  [Object.create(null), "something that has no text"],
  [{ toString: () => JSON.parse("{") as string }, "something that has no text"],
])("%o", (thrown, text) => {
  expect(messageOf(thrown)).toBe(text);
});
