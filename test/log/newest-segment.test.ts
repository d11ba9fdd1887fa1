/**
 * Which segment is the newest stands in a file of its own: a log whose newest segment is lost does not pass for a shorter one (I13),
 * and a crash never looks like such a loss (P31).
 */
import { describe, expect, it } from "vitest";
import { LogLayout } from "../../log-server/log/log-layout.ts";
import { SegmentedLog } from "../../log-server/log/segmented-log.ts";
import { NEWEST_SLOT_SPACING, NewestSegment } from "../../log-server/log/segments/newest-segment.ts";
import { Prng } from "../../src/lib/prng.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { crashEverywhere, type Machine, restarted } from "./crash-everywhere.ts";
import { expectLog, LogWorld, makeEntries, makeEntry, TINY_LIMITS } from "./log-world.ts";

const COUNT = 60;
const NEWEST = "logs/0/newest-segment";

/** A log of several segments, some of them sealed. */
async function build(entries: readonly Entry[], options: { readonly image?: boolean } = {}): Promise<Machine> {
  const machine = { disk: new SimDisk(), kv: new SimKv() };
  const world = await LogWorld.open(machine.disk, machine.kv);
  for (const entry of entries) await world.append([entry]);
  if (options.image === true) await world.saveImage();
  await world.close();
  return restarted(machine);
}

function usedOf({ disk }: Machine): string[] {
  return disk.files().filter((path) => path.endsWith(".log") && disk.bytes(path).some((byte) => byte > 0));
}

function firstOf(disk: SimDisk, path: string): number {
  return Number(new DataView(disk.bytes(path).buffer).getBigUint64(32, true));
}

function openAs(machine: Machine, soleVoter: boolean): ReturnType<typeof SegmentedLog.open> {
  const { disk, kv } = machine;
  return SegmentedLog.open({ disk, kv, directory: "logs/0", logId: 0, limits: TINY_LIMITS, soleVoter });
}

describe("the newest segment", () => {
  it.each([
    ["is missing", (disk: SimDisk, path: string): Promise<void> => disk.remove(path)],
    [
      "is zeros",
      (disk: SimDisk, path: string): Promise<void> => {
        for (let at = 0; at < disk.bytes(path).length; at += 512) disk.zeroSector(path, at / 512);
        return Promise.resolve();
      },
    ],
  ])("%s: the log's end is ambiguous, at every start, until it is settled", async (_, harm) => {
    const entries = makeEntries(new Prng(1), 1, COUNT);
    const machine = await build(entries);
    const path = usedOf(machine).at(-1) as string;
    const fromIndex = firstOf(machine.disk, path);
    expect(fromIndex).toBeLessThan(COUNT);
    await harm(machine.disk, path);
    for (let start = 0; start < 2; start += 1) {
      const world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false });
      expect(world.report).toMatchObject({ lastIndex: fromIndex - 1, clean: false, discarded: undefined });
      expect(world.log.ambiguous).toMatchObject({ fromIndex, toIndex: undefined });
      await expectLog(world, entries, fromIndex - 1);
      await world.close();
    }
    // A leader has what was in it.
    let world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false });
    await world.append(entries.slice(fromIndex - 1));
    await world.close();
    world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false });
    expect(world.log.ambiguous).toBeUndefined();
    await expectLog(world, entries, COUNT);
    await world.close();
  });

  it("is sealed, all of it is in a snapshot, and both its files are missing: the log ends where it ended", async () => {
    const entries = makeEntries(new Prng(1), 1, COUNT);
    const machine = { disk: new SimDisk(), kv: new SimKv() };
    const before = await LogWorld.open(machine.disk, machine.kv);
    for (const entry of entries) await before.append([entry]);
    await before.log.roll();
    await before.log.settled();
    await before.saveImage();
    await before.log.snapshotImage();
    const { end } = before.log;
    await before.close();
    const index = machine.disk.files().findLast((path) => path.endsWith(".index")) as string;
    for (const path of [index, index.replace(".index", ".log")]) await machine.disk.remove(path);
    for (let start = 0; start < 2; start += 1) {
      const world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false });
      expect(world.log.ambiguous).toBeUndefined();
      expect(world.log.end).toEqual(end);
      expect(world.log.damage).toMatchObject([{ kind: "segment" }]);
      await world.close();
    }
    const world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false });
    await world.append(makeEntries(new Prng(2), COUNT + 1, 5));
    expect(world.log.lastIndex).toBe(COUNT + 5);
    await world.close();
  });

  it("that is missing is missed where it is the only one, too, and with those before it", async () => {
    const entries = makeEntries(new Prng(2), 1, COUNT);
    const base = await build(entries);
    const used = usedOf(base);
    expect(used.length).toBeGreaterThan(4);
    for (const count of [2, 3, used.length]) {
      const machine = restarted(base);
      for (const path of used.slice(-count)) {
        await machine.disk.remove(path);
        if (machine.disk.exists(path.replace(".log", ".index")))
          await machine.disk.remove(path.replace(".log", ".index"));
      }
      const opened = await openAs({ disk: machine.disk, kv: new SimKv() }, false);
      if (!opened.ok) throw new Error(opened.error.message);
      expect(opened.value.log.ambiguous, `${count}`).toMatchObject({ toIndex: undefined });
      await opened.value.log.close();
    }
  });

  it("that is missing keeps a sole voter from starting, until an operator says to go on without it", async () => {
    const entries = makeEntries(new Prng(3), 1, COUNT);
    const machine = await build(entries);
    const path = usedOf(machine).at(-1) as string;
    const before = firstOf(machine.disk, path) - 1;
    await machine.disk.remove(path);
    const opened = await openAs(machine, true);
    expect(opened).toMatchObject({ ok: false, error: { kind: "newest-segment-missing" } });
    expect(opened.ok ? "" : opened.error.message).toContain(path);
    expect(machine.disk.exists(path)).toBe(false);
    await machine.disk.remove(NEWEST);
    const world = await LogWorld.open(machine.disk, machine.kv);
    await expectLog(world, entries, before);
    expect(world.log.lastIndex).toBe(before);
    await world.close();
  });

  it("nobody has any more is let go, and what comes after that is a whole log", async () => {
    const entries = makeEntries(new Prng(4), 1, COUNT);
    const base = await build(entries);
    const path = usedOf(base).at(-1) as string;
    const before = firstOf(base.disk, path) - 1;
    await base.disk.remove(path);
    const kept = entries.slice(0, before);
    const tally = await crashEverywhere<{ settled: boolean; acknowledged: number }>({
      base: restarted(base),
      begin: () => ({ settled: false, acknowledged: before }),
      work: async ({ disk, kv }, progress) => {
        const world = await LogWorld.open(disk, kv, { soleVoter: false });
        await world.log.discardAmbiguous();
        progress.settled = true;
        await world.log.settled();
        await world.append([makeEntry(new Prng(5), before + 1, 2, [0], 40)]);
        progress.acknowledged = before + 1;
        await world.close();
      },
      verify: async ({ disk, kv }, { settled, acknowledged }, where) => {
        const world = await LogWorld.open(disk, kv, { soleVoter: false });
        expect(world.log.lastIndex, where).toBeGreaterThanOrEqual(acknowledged);
        if (settled) expect(world.log.ambiguous, where).toBeUndefined();
        else if (world.log.ambiguous !== undefined)
          expect(world.log.ambiguous, where).toMatchObject({ fromIndex: before + 1 });
        await expectLog(world, [...kept, makeEntry(new Prng(5), before + 1, 2, [0], 40)], acknowledged, where);
        await world.close();
      },
      samples: 4,
      seed: 6,
    });
    expect(tally.points).toBeGreaterThan(40);
  });
});

