/** The terms of a log as runs, against a plain list of them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TermRuns } from "../../log-server/raft/term-runs.ts";

/** Terms that never go back, beginning at 1. */
const terms = fc
  .array(fc.nat(2), { maxLength: 12 })
  .map((steps) => steps.reduce<number[]>((list, step) => [...list, (list.at(-1) ?? 1) + (step === 2 ? 1 : 0)], []));

function runsOf(list: readonly number[]): TermRuns {
  const runs = new TermRuns([], 0);
  list.forEach((term, place) => runs.add(place + 1, term));
  return runs;
}

describe("term runs", () => {
  it("answer as the list does, also after cuts and trims", () => {
    fc.assert(
      fc.property(terms, fc.nat(12), fc.nat(12), (list, cut, trim) => {
        const runs = runsOf(list);
        runs.cut(cut);
        const kept = list.slice(0, cut);
        expect(runs.last).toEqual({ index: kept.length, term: kept.at(-1) ?? 0 });
        runs.trim(Math.min(trim, kept.length));
        for (let index = Math.max(1, trim - 1); index <= 13; index += 1) expect(runs.term(index)).toBe(kept[index - 1]);
        expect(runs.copy().last).toEqual(runs.last);
      }),
    );
  });

  it("find the newest entry of at most a term", () => {
    fc.assert(
      fc.property(terms, fc.nat(14), fc.nat(8), (list, index, term) => {
        const model = list.slice(0, index).findLastIndex((each) => each <= term) + 1;
        expect(runsOf(list).atMost(index, term)).toEqual({ index: model, term: list[model - 1] ?? 0 });
      }),
    );
  });

  it("find what two logs have in common", () => {
    fc.assert(
      fc.property(terms, terms, terms, (shared, mine, theirs) => {
        // Behind what they share the logs have other leaders: no term occurs in both.
        const top = shared.at(-1) ?? 0;
        const one = [...shared, ...mine.map((term) => top + term * 2)];
        const other = [...shared, ...theirs.map((term) => top + term * 2 + 1)];
        expect(runsOf(one).commonWith(runsOf(other))).toBe(shared.length);
        expect(runsOf(other).commonWith(runsOf(one))).toBe(shared.length);
      }),
    );
  });

  it("pass over 100,000 divergent entries in a few steps (P48)", () => {
    const mine = new TermRuns(
      [
        { firstIndex: 1, term: 1 },
        { firstIndex: 11, term: 7 },
      ],
      100_010,
    );
    const theirs = new TermRuns(
      [
        { firstIndex: 1, term: 1 },
        { firstIndex: 11, term: 5 },
      ],
      100_010,
    );
    const hint = theirs.atMost(100_010, 7);
    expect(hint).toEqual({ index: 100_010, term: 5 });
    expect(mine.atMost(hint.index, hint.term)).toEqual({ index: 10, term: 1 });
    expect(mine.commonWith(theirs)).toBe(10);
  });

  it("begin anew behind a snapshot", () => {
    const runs = runsOf([1, 1, 2]);
    runs.reset({ index: 9, term: 4 });
    expect(runs.term(9)).toBe(4);
    expect(runs.term(8)).toBeUndefined();
    expect(() => runs.add(11, 4)).toThrow("I2");
    expect(() => runs.add(10, 3)).toThrow("I2");
  });
});
