/** The checker of groups finds each kind of wrong, and nothing in what is right. */
import { describe, expect, it } from "vitest";
import { type Assignment, type GroupHistory, groupViolationsIn, type Lease } from "./group-history.ts";

const VALUES = ["a", "b", "c", "d"];

function found(history: Partial<GroupHistory>): readonly string[] {
  const whole: GroupHistory = { assignments: [], leases: [], ...history };
  return groupViolationsIn(whole, new Map([["s", VALUES]])).map((violation) => violation.split(":")[0] as string);
}

function assignment(generation: number, from: number, given: readonly string[], committed = 0): Assignment {
  const seen = given.map((value, at) => ({ offset: from + at, value }));
  return { member: "m", stream: "s", generation, from, seen, committed };
}

function lease(generation: number, offset: number, outcome: Lease["outcome"], value = VALUES[offset] as string): Lease {
  return { worker: "w", stream: "s", generation, offset, value, outcome };
}

describe("a group that shares streams", () => {
  it("goes on where the one before had come, or committed: in whatever order it was noted", () => {
    expect(found({ assignments: [assignment(1, 0, VALUES)] })).toEqual([]);
    const handedOver = [assignment(7, 1, ["b", "c", "d"]), assignment(3, 0, ["a", "b", "c"], 1)];
    expect(found({ assignments: handedOver })).toEqual([]);
    expect(found({ assignments: [assignment(1, 0, []), assignment(2, 0, VALUES)] })).toEqual([]);
  });

  it.each<[string, readonly Assignment[], string]>([
    ["what is committed", [assignment(1, 0, ["a", "b"], 2), assignment(2, 1, ["b", "c", "d"])], "processed again"],
    ["a gap between two", [assignment(1, 0, ["a"]), assignment(2, 2, ["c", "d"])], "passed over"],
    ["an end that nobody was given", [assignment(1, 0, ["a", "b", "c"])], "passed over"],
    [
      "a gap in one",
      [{ ...assignment(1, 0, VALUES), seen: [{ offset: 1, value: "b" }] }, assignment(2, 0, VALUES)],
      "misread",
    ],
    ["another value", [assignment(1, 0, ["a", "b", "x", "d"])], "misread"],
  ])("shows %s", (_what, assignments, wrong) => {
    expect(found({ assignments })).toEqual([wrong]);
  });
});

describe("a queue", () => {
  const done = VALUES.map((_, offset) => lease(1, offset, "acknowledged"));

  it("gives a record out until it is done, and in any order", () => {
    expect(found({ leases: done.toReversed() })).toEqual([]);
    const again = [lease(1, 0, "open"), lease(2, 0, "unknown"), lease(3, 0, "acknowledged"), ...done.slice(1)];
    expect(found({ leases: again })).toEqual([]);
  });

  it.each<[string, readonly Lease[], string]>([
    ["a record that is given out after it was done", [...done, lease(2, 3, "open")], "given again"],
    ["a record that is done twice", [...done, lease(2, 3, "acknowledged")], "given again"],
    ["a record that nobody has done", [lease(1, 0, "open"), ...done.slice(1)], "never done"],
    ["a record that nobody was given", done.slice(0, 3), "never done"],
    ["another value", [lease(1, 0, "acknowledged", "x"), ...done.slice(1)], "misread"],
  ])("shows %s", (_what, leases, wrong) => {
    expect(found({ leases })).toEqual([wrong]);
  });
});
