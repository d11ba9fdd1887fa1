/**
 * Damage in a segmented log made good from others: what comes back is what was there, a part from each of them, nothing
 * that does not prove itself is taken, and a crash on the way costs nothing (I13).
 */
import { describe, expect, it } from "vitest";
import { hashOfEntry } from "../../log-server/log/entries/entry-frame.ts";
import type { MendSource } from "../../log-server/log/repair/mender.ts";
import type { OfferedEntries } from "../../log-server/log/repair/mending.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { crashEverywhere, type Machine, restarted } from "./crash-everywhere.ts";
import { expectLog, LogWorld, makeEntries } from "./log-world.ts";

const SECTOR = 512;
const COUNT = 60;

/** Another node with these entries, that tells a few at a time. */
class Other implements MendSource {
  readonly #entries: readonly Entry[];
  readonly #hashes: bigint[] = [0n];
  asked = 0;

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
    for (const entry of entries) this.#hashes.push(hashOfEntry(0, entry, this.#hashes.at(-1) as bigint));
  }

  batches(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  entries(from: number, to: number): Promise<OfferedEntries | undefined> {
    this.asked += 1;
    const entries = this.#entries.slice(from - 1, Math.min(to, from + 2));
    return Promise.resolve(
      entries.length === 0 ? undefined : { previousHash: this.#hashes[from - 1] as bigint, entries },
    );
  }
}

/** The log of `entries` after a clean stop: sealed segments, and one that was being written. */
async function build(entries: readonly Entry[], unsealedFrom = Number.POSITIVE_INFINITY): Promise<Machine> {
  const machine = { disk: new SimDisk(), kv: new SimKv() };
  const world = await LogWorld.open(machine.disk, machine.kv);
  for (let from = 0; from < entries.length; from += 5) {
    const group = entries.slice(from, from + 5);
    await world.log.append(group);
    world.apply(group.filter(({ index }) => index < unsealedFrom));
  }
  await world.log.settled();
  await world.saveImage();
  await world.close();
  return { disk: machine.disk.crash({ kind: "all" }), kv: machine.kv.crash() };
}

async function mendAll(world: LogWorld, ...sources: readonly MendSource[]): Promise<void> {
  const damaged = new Set(world.log.damage.map(({ segment }) => segment));
  for (const sequence of damaged) if (sequence !== undefined) await world.log.mend(sequence, sources);
  await world.catchUp();
}

/** Reads everything, so that what is damaged is known. */
async function find(world: LogWorld): Promise<void> {
  for (let index = 1; index <= world.log.lastIndex; index += 1) await world.log.entries(index, index, 1);
}

/** Without those that were made ahead, and that nothing was written to. */
function usedSegments(disk: SimDisk): string[] {
  return disk.files().filter((name) => name.endsWith(".log") && disk.bytes(name).some((byte) => byte > 0));
}

function* harms(base: Machine, prng: Prng): Generator<{ machine: Machine; where: string }> {
  const logs = usedSegments(base.disk);
  for (const path of logs) {
    for (let sector = 0; sector < Math.ceil(base.disk.bytes(path).length / SECTOR); sector += 1) {
      const flipped = restarted(base);
      flipped.disk.flip(path, sector * SECTOR + prng.below(SECTOR), prng.below(8));
      yield { machine: flipped, where: `flip in sector ${sector} of ${path}` };
      for (const [name, length] of [
        ["zeros", 1],
        ["stale", 1],
        ["a wide hole", 4],
      ] as const) {
        const machine = restarted(base);
        let harmed = false;
        // Nothing tells what stood at the end of the last one: that is another rule's business.
        if (length > 1 && path === logs.at(-1)) continue;
        for (let at = sector; at < sector + length && at * SECTOR < base.disk.bytes(path).length; at += 1)
          harmed =
            (name === "stale" ? machine.disk.staleSector(path, at) : machine.disk.zeroSector(path, at)) || harmed;
        if (harmed) yield { machine, where: `${name} at sector ${sector} of ${path}` };
      }
    }
  }
}

/** A log whose first index was zeroed under it, and the same one whole. */
async function withoutIndex(): Promise<{ entries: readonly Entry[]; world: LogWorld; other: LogWorld }> {
  const entries = makeEntries(new Prng(13), 1, COUNT);
  const base = await build(entries);
  const [path] = base.disk.files().filter((name) => name.endsWith(".index")) as [string];
  const whole = restarted(base);
  const other = await LogWorld.open(whole.disk, whole.kv);
  const machine = restarted(base);
  const world = await LogWorld.open(machine.disk, machine.kv);
  for (let at = 0; at < machine.disk.bytes(path).length; at += SECTOR) machine.disk.zeroSector(path, at / SECTOR);
  return { entries, world, other };
}

describe("mending", () => {
  it.each([
    ["all of it applied", Number.POSITIVE_INFINITY],
    ["much of it not applied", 20],
  ])("brings back whatever a sector held: %s", async (_, unsealedFrom) => {
    const entries = makeEntries(new Prng(1), 1, COUNT);
    const base = await build(entries, unsealedFrom);
    let mended = 0;
    for (const { machine, where } of harms(base, new Prng(2))) {
      const world = await LogWorld.open(machine.disk, machine.kv);
      await find(world);
      mended += world.log.damage.length;
      await mendAll(world, new Other(entries));
      world.blockedAt = undefined;
      await expectLog(world, entries, COUNT, where);
      await world.saveImage();
      await world.close();
      const again = await LogWorld.open(machine.disk, machine.kv);
      expect(again.report.damage, where).toEqual([]);
      expect(again.report.discarded, where).toBeUndefined();
      await expectLog(again, entries, COUNT, where);
      await again.close();
    }
    expect(mended).toBeGreaterThan(50);
  });

  it("makes a sealed segment's file anew that is missing", async () => {
    const entries = makeEntries(new Prng(3), 1, COUNT);
    const base = await build(entries);
    const paths = base.disk.files().filter((name) => name.endsWith(".index"));
    expect(paths.length).toBeGreaterThan(2);
    for (const path of paths) {
      const machine = restarted(base);
      await machine.disk.remove(path.replace(".index", ".log"));
      const world = await LogWorld.open(machine.disk, machine.kv);
      expect(world.log.damage).toMatchObject([{ kind: "segment" }]);
      await mendAll(world, new Other(entries));
      await expectLog(world, entries, COUNT, path);
      await world.close();
      // Its index lost as well, the file stands for itself.
      await machine.disk.remove(path);
      const again = await LogWorld.open(machine.disk, machine.kv);
      await again.log.settled();
      await expectLog(again, entries, COUNT, path);
      await again.close();
    }
  });

  it("makes the file of a segment anew that is missing and was not sealed, one or several", async () => {
    const entries = makeEntries(new Prng(9), 1, COUNT);
    const base = await build(entries, 30);
    const used = usedSegments(base.disk);
    const isSealed = (path: string): boolean => base.disk.exists(path.replace(".log", ".index"));
    const firstUnsealed = used.findIndex((path) => !isSealed(path));
    expect(firstUnsealed).toBeGreaterThan(1);
    expect(used.length - firstUnsealed).toBeGreaterThan(3);
    for (let from = 1; from < used.length - 1; from += 1) {
      for (let count = 1; from + count < used.length; count += 1) {
        const machine = restarted(base);
        for (const path of used.slice(from, from + count)) {
          await machine.disk.remove(path);
          if (isSealed(path)) await machine.disk.remove(path.replace(".log", ".index"));
        }
        const where = `${count} from ${used[from]} on`;
        const world = await LogWorld.open(machine.disk, machine.kv);
        expect(world.log.lastIndex, where).toBe(COUNT);
        expect(world.log.damage.length, where).toBeGreaterThan(0);
        await mendAll(world, new Other(entries));
        world.blockedAt = undefined;
        await expectLog(world, entries, COUNT, where);
        await world.close();
        const again = await LogWorld.open(machine.disk, machine.kv);
        await expectLog(again, entries, COUNT, where);
        await again.close();
      }
    }
  });

  it("survives a crash at any point while a missing file is made anew", async () => {
    const entries = makeEntries(new Prng(10), 1, COUNT);
    const base = await build(entries, 30);
    const used = usedSegments(base.disk);
    await base.disk.remove(used.at(-3) as string);
    const tally = await crashEverywhere({
      base: restarted(base),
      begin: () => undefined,
      work: async (machine) => (await LogWorld.open(machine.disk, machine.kv)).close(),
      verify: async (machine, _, where) => {
        const world = await LogWorld.open(machine.disk, machine.kv);
        await mendAll(world, new Other(entries));
        world.blockedAt = undefined;
        await expectLog(world, entries, COUNT, where);
        await world.close();
      },
      samples: 4,
      seed: 11,
    });
    expect(tally.crashes).toBeGreaterThan(20);
  });

  it("asks in vain for what was dropped, which is not damaged for that", async () => {
    const entries = makeEntries(new Prng(15), 1, COUNT);
    const base = restarted(await build(entries));
    const world = await LogWorld.open(base.disk, base.kv);
    await world.saveImage();
    await world.log.snapshotImage();
    const [first, , third] = world.log.sealedSegments();
    expect(await world.log.trim(world.log.horizon.index, () => false)).toBeGreaterThan(1);
    const [from, to] = [first?.firstIndex as number, third?.firstIndex as number];
    expect(await world.log.offered(from, to, 1_000)).toBeUndefined();
    expect((await world.log.offered(from, COUNT, 1_000))?.entries[0]?.index).toBe(world.log.firstIndex);
    expect(world.log.damage).toEqual([]);
    await world.close();
  });

  it("makes a segment anew whose file is missing and whose index is damaged; until then it is refused", async () => {
    const entries = makeEntries(new Prng(12), 1, COUNT);
    const base = await build(entries);
    const [path] = base.disk.files().filter((name) => name.endsWith(".index")) as [string];
    const whole = restarted(base);
    const other = await LogWorld.open(whole.disk, whole.kv);
    const machine = restarted(base);
    await machine.disk.remove(path.replace(".index", ".log"));
    for (let at = 0; at < machine.disk.bytes(path).length; at += SECTOR) machine.disk.zeroSector(path, at / SECTOR);
    const world = await LogWorld.open(machine.disk, machine.kv);
    const sequence = world.log.damage[0]?.segment as number;
    expect((await world.log.mend(sequence, [])).left).toBeGreaterThan(0);
    const source = { placements: (from: number, to: number) => other.log.placements(from, to) };
    expect(await world.log.reindex(sequence, [source])).toMatchObject({ ok: false });
    expect(world.log.poisoned).toBeUndefined();
    expect(await world.log.mend(sequence, [new Other(entries)])).toMatchObject({ left: 0 });
    expect(await world.log.reindex(sequence, [source])).toMatchObject({ ok: true });
    await world.log.settled();
    await expectLog(world, entries, COUNT);
    await world.close();
    await other.close();
  });

  it("says of entries that are whole, and cannot be found, that it is the index, which is then made anew", async () => {
    const { entries, world, other } = await withoutIndex();
    await find(world);
    const [found] = world.log.damage;
    expect(found?.kind).toBe("entry");
    const sequence = found?.segment as number;
    expect(await world.log.mend(sequence, [new Other(entries)])).toMatchObject({ left: 0 });
    expect(world.log.damage.map(({ kind }) => kind)).toEqual(["index"]);
    const source = { placements: (from: number, to: number) => other.log.placements(from, to) };
    expect(await world.log.reindex(sequence, [source])).toMatchObject({ ok: true });
    await world.log.settled();
    await expectLog(world, entries, COUNT);
    await world.close();
    await other.close();
  });

  it("forgets that a time could not be found, once the index that would have said it is made anew", async () => {
    const { world, other } = await withoutIndex();
    const [stream, next] = [...world.machine.next][0] as [number, number];
    expect(await world.log.offsetAtTime(stream, 0, 0, next)).toMatchObject({ ok: false });
    const sequence = world.log.damage[0]?.segment as number;
    const source = { placements: (from: number, to: number) => other.log.placements(from, to) };
    expect(await world.log.reindex(sequence, [source])).toMatchObject({ ok: true });
    await world.log.settled();
    expect(world.log.damage).toEqual([]);
    expect(await world.log.offsetAtTime(stream, 0, 0, next)).toMatchObject({ ok: true });
    await world.close();
    await other.close();
  });

  it("puts together what each of two others has a part of", async () => {
    const entries = makeEntries(new Prng(4), 1, COUNT);
    const base = await build(entries);
    const [path] = base.disk.files().filter((name) => name.endsWith(".index"));
    const machine = restarted(base);
    await machine.disk.remove((path as string).replace(".index", ".log"));
    const part = (parity: number): Other =>
      new Other(
        entries.map((entry) => ({
          ...entry,
          batches: entry.batches.map((batch, ordinal): BatchRef =>
            (entry.index + ordinal) % 2 === parity
              ? batch
              : { hash: batch.hash, length: batch.length, span: batch.span },
          ),
        })),
      );
    const world = await LogWorld.open(machine.disk, machine.kv);
    const [damage] = world.log.damage;
    const half = await world.log.mend(damage?.segment as number, [part(0)]);
    expect(half).toMatchObject({ entries: expect.any(Number) as number });
    expect(half.left).toBeGreaterThan(0);
    expect(world.log.damage.every(({ kind }) => kind === "batch")).toBe(true);
    await mendAll(world, part(1));
    await expectLog(world, entries, COUNT);
    await world.close();
  });

  it("takes nothing that does not prove itself", async () => {
    const entries = makeEntries(new Prng(5), 1, COUNT);
    const base = await build(entries);
    const [path] = base.disk.files().filter((name) => name.endsWith(".index"));
    const other = new Other(makeEntries(new Prng(6), 1, COUNT));
    const machine = restarted(base);
    await machine.disk.remove((path as string).replace(".index", ".log"));
    const world = await LogWorld.open(machine.disk, machine.kv);
    const sequence = world.log.damage[0]?.segment as number;
    const report = await world.log.mend(sequence, [other]);
    expect(report).toMatchObject({ entries: 0, batches: 0 });
    expect(other.asked).toBeGreaterThan(0);
    expect(machine.disk.files().some((name) => name.endsWith(".new"))).toBe(false);
    // One who knows better is asked next.
    expect(await world.log.mend(sequence, [other, new Other(entries)])).toMatchObject({ left: 0 });
    await expectLog(world, entries, COUNT);
    await world.close();
  });

  it("leaves everything as it was without room for the copy", async () => {
    const entries = makeEntries(new Prng(7), 1, COUNT);
    const machine = restarted(await build(entries));
    const [path] = machine.disk.files().filter((name) => name.endsWith(".log"));
    machine.disk.zeroSector(path as string, 2);
    const world = await LogWorld.open(machine.disk, machine.kv);
    await find(world);
    const before = world.log.damage;
    const sequence = before[0]?.segment as number;
    machine.disk.arm({ operation: "allocate", effect: "no-space", nth: 1, path: (name) => name.endsWith(".new") });
    expect(await world.log.mend(sequence, [new Other(entries)])).toMatchObject({
      refused: "the disk has no room for the copy",
    });
    expect(world.log.damage).toEqual(before);
    await mendAll(world, new Other(entries));
    await expectLog(world, entries, COUNT);
    await world.close();
  });

  it("survives a crash at any point: what was intact stays, and the rest is mended later", async () => {
    const entries = makeEntries(new Prng(8), 1, 14);
    const base = await build(entries, 6);
    const [first] = base.disk.files().filter((name) => name.endsWith(".log"));
    for (const sector of [2, 3]) base.disk.zeroSector(first as string, sector);
    const tally = await crashEverywhere<undefined>({
      base,
      begin: () => undefined,
      samples: 1,
      seed: 9,
      work: async ({ disk, kv }) => {
        const world = await LogWorld.open(disk, kv);
        await find(world);
        await mendAll(world, new Other(entries));
        await world.close();
      },
      verify: async ({ disk, kv }, _, where) => {
        const world = await LogWorld.open(disk, kv);
        expect(world.log.lastIndex, where).toBe(14);
        expect(
          disk.files().some((name) => name.endsWith(".log.new")),
          where,
        ).toBe(false);
        await find(world);
        await mendAll(world, new Other(entries));
        world.blockedAt = undefined;
        await expectLog(world, entries, 14, where);
        await world.close();
      },
    });
    expect(tally.points).toBeGreaterThan(20);
  });
});
