/** Majorities against a model that counts (P2): every size up to seven, simple and joint. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Configuration } from "../../log-server/raft/configuration.ts";
import { jointReached, jointVote } from "../../log-server/raft/joint-quorum.ts";
import { majorityOf, majorityReached, majorityVote, type VoteOutcome } from "../../log-server/raft/quorum.ts";

const SIZE_MAX = 7;

function names(count: number): string[] {
  return Array.from({ length: count }, (_, place) => `n${place}`);
}

/** Tries every value: the highest that more than half have reached. */
function modelReached(values: readonly number[]): number {
  if (values.length === 0) return Number.POSITIVE_INFINITY;
  const reachedBy = (value: number): number => values.filter((other) => other >= value).length;
  return Math.max(...values.filter((value) => reachedBy(value) * 2 > values.length));
}

/** Tries every way in which the others may still vote. */
function modelVote(votes: readonly (boolean | undefined)[]): VoteOutcome {
  const granted = votes.filter((vote) => vote === true).length;
  const open = votes.filter((vote) => vote === undefined).length;
  if (granted * 2 > votes.length || votes.length === 0) return "won";
  return (granted + open) * 2 > votes.length ? "pending" : "lost";
}

/** All lists of this length over these values. */
function* lists<T>(length: number, values: readonly T[]): Generator<T[]> {
  if (length === 0) yield [];
  else for (const rest of lists(length - 1, values)) for (const value of values) yield [...rest, value];
}

function configuration(voters: readonly string[], outgoing: readonly string[]): Configuration {
  return { voters, outgoing, learners: [], demoted: [] };
}

describe("majorities", () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [6, 4],
    [7, 4],
  ])("of %i are %i", (count, majority) => {
    expect(majorityOf(count)).toBe(majority);
  });

  for (let size = 0; size <= SIZE_MAX; size += 1) {
    it(`reach what the model says, with ${size} voters`, () => {
      const voters = names(size);
      // Order is all that counts: as many values as there are voters show every case, in small sizes all of them.
      const values = size <= 5 ? [0, 1, 2, 3, 4] : [0, 1, 2];
      for (const list of lists(size, values)) {
        expect(majorityReached(voters, (id) => list[voters.indexOf(id)] as number)).toBe(modelReached(list));
      }
    });

    it(`vote as the model says, with ${size} voters`, () => {
      const voters = names(size);
      for (const list of lists(size, [true, false, undefined])) {
        expect(majorityVote(voters, (id) => list[voters.indexOf(id)])).toBe(modelVote(list));
      }
    });
  }
});

describe("joint majorities", () => {
  const halves = fc.record({
    voters: fc.subarray(names(SIZE_MAX), { minLength: 1 }),
    outgoing: fc.subarray(names(SIZE_MAX)),
    values: fc.array(fc.nat(6), { minLength: SIZE_MAX, maxLength: SIZE_MAX }),
    votes: fc.array(fc.constantFrom(true, false, undefined), { minLength: SIZE_MAX, maxLength: SIZE_MAX }),
  });

  it("take both halves", () => {
    fc.assert(
      fc.property(halves, ({ voters, outgoing, values, votes }) => {
        const all = names(SIZE_MAX);
        const of = (ids: readonly string[]): number[] => ids.map((id) => values[all.indexOf(id)] as number);
        const joint = configuration(voters, outgoing);
        expect(jointReached(joint, (id) => values[all.indexOf(id)] as number)).toBe(
          Math.min(modelReached(of(voters)), modelReached(of(outgoing))),
        );
        const outcomes = [voters, outgoing].map((ids) => modelVote(ids.map((id) => votes[all.indexOf(id)])));
        const model = outcomes.includes("lost") ? "lost" : outcomes.includes("pending") ? "pending" : "won";
        expect(jointVote(joint, (id) => votes[all.indexOf(id)])).toBe(model);
      }),
      { numRuns: 3_000 },
    );
  });

  it("are simple ones where nothing is outgoing", () => {
    expect(jointReached(configuration(["a", "b", "c"], []), (id) => ({ a: 5, b: 3, c: 1 })[id] as number)).toBe(3);
    expect(jointVote(configuration(["a"], []), () => undefined)).toBe("pending");
  });
});
