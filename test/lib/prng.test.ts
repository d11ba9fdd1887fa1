/** The seeded generator: the same seed, the same run, on every machine. */
import { describe, expect, it } from "vitest";
import { hex } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";

function draws(prng: Prng, count: number): number[] {
  return Array.from({ length: count }, () => prng.u32());
}

describe("Prng", () => {
  it("repeats itself, and differs by seed", () => {
    expect(draws(new Prng(1), 100)).toEqual(draws(new Prng(1), 100));
    expect(draws(new Prng(1), 4)).not.toEqual(draws(new Prng(2), 4));
    expect(draws(new Prng(1), 4)).not.toEqual(draws(new Prng(1 + 2 ** 32), 4));
  });

  it("never changes: seeds in failure reports must stay good", () => {
    const prng = new Prng(42);
    expect([prng.u32(), prng.u32(), prng.below(1_000), prng.pick(["a", "b", "c"]), hex(prng.bytes(8))])
      .toMatchInlineSnapshot(`
      [
        1849552023,
        4223452576,
        27,
        "c",
        "74df3ad64c952356",
      ]
    `);
  });

  it("forks by label, without depending on what the fork draws", () => {
    const run = (drawn: number): number[] => {
      const prng = new Prng(7);
      draws(prng.fork("disk"), drawn);
      return draws(prng, 3);
    };
    expect(run(0)).toEqual(run(50));
    expect(draws(new Prng(7).fork("disk"), 3)).not.toEqual(draws(new Prng(7).fork("network"), 3));
  });

  it("stays in range and uses all of it", () => {
    const prng = new Prng(3);
    const seen = new Set<number>();
    for (let draw = 0; draw < 1_000; draw += 1) {
      const value = prng.below(7);
      expect(Number.isInteger(value) && value >= 0 && value < 7).toBe(true);
      seen.add(value);
      const float = prng.float();
      expect(float >= 0 && float < 1).toBe(true);
    }
    expect(seen.size).toBe(7);
    expect(prng.chance(0)).toBe(false);
    expect(prng.chance(1)).toBe(true);
  });
});
