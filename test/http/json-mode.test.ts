/** JSON mode: how bodies become messages. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isValidJson, splitMessages } from "../../log-server/http/json-mode.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";

function split(body: string, max = 1_000): readonly (string | undefined)[] | string {
  const messages = splitMessages(utf8(body), max);
  return messages.ok ? messages.value.map((message) => text(message)) : messages.error.code;
}

describe("splitMessages", () => {
  it("takes a value that is no array as one message, without the space around it", () => {
    expect(split(' {"a": [1, 2]}\n')).toEqual(['{"a": [1, 2]}']);
    expect(split("null")).toEqual(["null"]);
    expect(split('"[1,2]"')).toEqual(['"[1,2]"']);
  });

  it("flattens one level of an array, and only one", () => {
    expect(split("[1, 2 ,3]")).toEqual(["1", "2", "3"]);
    expect(split("[[1,2],[3,4]]")).toEqual(["[1,2]", "[3,4]"]);
    expect(split("[[[1,2,3]]]")).toEqual(["[[1,2,3]]"]);
    expect(split(" [ ] ")).toEqual([]);
  });

  it("is not misled by brackets, commas and quotes in strings", () => {
    expect(split('["a,]", "\\"", "\\\\", {"]":","}]')).toEqual(['"a,]"', '"\\""', '"\\\\"', '{"]":","}']);
  });

  it("keeps numbers and spelling as they were sent", () => {
    expect(split("[12345678901234567890, 1.0, 1e400]")).toEqual(["12345678901234567890", "1.0", "1e400"]);
  });

  it("refuses what is not JSON, or not UTF-8", () => {
    for (const body of ["", " ", "{", "[1,]", "{a:1}", "1 2", "\uFEFF1", "NaN"])
      expect(split(body)).toBe("malformed-json");
    expect(isValidJson(new Uint8Array([0x22, 0xff, 0x22]))).toBe(false);
  });

  it("bounds the number of messages (I15)", () => {
    expect(split("[1,2,3]", 3)).toEqual(["1", "2", "3"]);
    expect(split("[1,2,3,4]", 3)).toBe("too-many");
  });

  it("gives back the elements of any array, however it is spaced", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { maxLength: 20 }), fc.constantFrom(0, 1, 2, 4), (values, indent) => {
        const messages = splitMessages(utf8(JSON.stringify(values, null, indent)), 1_000);
        if (!messages.ok) throw new Error(messages.error.message);
        expect(messages.value.map((message) => JSON.parse(text(message) ?? "") as unknown)).toEqual(
          JSON.parse(JSON.stringify(values)),
        );
      }),
    );
  });

  it("answers any bytes with messages or an error value", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const messages = splitMessages(bytes, 10);
        if (messages.ok) for (const message of messages.value) expect(isValidJson(message)).toBe(true);
      }),
    );
  });
});
