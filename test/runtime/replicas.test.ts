/** Replicas of an app: each output once, in order, at its place, whatever becomes of workers and messages (I10, I12, I14). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { APPS } from "./apps.ts";
import { AppWorld } from "./app-world.ts";
import { append, runRandom } from "./random-run.ts";

const FINISHED_WITHIN_MS = 20_000;

const NAMES = Object.keys(APPS) as (keyof typeof APPS)[];

describe("one replica", () => {
  it.each(NAMES)("puts out what the topology says: %s", async (name) => {
    const world = new AppWorld(APPS[name].make().build(), 1);
    world.start();
    for (let round = 0; round < 20; round += 1) {
      append(world, APPS[name], 3);
      await world.pass(10);
    }
    expect(await world.finish(FINISHED_WITHIN_MS)).toBeUndefined();
    expect(world.log.of("out").length).toBeGreaterThan(0);
  });
});

describe("replicas", () => {
  it.each(NAMES)("put out each output once, in order, over kills, pauses, cuts and lost messages: %s", async (app) => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), (seed) => runRandom(seed, { app })),
      { numRuns: 6 },
    );
  });
});
