/** W110, W125: records as JSON. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import { holdsJson, parseJsonRecord, recordOfJson, recordText } from "../../src/record/record-json.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { arbitraryRecords } from "./arbitrary-records.ts";

function read(value: unknown, json = false): StreamRecord | string {
  const parsed = parseJsonRecord(value);
  return parsed.ok ? recordOfJson(parsed.value, json) : parsed.error.code;
}

describe("reading", () => {
  it.each<[string, unknown, boolean, StreamRecord]>([
    ["a text is its UTF-8", "é", false, { value: utf8("é") }],
    ["a text is JSON where all is", "é", true, { value: utf8('"é"') }],
    ["a number is its JSON", 5, false, { value: utf8("5") }],
    ["an array is a value", [1, "a"], false, { value: utf8('[1,"a"]') }],
    ["null is a tombstone", null, true, { value: null }],
    ["a tombstone with a key", { value: null, key: "k" }, false, { value: null, key: utf8("k") }],
    ["bytes", { base64: "AP8=" }, true, { value: Uint8Array.of(0, 255) }],
    ["a key of bytes", { value: "v", key: { base64: "/w==" } }, false, { value: utf8("v"), key: Uint8Array.of(255) }],
    ["headers by name", { value: "v", headers: { h: "x" } }, false, { value: utf8("v"), headers: [["h", utf8("x")]] }],
    [
      "headers in pairs",
      {
        value: "v",
        headers: [
          ["h", "x"],
          ["h", { base64: "/w==" }],
        ],
      },
      false,
      {
        value: utf8("v"),
        headers: [
          ["h", utf8("x")],
          ["h", Uint8Array.of(255)],
        ],
      },
    ],
    ["a time before 1970", { value: "v", timestamp: -5 }, false, { value: utf8("v"), timestamp: -5 }],
    ["no headers", { value: "v", headers: {} }, false, { value: utf8("v") }],
  ])("%s", (_what, value, json, record) => {
    expect(read(value, json)).toEqual(record);
  });

  it.each<[string, unknown]>([
    ["nothing", {}],
    ["two values", { value: 1, base64: "" }],
    ["a slip", { value: 1, kye: "k" }],
    ["a key that is a number", { value: 1, key: 5 }],
    ["a key with more than base64", { value: 1, key: { base64: "", text: "" } }],
    ["base64 that is none", { base64: "A" }],
    ["base64 that is no text", { base64: 5 }],
    ["headers that are a text", { value: 1, headers: "h" }],
    ["a header that is a number", { value: 1, headers: { h: 5 } }],
    ["a pair of three", { value: 1, headers: [["a", "b", "c"]] }],
    ["a pair of one", { value: 1, headers: [["a"]] }],
    ["a header's name that is a number", { value: 1, headers: [[5, "a"]] }],
    ["half a surrogate pair", "\ud800"],
    ["half a surrogate pair in a name", { value: 1, headers: [["\ud800", "a"]] }],
    ["a timestamp with a fraction", { value: 1, timestamp: 1.5 }],
    ["a timestamp past all dates", { value: 1, timestamp: 2 ** 52 }],
  ])("refuses %s", (_what, value) => {
    expect(read(value)).toBe("malformed-request");
  });

  it("refuses what cannot be written again", () => {
    expect(read(JSON.parse("[".repeat(100_000) + "]".repeat(100_000)))).toBe("malformed-json");
  });
});

describe("showing", () => {
  it("what is shown says what the record is, on one line", () => {
    fc.assert(
      fc.property(arbitraryRecords, (records) => {
        for (const record of records) {
          const shown = recordText(7, record, 99, false);
          expect(shown).not.toMatch(/[\r\n]/);
          const { offset, timestamp, ...rest } = JSON.parse(shown) as Record<string, unknown>;
          expect(offset).toBe(7);
          expect(timestamp).toBe(record.timestamp ?? 99);
          const { timestamp: _, ...expected } = record;
          // No headers and an empty list of them are the same.
          if (expected.headers?.length === 0) delete (expected as { headers?: unknown }).headers;
          expect(read(rest)).toEqual(expected);
        }
      }),
    );
  });

  it("JSON keeps its numbers and spelling, and loses its line breaks", () => {
    const value = utf8('{"n": 12345678901234567890,\r\n "x": 1.0, "s": "a\\nb"}');
    expect(recordText(0, { value }, 5, true)).toBe(
      '{"offset":0,"value":{"n": 12345678901234567890,   "x": 1.0, "s": "a\\nb"},"timestamp":5}',
    );
  });

  it("content types of JSON are known by their media type", () => {
    expect(holdsJson("application/json; charset=utf-8")).toBe(true);
    expect(holdsJson("application/json-seq")).toBe(false);
  });
});
