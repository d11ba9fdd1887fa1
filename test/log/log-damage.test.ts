/**
 * Damage to the files of a segmented log: never a wrong byte; what is outside an ambiguous tail is refused as damaged,
 * and every other record is still served (I13, P31, P32).
 */
import { describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import { scanSegment } from "../../log-server/log/segments/segment-scan.ts";
import { SegmentedLog } from "../../log-server/log/segmented-log.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { restarted, type Machine } from "./crash-everywhere.ts";
import { sealedMachine } from "./sealed-machine.ts";
import {
  type ExpectedBatch,
  expectedStreams,
  expectLog,
  expectSameEntry,
  LogWorld,
  makeEntries,
  makeEntry,
  TINY_LIMITS,
} from "./log-world.ts";

const SECTOR = 512;

/** A log of several sealed segments, one that is closed and one that is written, in a machine that is off. */
async function build(options: { entries: Entry[]; applied: number; image: number; clean: boolean }): Promise<Machine> {
  const machine = { disk: new SimDisk(), kv: new SimKv() };
  const world = await LogWorld.open(machine.disk, machine.kv);
  for (let from = 0; from < options.entries.length; from += 5) {
    const group = options.entries.slice(from, from + 5);
    await world.log.append(group);
    for (const entry of group) {
      if (entry.index <= options.applied) world.apply([entry]);
      if (entry.index === options.image) await world.saveImage();
    }
  }
  await world.log.settled();
  if (options.clean) await world.close();
  return { disk: machine.disk.crash({ kind: "all" }), kv: machine.kv.crash() };
}

type Served = {
  readonly refusedEntries: number[];
  readonly refusedBatches: ExpectedBatch[];
  readonly lastIndex: number;
};

/** Reads everything, one by one; fails on a wrong byte. */
async function readAll(world: LogWorld, entries: readonly Entry[], where: string): Promise<Served> {
  const { log } = world;
  const refusedEntries: number[] = [];
  for (let index = 1; index <= log.lastIndex; index += 1) {
    const read = await log.entries(index, index, 1);
    if (!read.ok) {
      refusedEntries.push(index);
      continue;
    }
    const found = read.value[0] as Entry;
    const expected = entries[index - 1] as Entry;
    const known = { ...found, batches: found.batches.map((batch, at) => ({ ...expected.batches[at], ...batch })) };
    expectSameEntry(known, expected, where);
  }
  const refusedBatches: ExpectedBatch[] = [];
  for (const [stream, batches] of expectedStreams(entries)) {
    for (const expected of batches) {
      const end = expected.firstOffset + expected.batch.span;
      if (end > (world.machine.next.get(stream) ?? 0)) continue;
      const read = await log.read(stream, expected.firstOffset, end, 1);
      if (!read.ok) {
        refusedBatches.push(expected);
        continue;
      }
      expect(read.value.length, where).toBe(1);
      const [batch] = read.value;
      const right =
        batch?.hash === expected.batch.hash &&
        batch.firstOffset === expected.firstOffset &&
        Buffer.compare(batch.bytes, expected.batch.bytes as Uint8Array) === 0;
      if (!right) throw new Error(`${where}: stream ${stream} at ${expected.firstOffset} is wrong`);
    }
  }
  return { refusedEntries, refusedBatches, lastIndex: log.lastIndex };
}

const HARMS = {
  flip: (disk: SimDisk, path: string, sector: number, prng: Prng): boolean => {
    disk.flip(path, sector * SECTOR + prng.below(SECTOR), prng.below(8));
    return true;
  },
  zero: (disk: SimDisk, path: string, sector: number): boolean => disk.zeroSector(path, sector),
  stale: (disk: SimDisk, path: string, sector: number): boolean => disk.staleSector(path, sector),
} as const;

/** Damages each sector of each file of the segments, in each way, and tells what is left. */
async function everySector(
  base: Machine,
  check: (machine: Machine, harmed: { path: string; sector: number; where: string }) => Promise<void>,
): Promise<number> {
  const prng = new Prng(4);
  let cases = 0;
  const files = base.disk.files().filter((path) => path.includes("/segments/"));
  for (const path of files) {
    for (let sector = 0; sector < Math.ceil(base.disk.bytes(path).length / SECTOR); sector += 1) {
      for (const [name, harm] of Object.entries(HARMS)) {
        const machine = restarted(base);
        if (!harm(machine.disk, path, sector, prng)) continue;
        cases += 1;
        await check(machine, { path, sector, where: `${name} of sector ${sector} of ${path}` });
      }
    }
  }
  return cases;
}

/** Its sealed segments: those that have an index. */
function sealedIn({ disk }: Machine): string[] {
  return disk.files().filter((name) => name.endsWith(".log") && disk.exists(name.replace(".log", ".index")));
}

/** Whether a sector of a file holds part of these bytes. */
function overlaps(base: Machine, path: string, sector: number, bytes: Uint8Array): boolean {
  const place = Buffer.from(base.disk.bytes(path)).indexOf(bytes);
  return place >= 0 && place < (sector + 1) * SECTOR && place + bytes.length > sector * SECTOR;
}

describe("a damaged sector", () => {
  it("of a log that was closed hides the records in it, and nothing else", async () => {
    const entries = makeEntries(new Prng(1), 1, 90);
    const base = await build({ entries, applied: 90, image: 90, clean: true });
    const kinds = new Set<string>();
    let refused = 0;
    const cases = await everySector(base, async (machine, { path, sector, where }) => {
      const world = await LogWorld.open(machine.disk, machine.kv);
      const served = await readAll(world, entries, where);
      expect(served.lastIndex, `${where}: nothing is forgotten`).toBe(90);
      expect(world.imageFault, where).toBeUndefined();
      for (const { batch } of served.refusedBatches) {
        expect(
          overlaps(base, path, sector, batch.bytes as Uint8Array),
          `${where}: only what is damaged is refused`,
        ).toBe(true);
      }
      if (path.endsWith(".index"))
        expect(served, `${where}: an index survives it`).toEqual({
          refusedEntries: [],
          refusedBatches: [],
          lastIndex: 90,
        });
      if (served.refusedBatches.length + served.refusedEntries.length > 0)
        expect(world.log.damage.length, where).toBeGreaterThan(0);
      refused += served.refusedBatches.length;
      for (const { kind } of world.log.damage) kinds.add(kind);
      await world.close();
    });
    expect(cases).toBeGreaterThan(300);
    expect(refused).toBeGreaterThan(50);
    expect([...kinds].sort()).toEqual(["batch", "entry", "segment"]);
  });

  it("of a log that was not closed, with an old image, never gives a wrong byte", async () => {
    const entries = makeEntries(new Prng(2), 1, 60);
    const base = await build({ entries, applied: 60, image: 20, clean: false });
    let discarded = 0;
    const cases = await everySector(base, async (machine, { where }) => {
      const world = await LogWorld.open(machine.disk, machine.kv);
      const served = await readAll(world, entries, where);
      // All but the last group, which is ambiguous, is known to have been there.
      expect(served.lastIndex, where).toBeGreaterThanOrEqual(55);
      if (world.report.discarded !== undefined) discarded += 1;
      await world.close();
    });
    expect(cases).toBeGreaterThan(200);
    expect(discarded).toBeGreaterThan(0);
  });

  it("that cannot be read is as good as damaged", async () => {
    const entries = makeEntries(new Prng(3), 1, 90);
    const base = await build({ entries, applied: 90, image: 90, clean: true });
    for (const path of base.disk.files().filter((name) => name.endsWith(".log"))) {
      for (let nth = 1; nth <= 3; nth += 1) {
        const machine = restarted(base);
        const world = await LogWorld.open(machine.disk, machine.kv);
        machine.disk.arm({ operation: "read", effect: "io", nth, path: (other) => other === path });
        const served = await readAll(world, entries, `${path} ${nth}`);
        expect(served.refusedEntries.length + served.refusedBatches.length).toBeLessThanOrEqual(1);
        expect(await readAll(world, entries, path)).toMatchObject({ refusedEntries: [], refusedBatches: [] });
        await world.close();
      }
    }
  });
});

describe("a tail that was cut at any byte", () => {
  it("gives the entries before the cut", async () => {
    const entries = makeEntries(new Prng(5), 1, 8);
    const base = await build({ entries, applied: 8, image: 0, clean: false });
    const path = "logs/0/segments/0000000000000001.log";
    const scan = await scanSegment(await base.disk.crash({ kind: "all" }).open(path, "read"), 1, 0, () => undefined);
    if (!scan.ok) throw new Error(scan.error.message);
    const ends = scan.value.pieces.flatMap((piece) =>
      piece.kind === "entry" ? [piece.place + piece.frame.length] : [],
    );
    expect(ends.length).toBe(8);
    for (let size = scan.value.dirtyEnd; size >= 0; size -= 1) {
      const machine = restarted(base);
      const file = await machine.disk.open(path, "read-write");
      await file.allocate(size);
      await file.sync();
      const world = await LogWorld.open(machine.disk, machine.kv);
      expect(world.log.lastIndex, `cut at ${size}`).toBe(ends.filter((end) => end <= size).length);
      await expectLog(world, entries, 0, `cut at ${size}`);
      await world.close();
    }
  });
});

describe("damage in other places", () => {
  it("to the sparse index is made good from the index blocks", async () => {
    const entries = makeEntries(new Prng(6), 1, 90);
    const base = await build({ entries, applied: 90, image: 90, clean: true });
    for (const family of [3, 4]) {
      const machine = restarted(base);
      const rows = [...machine.kv.range(Uint8Array.of(family), Uint8Array.of(family + 1))];
      expect(rows.length).toBeGreaterThan(3);
      for (const [key] of rows) {
        machine.kv.damage(key, (value) => {
          value[value.length - 1] = (value[value.length - 1] as number) ^ 1;
        });
      }
      for (let start = 0; start < 2; start += 1) {
        const world = await LogWorld.open(machine.disk, machine.kv.crash());
        expect(await readAll(world, entries, `family ${family}`)).toEqual({
          refusedEntries: [],
          refusedBatches: [],
          lastIndex: 90,
        });
        await world.close();
      }
    }
  });

  it("a lost image is made good by applying again", async () => {
    const entries = makeEntries(new Prng(7), 1, 90);
    const base = await build({ entries, applied: 90, image: 60, clean: true });
    const { disk } = restarted(base);
    const world = await LogWorld.open(disk, new SimKv());
    expect(world.imageFault).toBe("missing");
    await expectLog(world, entries, 90);
    await world.saveImage();
    await world.close();
  });

  it("a missing segment is known to be missing, and the rest is served", async () => {
    const entries = makeEntries(new Prng(8), 1, 90);
    const base = await build({ entries, applied: 90, image: 90, clean: true });
    const paths = sealedIn(base);
    for (const path of paths) {
      const machine = restarted(base);
      await machine.disk.remove(path);
      const world = await LogWorld.open(machine.disk, machine.kv);
      const served = await readAll(world, entries, path);
      expect(served.lastIndex).toBe(90);
      for (const { batch } of served.refusedBatches) {
        expect(Buffer.from(base.disk.bytes(path)).includes(Buffer.from(batch.bytes as Uint8Array))).toBe(true);
      }
      expect(world.log.damage.some((damage) => damage.kind === "segment")).toBe(true);
      await world.close();
    }
  });

  it("missing snapshots make nothing missing of what was dropped below them", async () => {
    const entries = makeEntries(new Prng(41), 1, 90);
    const { machine } = await sealedMachine(entries);
    const before = await LogWorld.open(machine.disk, machine.kv);
    const { log } = before;
    const [, , third] = log.sealedSegments();
    const ends = new Map<number, number>();
    for (const stream of before.machine.next.keys()) {
      const part = log.streamSegments(stream).find(({ sequence }) => sequence === third?.sequence);
      if (part !== undefined) ends.set(stream, part.endOffset);
    }
    expect(await log.trim(log.horizon.index, (stream, end) => ends.get(stream) !== end)).toBe(1);
    expect(log.sequences()).not.toContain(third?.sequence);
    await before.close();
    for (const path of machine.disk.files().filter((name) => name.includes("/snapshots/")))
      await machine.disk.remove(path);
    const world = await LogWorld.open(machine.disk, machine.kv);
    expect(world.log.damage).toEqual([]);
    await world.close();
  });

  it("a lost snapshot is written anew, though its entry was dropped on it", async () => {
    const entries = makeEntries(new Prng(42), 1, 92);
    const { disk, kv }: Machine = { disk: new SimDisk(), kv: new SimKv() };
    const world = await LogWorld.open(disk, kv);
    const { log } = world;
    for (const entry of entries.slice(0, 90)) await world.append([entry]);
    await log.roll();
    await log.settled();
    await world.saveImage();
    await log.snapshotImage();
    // Nobody knows yet whether these are committed.
    await log.append(entries.slice(90));
    await log.trim(log.horizon.index, () => false);
    expect(log.firstIndex).toBe(91);
    const snapshots = disk.files().filter((name) => name.includes("/snapshots/"));
    for (const path of snapshots) await disk.remove(path);
    const unhurried = (): Promise<void> => Promise.resolve();
    expect(await log.scrubSnapshots(unhurried)).toBe(false);
    await log.snapshotImage();
    expect(await log.scrubSnapshots(unhurried)).toBe(true);
    expect(disk.files().filter((name) => name.includes("/snapshots/"))).toEqual(snapshots);
    await world.close();
  });

  it("an entry that is lost is waited for by the snapshot that is to be of it, and the log goes on", async () => {
    const entries = makeEntries(new Prng(43), 1, 90);
    const base = await build({ entries, applied: 90, image: 40, clean: true });
    const sealed = sealedIn(base);
    const outcomes: string[] = [];
    for (const path of sealed) {
      const { disk, kv } = restarted(base);
      await disk.remove(path);
      const { log } = await LogWorld.open(disk, kv, { applyTo: 40 });
      outcomes.push(await log.snapshotImage().then(() => "written", String));
      expect(log.poisoned).toBeUndefined();
      await log.close();
    }
    const waited = outcomes.filter((outcome) => outcome !== "written");
    expect(waited).toEqual(["Error: entry 40, of which there is to be a snapshot, is damaged"]);
  });

  it("a missing index is rebuilt by applying again", async () => {
    const entries = makeEntries(new Prng(9), 1, 90);
    const base = await build({ entries, applied: 90, image: 90, clean: true });
    const machine = restarted(base);
    const path = base.disk.files().find((name) => name.endsWith(".index"));
    await machine.disk.remove(path as string);
    const world = await LogWorld.open(machine.disk, machine.kv);
    expect(world.imageFault).toBe("damaged");
    expect(await readAll(world, entries, "rebuilt")).toEqual({ refusedEntries: [], refusedBatches: [], lastIndex: 90 });
    await world.log.settled();
    expect(machine.disk.exists(path as string)).toBe(true);
    await world.close();
  });

  it("a missing index below the snapshot is missed, and nothing behind the snapshot waits for it", async () => {
    const entries = makeEntries(new Prng(9), 1, 120);
    const first = { disk: new SimDisk(), kv: new SimKv() };
    const before = await LogWorld.open(first.disk, first.kv);
    for (const entry of entries.slice(0, 90)) await before.append([entry]);
    await before.saveImage();
    await before.log.snapshotImage();
    await before.close();
    const machine = restarted(first);
    const path = machine.disk.files().find((name) => name.endsWith(".index"));
    await machine.disk.remove(path as string);

    const world = await LogWorld.open(machine.disk, machine.kv);
    const { log } = world;
    for (const entry of entries.slice(90)) await world.append([entry]);
    expect(log.isSealed(log.horizon.index, 120)).toBe(false);
    await log.roll();
    await log.settled();
    expect(machine.disk.exists(path as string)).toBe(false);
    expect(log.damage).toMatchObject([{ kind: "index" }]);
    expect(log.horizon.index).toBe(90);
    expect(log.isSealed(log.horizon.index, 120)).toBe(true);
    await world.close();
  });

  it("to the last entry: those that a leader sends again, not knowing what is there, stay or take its place (P8)", async () => {
    const prng = new Prng(11);
    const entries = [...makeEntries(prng, 1, 19), makeEntry(prng, 20, 1, [1])];
    const base = await build({ entries, applied: 12, image: 12, clean: true });
    const machine = restarted(base);
    const batch = entries.at(-1)?.batches[0]?.bytes as Uint8Array;
    for (const path of machine.disk.files()) {
      // Behind its head.
      const place = Buffer.from(machine.disk.bytes(path)).indexOf(batch);
      if (place >= 0) machine.disk.flip(path, place - 1);
    }
    const world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false, applyTo: 12 });
    const read = (): Promise<unknown> => world.log.entries(20, 20, 1).then(({ ok }) => ok);
    expect(world.log.lastIndex).toBe(20);
    expect(await read()).toBe(false);
    const sizes = (): unknown => machine.disk.files().map((name) => [name, machine.disk.bytes(name).length]);
    const before = sizes();
    await world.log.append(entries.slice(15, 19));
    expect(sizes()).toEqual(before);
    await world.log.append(entries.slice(15));
    expect(await read()).toBe(true);
    await world.close();
  });

  it("another log's segment is refused", async () => {
    const entries = makeEntries(new Prng(10), 1, 10);
    const base = await build({ entries, applied: 10, image: 0, clean: true });
    const disk = base.disk.crash({ kind: "all" });
    const opened = await SegmentedLog.open({
      disk,
      kv: new SimKv(),
      directory: "logs/0",
      logId: 1,
      limits: TINY_LIMITS,
      soleVoter: true,
    });
    expect(opened).toMatchObject({ ok: false, error: { kind: "wrong-log" } });
  });
});
