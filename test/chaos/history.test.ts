/** The checker finds each kind of wrong, and finds nothing in what is right: a checker that cannot fail proves nothing. */
import { describe, expect, it } from "vitest";
import { type Append, type History, type Outcome, violationsIn } from "./history.ts";

let sequence = 0;

function append(value: string, outcome: Outcome, askedAt = 0, producer = "p"): Append {
  sequence += 1;
  return { stream: "s", value, producer, sequence, askedAt, outcome };
}

function acknowledged(offset: number, at: number): Outcome {
  return { kind: "acknowledged", at, offset };
}

function found(history: Partial<History>, values: readonly string[]): readonly string[] {
  const whole: History = { appends: [], readings: [], looks: [], ...history };
  return violationsIn(whole, new Map([["s", values]])).map((violation) => violation.slice(0, violation.indexOf(":")));
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
    const looks = [{ stream: "s", askedAt: 7, nextOffset: 3 }];
    expect(found({ appends, readings: [{ reader: "r", stream: "s", seen }], looks }, ["a", "b", "d"])).toEqual([]);
    const without = [append("a", acknowledged(0, 2), 1), append("b", { kind: "unknown" }, 3)];
    expect(found({ appends: without }, ["a"])).toEqual([]);
  });

  it.each<[string, readonly string[]]>([
    ["lost", ["a", "b"]],
    ["moved", ["a", "d"]],
    ["repeated", ["a", "b", "d", "a"]],
    ["refused, but there", ["a", "b", "d", "c"]],
    ["made up", ["a", "b", "d", "x"]],
  ])("shows what is %s", (what, values) => {
    expect(found({ appends }, values)).toContain(what);
  });

  it("shows what stands in another order than its producer's, or than time's", () => {
    const own = [append("a", acknowledged(1, 9), 1), append("b", acknowledged(0, 9), 1)];
    expect(found({ appends: own }, ["b", "a"])).toEqual(["reordered"]);
    const two = [append("a", acknowledged(1, 2), 1, "p"), append("b", acknowledged(0, 5), 3, "q")];
    expect(found({ appends: two }, ["b", "a"])).toEqual(["against time"]);
  });

  it.each<[string, readonly { readonly offset: number; readonly value: string }[]]>([
    ["a gap", [seen[0]!, { offset: 2, value: "d" }]],
    ["a repeat", [seen[0]!, seen[0]!]],
    ["another value", [{ offset: 0, value: "b" }]],
    ["more than there is", [...seen, { offset: 2, value: "d" }, { offset: 3, value: "e" }]],
  ])("shows a reader that was given %s", (_what, given) => {
    expect(found({ appends, readings: [{ reader: "r", stream: "s", seen: given }] }, ["a", "b", "d"])).toEqual([
      "misread",
    ]);
  });

  it("shows a look that was behind what had been acknowledged", () => {
    const looks = [
      { stream: "s", askedAt: 5, nextOffset: 1 },
      { stream: "s", askedAt: 7, nextOffset: 2 },
    ];
    expect(found({ appends, looks }, ["a", "b", "d"])).toEqual(["stale"]);
  });
});
