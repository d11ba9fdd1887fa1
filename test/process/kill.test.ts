/**
 * `kill -9` at seeded moments, under load and in the middle of recovery, again and again on one folder. At the end every
 * acknowledged record is there exactly once, in order, at the offset that was told, and nothing else is (I5 to I8).
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import { temporaryFolder } from "./folders.ts";
import { Life } from "./life.ts";
import { Workload } from "./workload.ts";

const SEED = 20_261_121;
const ROUNDS = 12;
/** Acknowledgements in a round before the kill. */
const ROUND_MIN = 20;
const ROUND_MORE = 600;
/** Of the rounds, those whose server is killed once more before it is ready. */
const KILLED_AT_START = 0.4;
/** Written while it opens: the folder is locked; the log's end is known, and next comes replay, or an election. */
const STARTING = ["data-folder", "log-recovered"] as const;

describe("kill -9", () => {
  it(`${ROUNDS} times under load and while it starts: nothing acknowledged is lost, repeated or moved`, async () => {
    const data = temporaryFolder();
    const prng = new Prng(SEED);
    const life = new Life(data);
    const workload = new Workload(life, prng.u32());
    await life.start();
    await workload.prepare();
    const clients = workload.run();
    // A client that fails must end the test at once, not only when all rounds are over.
    const failed = clients.then(() => undefined);
    let killedAtStart = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      await Promise.race([failed, life.more(ROUND_MIN + prng.below(ROUND_MORE))]);
      await life.kill();
      if (prng.chance(KILLED_AT_START)) {
        await life.startAndDie(prng.pick(STARTING));
        killedAtStart += 1;
      }
      await life.start();
    }
    life.stopping = true;
    await clients;
    await workload.check();

    // The same after a clean stop, and without the image: from the newest snapshot and the log behind it.
    await life.stop();
    await life.start();
    await workload.check();
    await life.kill();
    rmSync(join(data, "image"), { recursive: true });
    await life.start();
    await workload.check();
    await life.stop();

    // A run that met none of this would prove nothing (P46).
    expect(killedAtStart).toBeGreaterThan(0);
    for (const [what, count] of Object.entries(workload.counts)) expect(count, what).toBeGreaterThan(0);
    for (const event of ["snapshot", "segments-dropped"]) expect(life.events.get(event) ?? 0, event).toBeGreaterThan(0);
  });
});
