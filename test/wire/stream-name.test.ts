/** Stream names: a table of what is one and what is none, and that URLs carry every name unchanged. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import { checkStreamName, encodeStreamName, parseStreamName } from "../../src/wire/stream-name.ts";

/** Each byte as it may stand in a URL, whatever it is. */
function percent(bytes: readonly number[]): string {
  return bytes.map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}

function segments(count: number): string {
  return Array.from({ length: count }, () => "s").join("/");
}

describe("paths that are names", () => {
  it.each([
    ["orders", "orders"],
    ["orders/eu/2026", "orders/eu/2026"],
    ["a%20b", "a b"],
    ["%61", "a"],
    ["caf%C3%A9", "café"],
    ["caf%c3%a9", "café"],
    [percent([0xf0, 0x9f, 0x8c, 0x8a]), "🌊"],
    ["...", "..."],
    ["..a/.b", "..a/.b"],
    ["a+b", "a+b"],
    ["%25", "%"],
    ["%252F", "%2F"],
    ["%3F%23", "?#"],
    ["__DS/x", "__DS/x"],
    ["a/__ds", "a/__ds"],
    ["__ds2", "__ds2"],
    ["a:b@c;d=1,2!$&'()*~_-", "a:b@c;d=1,2!$&'()*~_-"],
    ["x".repeat(1_024), "x".repeat(1_024)],
    ["%78".repeat(1_024), "x".repeat(1_024)],
    [segments(64), segments(64)],
  ])("W10, W11: %s", (path, name) => {
    expect(parseStreamName(path)).toEqual({ ok: true, value: name });
  });
});

describe("paths that are none", () => {
  it.each([
    ["W13: nothing", ""],
    ["W13: a leading slash", "/a"],
    ["W13: a trailing slash", "a/"],
    ["W13: an empty segment", "a//b"],
    ["W13: this folder", "."],
    ["W13: the folder above", ".."],
    ["W13: the folder above, inside", "a/../b"],
    ["W13: the folder above, at the end", "a/.."],
    ["W13: this folder, inside", "a/./b"],
    ["W13: encoded dots", "%2e%2e/a"],
    ["W13: half encoded dots", ".%2E/a"],
    ["W13: an encoded dot", "a/%2e"],
    ["W13: an encoded slash", "a%2Fb"],
    ["W13: an encoded slash in small letters", "..%2fetc"],
    ["W12: NUL", "a%00b"],
    ["W12: a line's end", "a%0d%0ab"],
    ["W12: DEL", "a%7f"],
    ["W12: a C1 control", percent([0xc2, 0x85])],
    ["W12: a backslash", "a%5cb"],
    ["W12: a raw backslash", "a\\b"],
    ["W12: the replacement character", percent([0xef, 0xbf, 0xbd])],
    ["W11: a byte that is not UTF-8", "%ff"],
    ["W11: a lone continuation", "a%80"],
    ["W11: a cut sequence", "%e2%82"],
    ["W11: an overlong slash", percent([0xc0, 0xaf])],
    ["W11: an overlong NUL", percent([0xc0, 0x80])],
    ["W11: an overlong dot", percent([0xc0, 0xae])],
    ["W11: a surrogate", percent([0xed, 0xa0, 0x80])],
    ["W11: past Unicode", percent([0xf4, 0x90, 0x80, 0x80])],
    ["W10: a raw letter beyond ASCII", "café"],
    ["W10: raw bytes read as Latin-1", "caf\u00c3\u00a9"],
    ["W10: a raw space", "a b"],
    ["W10: a raw control", "a\tb"],
    ["W10: a query", "a?b"],
    ["W10: a fragment", "a#b"],
    ["W10: a percent sign alone", "100%"],
    ["W10: a percent sign and one digit", "a%2"],
    ["W10: a percent sign and no digits", "%zz"],
    ["W10: digits with a sign", "%+1"],
    ["W14: 1,025 bytes", "x".repeat(1_025)],
    ["W14: 1,026 bytes, some of them encoded", "xxx".repeat(340) + "%c3%a9".repeat(3)],
    ["W14: 65 segments", segments(65)],
    ["W14: 1,000 segments", segments(1_000)],
    ["W15: the reserved segment", "__ds"],
    ["W15: below the reserved segment", "__ds/subscriptions/x"],
    ["W15: the reserved segment, encoded", "%5f%5fds/x"],
  ])("%s", (_what, path) => {
    expect(parseStreamName(path)).toMatchObject({ ok: false, error: { code: "malformed-name" } });
  });

  it("W14: a path that is longer than any name's", () => {
    expect(parseStreamName("x".repeat(3_073))).toMatchObject({ ok: false, error: { code: "url-too-long" } });
    expect(parseStreamName("%".repeat(3_072))).toMatchObject({ ok: false, error: { code: "malformed-name" } });
    expect(parseStreamName("/".repeat(10_000_000))).toMatchObject({ ok: false, error: { code: "url-too-long" } });
  });
});

describe("names", () => {
  it("W11: half a surrogate pair is none, though JavaScript can write it", () => {
    for (const name of ["\ud800", "a\udc00", "\udc00\ud800"]) expect(checkStreamName(name).ok).toBe(false);
  });

  it("W14: are measured in bytes", () => {
    expect(checkStreamName("é".repeat(512)).ok).toBe(true);
    expect(checkStreamName("é".repeat(513)).ok).toBe(false);
  });

  it("W16: are not normalised: composed and decomposed, upper and lower case are different streams", () => {
    for (const name of ["caf\u00e9", "cafe\u0301", "CAFE", "cafe"])
      expect(checkStreamName(name)).toEqual({ ok: true, value: name });
  });

  it("W10: every name survives the URL, and only in ASCII", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), (name) => {
        const path = encodeStreamName(name);
        expect(path).toMatch(/^[!-~]*$/);
        const parsed = parseStreamName(path);
        expect(parsed.ok).toBe(checkStreamName(name).ok);
        if (parsed.ok) expect(parsed.value).toBe(name);
      }),
    );
  });

  it("W5: any path is answered, and what it gives is a name", () => {
    const piece = fc.oneof(
      fc.constantFrom("/", ".", "%", "%2", "%2e", "%2f", "%00", "%c0", "%af", "__ds", "\\"),
      fc.string({ unit: "binary", maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const parsed = parseStreamName(pieces.join(""));
        if (!parsed.ok) return;
        expect(checkStreamName(parsed.value).ok).toBe(true);
        expect(parsed.value.split("/")).not.toContain("..");
        expect(utf8(parsed.value)).not.toContain(0);
      }),
      { numRuns: 1_000 },
    );
  });
});
