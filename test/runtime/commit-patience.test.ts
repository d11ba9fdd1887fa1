/** How long a replica waits for another's commit, by how soon commits have come. */
import { describe, expect, it } from "vitest";
import { CommitPatience } from "../../src/runtime/commit-patience.ts";
import { RUNTIME_LIMITS } from "../../src/runtime/limits.ts";

const INITIAL_MS = 60;
const { takeoverSoonerMax, takeoverLaterMax, takeoverSpread } = RUNTIME_LIMITS;

function after(...waitedMs: readonly number[]): number {
  const patience = new CommitPatience(INITIAL_MS, 0);
  for (const ms of waitedMs) patience.came(ms);
  return patience.ms;
}

describe("patience for commits", () => {
  it("is what it was set up with until commits were seen", () => {
    expect(after()).toBe(INITIAL_MS);
  });

  it("is short where they come soon and evenly, and never shorter than a part of the first", () => {
    const even = after(...Array.from({ length: 50 }, () => 22));
    expect(even).toBeGreaterThan(22);
    expect(even).toBeLessThan(30);
    expect(after(...Array.from({ length: 50 }, () => 1))).toBe(INITIAL_MS / takeoverSoonerMax);
  });

  it("is longer where they come now soon, now late, as any of them may", () => {
    const uneven = after(...Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? 4 : 40)));
    expect(uneven).toBeGreaterThan(40);
  });

  it("outlasts what slows them down, and is not without end", () => {
    expect(after(5, 5, 5, 100)).toBeGreaterThan(100);
    expect(after(...Array.from({ length: 50 }, () => 600))).toBeGreaterThan(600);
    expect(after(...Array.from({ length: 50 }, () => 10_000))).toBe(INITIAL_MS * takeoverLaterMax);
  });

  it("comes back once they come soon again", () => {
    const calm = Array.from({ length: 100 }, () => 5);
    expect(after(...calm, 500, ...calm)).toBe(after(...calm));
  });

  it("is another one for each replica", () => {
    expect(new CommitPatience(INITIAL_MS, 1).ms).toBe(INITIAL_MS * (1 + takeoverSpread));
  });
});
