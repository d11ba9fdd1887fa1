/** Patterns over stream names (Durable Streams, 6.2). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkPattern, Glob } from "../../log-server/streams/glob.ts";

const LIMITS = { patternBytesMax: 20, patternSegmentsMax: 4 };

describe("a pattern", () => {
  it.each([
    ["events/*", ["events/a", "events/é"], ["events", "events/a/b", "other/a", "events2/a"]],
    ["*", ["a"], ["a/b"]],
    ["**", ["a", "a/b", "a/b/c"], []],
    ["events/**", ["events", "events/a", "events/a/b"], ["event", "eventsx", "eventsx/a"]],
    ["**/log", ["log", "a/log", "a/b/log"], ["log/a", "alog", "a/blog"]],
    ["a/**/b", ["a/b", "a/x/b", "a/b/b", "a/x/y/b"], ["a", "b", "a/b/c"]],
    ["a/**/b/**/c", ["a/b/c", "a/b/b/x/c", "a/x/b/c/c"], ["a/c/b", "a/b"]],
    ["*/b", ["a/b"], ["b", "a/a/b"]],
    ["day-*/x", ["day-1/x", "day-/x"], ["day/x", "day-1/y", "xday-1/x"]],
    ["a*b*c", ["abc", "axbxc", "abbcc"], ["ab", "acb", "abcd"]],
    ["a.b+c", ["a.b+c"], ["aXb+c", "a.bbc"]],
    ["exact/name", ["exact/name"], ["exact", "exact/name/x"]],
  ])("%s", (pattern, matching, others) => {
    const glob = new Glob(pattern);
    for (const name of matching) expect([name, glob.matches(name)]).toEqual([name, true]);
    for (const name of others) expect([name, glob.matches(name)]).toEqual([name, false]);
  });

  it("means what its translation to a regular expression means", () => {
    const segment = fc.constantFrom("*", "**", "a", "b", "a*", "*b", "ab");
    const names = fc.array(fc.constantFrom("a", "b", "ab", "aab", "ba"), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 6 }), names, (segments, name) => {
        const source = segments
          .map((part) => (part === "**" ? "(?:[^/]+/)*" : `${part.replaceAll("*", "[^/]*")}/`))
          .join("");
        const expected = new RegExp(`^${source}$`).test(`${name.join("/")}/`);
        expect(new Glob(segments.join("/")).matches(name.join("/"))).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  it("costs no more than its length times the name's", () => {
    const glob = new Glob(Array(32).fill("**/a").join("/"));
    expect(glob.matches(Array(63).fill("a").join("/") + "/b")).toBe(false);
    expect(new Glob("*a".repeat(500)).matches(`${"a".repeat(1_000)}b`)).toBe(false);
  });

  it("is refused with empty segments, control characters, or too long", () => {
    for (const pattern of ["", "/a", "a/", "a//b", "a\u0000", "\ud800", "x".repeat(21), "a/b/c/d/e"]) {
      expect([pattern, checkPattern(pattern, LIMITS).ok]).toEqual([pattern, false]);
    }
    expect(checkPattern("a/*/**", LIMITS)).toEqual({ ok: true, value: "a/*/**" });
  });
});
