/** Replicas of an app: each output once, in order, at its place, whatever becomes of workers and messages (I10, I12, I14). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import type { Topology } from "../../src/operators/build/topology.ts";
import { AppWorld, CALM } from "./app-world.ts";
import { APPS, type Event } from "./apps.ts";

const ROUGH = { delayMsMax: 20, lost: 0.1, twice: 0.1 };
const FINISHED_WITHIN_MS = 20_000;

/** To one of the app's inputs, in batches of one record or more. */
function append(world: AppWorld, count: number): void {
  const partitions = world.graph.stages[0]?.partitions ?? 1;
  const stream = partitions === 1 ? "in" : `in/${world.prng.below(partitions)}`;
  const records = Array.from({ length: count }, () => {
    const event: Event = { key: world.prng.pick(["a", "b", "c"]), n: world.prng.below(100) };
    return { value: utf8(JSON.stringify(event)), timestamp: world.clock.now() - world.prng.below(50) };
  });
  world.log.append(stream, records);
}

/** What may happen between two appends. */
async function disturb(world: AppWorld): Promise<void> {
  const { prng, workers } = world;
  const running = workers.length > 0 ? prng.pick(workers) : undefined;
  const dice = prng.below(12);
  if (running === undefined || (dice === 0 && workers.length < 4)) world.start(ROUGH);
  else if (dice === 1) world.kill(running);
  else if (dice === 2) {
    running.worker.pause();
    world.clock.schedule(prng.below(300), () => running.worker.resume());
  } else if (dice === 3) {
    running.worker.cut = true;
    world.clock.schedule(prng.below(300), () => {
      running.worker.cut = false;
    });
  }
  await world.pass(prng.below(40));
}

function graphOf(app: () => Topology): ReturnType<Topology["build"]> {
  return app().build();
}

describe("one replica", () => {
  it.each(Object.entries(APPS))("puts out what the topology says: %s", async (_, app) => {
    const world = new AppWorld(graphOf(app), 1);
    world.start();
    for (let round = 0; round < 20; round += 1) {
      append(world, 3);
      await world.pass(10);
    }
    expect(await world.finish(FINISHED_WITHIN_MS)).toBeUndefined();
    expect(world.log.of("out").length).toBeGreaterThan(0);
  });
});

describe("replicas", () => {
  it.each(Object.entries(APPS))(
    "put out each output once, in order, over kills, pauses, cuts and lost messages: %s",
    async (_, app) => {
      await fc.assert(
        fc.asyncProperty(fc.nat(), async (seed) => {
          const world = new AppWorld(graphOf(app), seed);
          for (let replica = 0; replica < 3; replica += 1) world.start(ROUGH);
          for (let round = 0; round < 25; round += 1) {
            append(world, 1 + world.prng.below(3));
            await disturb(world);
          }
          world.start(CALM);
          expect(await world.finish(FINISHED_WITHIN_MS)).toBeUndefined();
        }),
        { numRuns: 6 },
      );
    },
  );
});
