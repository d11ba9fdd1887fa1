/**
 * A smoke of `npm run fuzz`: every target of its table, with few inputs from a fixed seed (W5). Whatever arrives gives a
 * value or an error of a known code, never a throw, and buffers no larger than the input pays for. A failure says how to
 * have the input again. Each target must also be seen to accept and to refuse, or the run has shown nothing.
 */
import { describe, expect, it } from "vitest";
import { emptiness, exercise, inputsOf } from "./exercise.ts";
import { TARGETS } from "./table.ts";

const SEED = 20_261_121;
const INPUTS_EACH = 3_000;

describe("W5: parsers survive", () => {
  it.each(TARGETS)("$name", async (target) => {
    const report = await exercise(target, SEED, inputsOf(target, INPUTS_EACH));
    expect(emptiness(report)).toBeUndefined();
  });

  it("gives every target a name of its own", () => {
    expect(new Set(TARGETS.map(({ name }) => name)).size).toBe(TARGETS.length);
  });
});
