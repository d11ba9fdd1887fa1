/** The segmented log on the real disk and LMDB, as the server runs it: in short, for the simulated disk shows the rest. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { LOG_LIMITS } from "../../log-server/log/limits.ts";
import { openLmdbKv } from "../../log-server/log/disk/lmdb-kv.ts";
import { openRealDisk } from "../../log-server/log/disk/real-disk.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { expectLog, LogWorld, makeEntries } from "./log-world.ts";
import { compactableBefore, expectLeft, Law } from "./rewrite-law.ts";

const folders: string[] = [];

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

describe("a segmented log on a real disk", () => {
  it("keeps what it was given over restarts, images, snapshots and trims", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tidemark-log-"));
    folders.push(folder);
    const limits = { ...LOG_LIMITS, segmentBytes: 256 * 1_024, allocationStepBytes: 64 * 1_024 };
    const prng = new Prng(1);
    const entries: Entry[] = [];
    for (let round = 0; round < 4; round += 1) {
      const kv = openLmdbKv(join(folder, "image"));
      const world = await LogWorld.open(openRealDisk(folder), kv, { limits });
      expect(world.report).toMatchObject({ clean: true, lastIndex: entries.length, damage: [] });
      await expectLog(world, entries, entries.length, `round ${round}`);
      for (let group = 0; group < 20; group += 1) {
        const more = makeEntries(prng, entries.length + 1, 100);
        entries.push(...more);
        await world.append(more);
      }
      await world.log.settled();
      await expectLog(world, entries, entries.length, `round ${round}, written`);
      await world.saveImage();
      if (round === 1) await world.log.snapshotImage();
      await world.close();
      await kv.close();
    }
    const kv = openLmdbKv(join(folder, "image"));
    const world = await LogWorld.open(openRealDisk(folder), kv, { limits });
    await world.log.newestSnapshot();
    expect(world.log.horizon.index).toBe(4_000);
    expect(await world.log.trim(world.log.horizon.index, () => false)).toBeGreaterThan(0);
    expect(world.log.firstIndex).toBeGreaterThan(1);
    await expectLog(world, entries, entries.length, "trimmed");
    await world.close();
    await kv.close();
  });

  it("serves what survives a rewrite, beside it and after a restart", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tidemark-log-"));
    folders.push(folder);
    const limits = { ...LOG_LIMITS, segmentBytes: 256 * 1_024, allocationStepBytes: 64 * 1_024 };
    let kv = openLmdbKv(join(folder, "image"));
    let world = await LogWorld.open(openRealDisk(folder), kv, { limits });
    const entries: Entry[] = [];
    for (let group = 0; group < 30; group += 1) {
      const more = makeEntries(new Prng(group), entries.length + 1, 100);
      entries.push(...more);
      await world.append(more);
    }
    await world.log.settled();
    await world.saveImage();
    await world.log.snapshotImage();
    const law = new Law();
    const { log } = world;
    const before = compactableBefore(world, log.horizon.index);
    for (const [stream, offset] of before) law.compacted.set(stream, offset);
    const rewriting = log.rewrite(
      log.horizon.index,
      log.sealedSegments().map(({ sequence }) => sequence),
      law,
    );
    await expectLeft(world, entries, law, "beside it");
    const report = await rewriting;
    expect(report.refused).toBeUndefined();
    expect(report.bytesAfter * 2).toBeLessThan(report.bytesBefore);
    const left = await expectLeft(world, entries, law, "rewritten", before);
    await world.close();
    await kv.close();
    kv = openLmdbKv(join(folder, "image"));
    world = await LogWorld.open(openRealDisk(folder), kv, { limits });
    expect(world.report).toMatchObject({ clean: true, lastIndex: entries.length, damage: [] });
    expect(await expectLeft(world, entries, law, "opened again", before)).toEqual(left);
    await world.close();
    await kv.close();
  });
});
