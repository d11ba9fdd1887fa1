/** The segmented log in its daily work: appending, reading, rolling, sealing, cutting, trimming, opening again. */
import { describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { expectLog, LogWorld, makeEntries, makeEntry, TINY_LIMITS } from "./log-world.ts";

describe("a segmented log", () => {
  it("serves what was appended, from memory and from the disk, before and after a restart", async () => {
    for (const tailCacheBytes of [0, 1_000, 1_000_000]) {
      const limits = { ...TINY_LIMITS, tailCacheBytes };
      const disk = new SimDisk();
      const kv = new SimKv();
      const prng = new Prng(1);
      const entries: Entry[] = [];
      let world = await LogWorld.open(disk, kv, { limits });
      expect(world.report).toMatchObject({ firstIndex: 1, lastIndex: 0, clean: true });
      for (let round = 0; round < 6; round += 1) {
        for (let group = 0; group < 5; group += 1) {
          const more = makeEntries(prng, entries.length + 1, 1 + prng.below(8));
          entries.push(...more);
          await world.append(more);
        }
        await expectLog(world, entries, entries.length, "while open");
        if (round % 2 === 0) await world.saveImage();
        await world.close();
        world = await LogWorld.open(disk, kv, { limits });
        expect(world.report.clean).toBe(true);
        await expectLog(world, entries, entries.length, "after a restart");
      }
      await world.log.settled();
      expect(world.log.stats().sealedSegments).toBeGreaterThan(5);
      await world.close();
    }
  });

  it("takes entries larger than a segment", async () => {
    const disk = new SimDisk();
    const kv = new SimKv();
    const prng = new Prng(2);
    const entries = [
      makeEntry(prng, 1, 1, [0], 100),
      makeEntry(prng, 2, 1, [0, 1, 0], 9_000),
      makeEntry(prng, 3, 1, [1], 100),
      makeEntry(prng, 4, 1, [2], 20_000),
      makeEntry(prng, 5, 1, [], 0),
    ];
    let world = await LogWorld.open(disk, kv);
    await world.append(entries);
    await expectLog(world, entries, 5);
    await world.close();
    world = await LogWorld.open(disk, kv);
    await expectLog(world, entries, 5);
    await world.close();
  });
});
