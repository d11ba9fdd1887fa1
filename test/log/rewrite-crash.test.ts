/**
 * Crashes while sealed segments are rewritten, before and after every call that changes the disk or the store: the old
 * segments serve or the new one does, nothing is lost or doubled, no file is left behind, and nothing is taken for damage
 * (I6, I13, P31).
 */
import { afterAll, describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { crashEverywhere, type CrashTally, type Machine, withAndWithoutStore } from "./crash-everywhere.ts";
import { LogWorld, makeEntries } from "./log-world.ts";
import { compactableBefore, expectLeft, Law } from "./rewrite-law.ts";

type Progress = { readonly law: Law; done: number; attempted: number };

let total: CrashTally = { points: 0, crashes: 0, sampled: 0 };

const ENTRIES = makeEntries(new Prng(31), 1, 70);
const MORE = makeEntries(new Prng(32), 71, 12);

async function base(): Promise<Machine> {
  const machine = { disk: new SimDisk(), kv: new SimKv() };
  const world = await LogWorld.open(machine.disk, machine.kv);
  for (let from = 0; from < ENTRIES.length; from += 5) await world.append(ENTRIES.slice(from, from + 5));
  await world.log.settled();
  await world.saveImage();
  await world.log.snapshotImage();
  await world.close();
  return { disk: machine.disk.crash({ kind: "all" }), kv: machine.kv.crash() };
}

/** Every file belongs to a segment that the log has, or is a spare. */
function expectNoLeftovers(world: LogWorld, disk: SimDisk, where: string): void {
  const names = disk
    .files()
    .filter((path) => path.includes("/segments/"))
    .map((path) => path.slice(path.lastIndexOf("/") + 1));
  const { sealedSegments, unsealedSegments, spares } = world.log.stats();
  const count = (end: string): number => names.filter((name) => name.endsWith(end)).length;
  expect(count(".new"), where).toBe(0);
  expect(count(".index"), where).toBe(sealedSegments);
  expect(count(".log") + count(".compacted"), where).toBe(sealedSegments + unsealedSegments + spares);
}

let verified = 0;

async function expectRecovered(machine: Machine, progress: Progress, where: string): Promise<void> {
  // The store may be lost as well: the blocks alone say what was decided.
  for (const left of withAndWithoutStore(machine)) await expectWhole(left, progress, where);
}

async function expectWhole({ disk, kv }: Machine, progress: Progress, where: string): Promise<void> {
  let world = await LogWorld.open(disk, kv);
  const entries: Entry[] = [...ENTRIES, ...MORE.slice(0, progress.attempted)];
  expect(world.log.lastIndex, where).toBeLessThanOrEqual(entries.length);
  entries.length = world.log.lastIndex;
  expect(entries.length, where).toBeGreaterThanOrEqual(ENTRIES.length);
  expect(world.log.damage, where).toEqual([]);
  await expectLeft(world, entries, progress.law, where);
  await world.log.settled();
  expectNoLeftovers(world, disk, where);
  const rewritten = world.log.sealedSegments().filter((segment) => segment.rewritten).length;
  expect(rewritten, where).toBeGreaterThanOrEqual(Math.min(1, progress.done));
  verified += 1;
  // So that both of them come to it, with a store and without.
  if (verified % 5 !== 0) return world.close();

  // The log goes on, is rewritten again, and the next start finds the same.
  const more = makeEntries(new Prng(33), entries.length + 1, 3, 9);
  await world.append(more);
  entries.push(...more);
  const sequences = world.log.sealedSegments().filter(({ lastIndex }) => lastIndex <= world.log.horizon.index);
  const report = await world.log.rewrite(
    world.log.horizon.index,
    sequences.map(({ sequence }) => sequence),
    progress.law,
  );
  expect(report.refused, where).toBeUndefined();
  await world.close();
  world = await LogWorld.open(disk, kv);
  await expectLeft(world, entries, progress.law, `${where}, a second start`);
  await world.log.settled();
  expectNoLeftovers(world, disk, `${where}, a second start`);
  await world.close();
}

describe("a crash", () => {
  it("in a rewrite leaves the old segments or the new one", async () => {
    const tally = await crashEverywhere<Progress>({
      base: await base(),
      begin: () => ({ law: new Law(), done: 0, attempted: 0 }),
      work: async ({ disk, kv }, progress) => {
        const world = await LogWorld.open(disk, kv);
        const { log } = world;
        const { law } = progress;
        const position = log.horizon.index;
        const end = compactableBefore(world, position);
        for (const [stream, offset] of end) law.compacted.set(stream, Math.floor(offset / 2));
        const sequences = log.sealedSegments().flatMap((one) => (one.lastIndex <= position ? [one.sequence] : []));
        expect((await log.rewrite(position, sequences.slice(0, 3), law)).refused).toBeUndefined();
        progress.done += 1;
        progress.attempted = 6;
        await world.append(MORE.slice(0, 6));
        // What was rewritten is rewritten again, with its neighbours.
        for (const [stream, offset] of end) law.compacted.set(stream, offset);
        law.live.set(1, 9);
        const now = log.sealedSegments().flatMap((one) => (one.lastIndex <= position ? [one.sequence] : []));
        expect((await log.rewrite(position, now, law)).refused).toBeUndefined();
        progress.done += 1;
        progress.attempted = MORE.length;
        await world.append(MORE.slice(6));
        await world.close();
      },
      verify: expectRecovered,
      samples: 36,
      seed: 34,
    });
    total = tally;
  });

  it("in the start after such a crash does, too", async () => {
    // The power goes when the new segment has its name, and all is still there that it replaces.
    const start = await base();
    const law = new Law();
    const disk: SimDisk = start.disk.crash(
      { kind: "all" },
      {
        onMutation: (kind, path, phase) => {
          if (kind !== "rename" || phase !== "after" || !path.includes(".compacted")) return;
          disk.pullPlug();
        },
      },
    );
    const kv = start.kv.crash();
    const world = await LogWorld.open(disk, kv);
    const position = world.log.horizon.index;
    for (const [stream, offset] of compactableBefore(world, position)) law.compacted.set(stream, offset);
    const sequences = world.log.sealedSegments().flatMap((one) => (one.lastIndex <= position ? [one.sequence] : []));
    await expect(world.log.rewrite(position, sequences, law)).rejects.toMatchObject({ code: "closed" });
    const found: Machine = { disk: disk.crash({ kind: "all" }), kv: kv.crash() };
    expect(found.disk.files().some((path) => path.endsWith(".compacted"))).toBe(true);
    const tally = await crashEverywhere<Progress>({
      base: found,
      begin: () => ({ law, done: 1, attempted: 0 }),
      work: async (machine) => {
        const again = await LogWorld.open(machine.disk, machine.kv);
        await again.close();
      },
      verify: expectRecovered,
      samples: 20,
      seed: 35,
    });
    total = {
      points: total.points + tally.points,
      crashes: total.crashes + tally.crashes,
      sampled: total.sampled + tally.sampled,
    };
  });

  afterAll(() => {
    expect(total.points).toBeGreaterThan(200);
    expect(total.sampled).toBeGreaterThan(1_000);
  });
});