describe("the file that names it", () => {
  it("is read with either slot, and believed with none", async () => {
    const entries = makeEntries(new Prng(7), 1, COUNT);
    const base = await build(entries);
    const path = usedOf(base).at(-1) as string;
    for (const slots of [[0], [1], [0, 1]]) {
      const machine = restarted(base);
      for (const slot of slots) machine.disk.flip(NEWEST, slot * NEWEST_SLOT_SPACING + 30);
      const world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false });
      expect(world.report.newestUnknown).toBe(slots.length === 2);
      await expectLog(world, entries, COUNT);
      await world.close();
      // The start has made it good.
      for (const slot of [0, 1].filter((one) => slots.length === 1 && !slots.includes(one)))
        machine.disk.flip(NEWEST, slot * NEWEST_SLOT_SPACING + 30);
      const again = restarted(machine);
      await again.disk.remove(path);
      const opened = await openAs(again, false);
      expect(opened.ok && opened.value.log.ambiguous, String(slots)).toMatchObject({ toIndex: undefined });
      if (opened.ok) await opened.value.log.close();
    }
  });

  it("goes on from what another has written meanwhile, if that is of another segment", async () => {
    const disk = new SimDisk();
    await disk.createDirectory("logs/0");
    for (const folder of ["logs", ""]) await disk.syncDirectory(folder);
    const newest = await NewestSegment.open(disk, new LogLayout("logs/0"), 0);
    await newest.set(3);
    const [left, set] = [newest.leave(3, 2), newest.set(5)];
    await Promise.all([left, set, newest.leave(3, 2)]);
    expect(newest.sequence).toBe(5);
    await newest.close();
    const after = disk.crash({ kind: "none" });
    const again = await NewestSegment.open(after, new LogLayout("logs/0"), 0);
    expect(again.sequence).toBe(5);
    const others = await NewestSegment.open(after, new LogLayout("logs/0"), 1);
    expect(others.sequence).toBe(0);
  });
});
