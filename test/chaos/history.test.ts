/** The checker finds each kind of wrong, and finds nothing in what is right: a checker that cannot fail proves nothing. */
import { describe, expect, it } from "vitest";
import { type Append, type History, misplacedIn, type Outcome, starvedIn, tornIn, violationsIn } from "./history.ts";

let sequence = 0;

function append(value: string, outcome: Outcome, askedAt = 0, producer = "p"): Append {
  sequence += 1;
  return { stream: "s", value, producer, sequence, askedAt, outcome };
}

function acknowledged(offset: number, at: number): Outcome {
  return { kind: "acknowledged", at, offset };
}

function appended(value: string, offset: number): { readonly offset: number; readonly value: string } {
  return { offset, value };
}

function found(history: Partial<History>, values: readonly string[]): readonly string[] {
  const whole: History = { appends: [], readings: [], looks: [], sessionReads: [], ...history };
  return violationsIn(whole, new Map([["s", values]]));
}

describe("a history", () => {
  const appends = [
    append("a", acknowledged(0, 2), 1),
    append("b", { kind: "unknown" }, 3),
    append("c", { kind: "refused" }, 4),
    append("d", acknowledged(2, 6), 5),
  ];
  const seen = [
    { offset: 0, value: "a" },
    { offset: 1, value: "b" },
  ];

  it("of a right log has nothing wrong, whether what is in doubt is there or not", () => {
    const looks = [{ face: "f", stream: "s", askedAt: 7, answeredAt: 8, nextOffset: 3 }];
    const sessionReads = [{ client: "c", stream: "s", shown: 3, nextOffset: 3 }];
    const readings = [{ reader: "r", stream: "s", seen }];
    expect(found({ appends, readings, looks, sessionReads }, ["a", "b", "d"])).toEqual([]);
    const without = [append("a", acknowledged(0, 2), 1), append("b", { kind: "unknown" }, 3)];
    expect(found({ appends: without }, ["a"])).toEqual([]);
  });

  it.each<[string, RegExp, readonly string[]]>([
    ["lost", /^I5: the log has s up to 2; 3 records were known/, ["a", "b"]],
    ["lost, with another in its place", /^I6: s@0 is b by the log, and was a/, ["b", "b", "d"]],
    ["moved", /^I8: d is at 1 by the log, and at 2/, ["a", "d", "b"]],
    ["repeated", /^I8: a is at 3 by the log, and at 0/, ["a", "b", "d", "a"]],
    ["refused, but there", /^I8: .* its sender was told that it had no effect/, ["a", "b", "d", "c"]],
    ["made up", /^I6: .*which nobody sent/, ["a", "b", "d", "x"]],
  ])("shows what is %s", (_what, violation, values) => {
    expect(found({ appends }, values)).toContainEqual(expect.stringMatching(violation));
  });

  it("shows what stands in another order than its producer's, or than time's", () => {
    const own = [append("a", acknowledged(1, 9), 1), append("b", acknowledged(0, 9), 1)];
    expect(found({ appends: own }, ["b", "a"])).toEqual(["I7: in s, b stands before a, which was sent before it"]);
    const two = [append("a", acknowledged(1, 2), 1, "p"), append("b", acknowledged(0, 5), 3, "q")];
    expect(found({ appends: two }, ["b", "a"])).toEqual(["I9: s@0 is b, sent when 2 records were acknowledged"]);
    const inDoubt = [append("a", acknowledged(1, 2), 1, "p"), append("b", { kind: "unknown" }, 3, "q")];
    expect(found({ appends: inDoubt }, ["b", "a"])).toEqual(["I9: s@0 is b, sent when 2 records were acknowledged"]);
  });

  it.each<[string, RegExp, readonly { readonly offset: number; readonly value: string }[]]>([
    ["a gap", /^I7: r was given s@2 as record 1/, [seen[0]!, { offset: 2, value: "d" }]],
    ["a repeat", /^I7: r was given s@0 as record 1/, [seen[0]!, seen[0]!]],
    ["another value", /^I6: s@0 is b by r, and was a/, [{ offset: 0, value: "b" }]],
    ["what nobody sent", /^I6: s@3 is e by r, which nobody sent/, [...seen, appended("d", 2), appended("e", 3)]],
    ["more than there is", /^I6: the log has no s@3, which was read/, [...seen, appended("d", 2), appended("f", 3)]],
  ])("shows a reader that was given %s", (_what, violation, given) => {
    const more = [...appends, append("f", { kind: "unknown" }, 7)];
    const told = found({ appends: more, readings: [{ reader: "r", stream: "s", seen: given }] }, ["a", "b", "d"]);
    expect(told).toContainEqual(expect.stringMatching(violation));
  });

  it("shows a look that was behind what had been acknowledged", () => {
    const looks = [
      { face: "f", stream: "s", askedAt: 5, answeredAt: 8, nextOffset: 1 },
      { face: "f", stream: "s", askedAt: 7, answeredAt: 8, nextOffset: 2 },
    ];
    expect(found({ appends, looks }, ["a", "b", "d"])).toEqual([
      "P12: f shows 2 records of s, where 3 were known before it was asked",
    ]);
  });

  it("shows a look that was behind another that had been answered", () => {
    const looks = [
      { face: "f", stream: "s", askedAt: 4, answeredAt: 5, nextOffset: 2 },
      { face: "g", stream: "s", askedAt: 5.5, answeredAt: 6, nextOffset: 1 },
    ];
    expect(found({ appends, looks }, ["a", "b", "d"])).toEqual([
      "P12: g shows 1 records of s, where 2 were known before it was asked",
    ]);
  });

  it("shows a session that was answered from before what it had been shown", () => {
    const sessionReads = [
      { client: "c", stream: "s", shown: 2, nextOffset: 2 },
      { client: "c", stream: "s", shown: 3, nextOffset: 2 },
    ];
    expect(found({ appends, sessionReads }, ["a", "b", "d"])).toEqual([
      "P12: c is shown 2 records of s, and was shown 3 before",
    ]);
  });

  it("shows a reader that never came to the end", () => {
    const contents = new Map([["s", ["a", "b"]]]);
    const partly = { reader: "r", stream: "s", seen: seen.slice(0, 1) };
    expect(starvedIn([{ ...partly, seen }, partly], contents)).toEqual(["starved: r was given 1 of 2 of s (I7)"]);
  });

  it("shows what is another, or not there, behind what a stream has forgotten", () => {
    const acks = ["a", "b", "c"].map((value, offset) => append(value, acknowledged(offset, 2)));
    const kept = [
      { offset: 1, value: "b" },
      { offset: 2, value: "c" },
    ];
    const wrongs = (seen: typeof kept): number => misplacedIn("s", acks, seen).length;
    expect(wrongs(kept)).toBe(0);
    expect(wrongs(kept.slice(0, 1))).toBe(1);
    expect(
      wrongs([
        { offset: 1, value: "c" },
        { offset: 2, value: "b" },
      ]),
    ).toBe(2);
  });

  it("shows a transaction that took effect in one stream only, or at another place", () => {
    const torn = (...streams: readonly (readonly string[])[]): readonly string[] =>
      tornIn(
        ["s", "t"],
        new Map([
          ["s", streams[0] ?? []],
          ["t", streams[1] ?? []],
        ]),
      );
    expect(torn(["a", "b"], ["a", "b"])).toEqual([]);
    expect(torn(["a", "b"], ["a"])).toEqual(["torn: at 1, s has b, and t undefined (I11)"]);
    expect(torn(["a"], ["a", "b"])).toEqual(["torn: at 1, s has undefined, and t b (I11)"]);
    expect(torn(["a", "b"], ["b", "a"])).toEqual(["torn: at 0, s has a, and t b (I11)"]);
  });
});
