/** The simulated disk: the `Disk` contract, and that its crashes and faults are what they claim to be. */
import { describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import type { DiskFile } from "../../src/ports/disk.ts";
import { SECTOR_LENGTH } from "../../src/sim/disk-state.ts";
import { type CrashChoice, crashChoices, SimDisk } from "../../src/sim/disk.ts";
import { codeOf, describeDisk } from "../log/disk-contract.ts";

describeDisk("simulated", async () => ({ disk: new SimDisk(), dispose: async () => undefined }));
describeDisk("simulated, slow", async () => ({
  disk: new SimDisk({ pace: () => Promise.resolve() }),
  dispose: async () => undefined,
}));

const sectors = (...values: number[]): Uint8Array =>
  Uint8Array.from(values.flatMap((value) => Array<number>(SECTOR_LENGTH).fill(value)));
/** The first byte of each sector. */
const marks = (disk: SimDisk, path = "a"): number[] =>
  [...disk.bytes(path)].filter((_, index) => index % SECTOR_LENGTH === 0);

/** A disk with a synced file of sectors, and the file open on it. */
async function withFile(...values: number[]): Promise<{ disk: SimDisk; file: DiskFile }> {
  const disk = new SimDisk();
  const file = await disk.open("a", "create");
  await file.write(0, [sectors(...values)]);
  await file.sync();
  await disk.syncDirectory("");
  return { disk, file };
}

/** One mutating call of each kind. */
async function mutateInEveryWay(disk: SimDisk): Promise<void> {
  const file = await disk.open("a", "create");
  await file.write(0, [sectors(1)]);
  await file.allocate(2 * SECTOR_LENGTH);
  await file.sync();
  await disk.createDirectory("x");
  await disk.rename("a", "b");
  await disk.remove("b");
  await disk.syncDirectory("");
}

async function crashedAtRandom(seed: number): Promise<number[]> {
  const { disk, file } = await withFile(...Array<number>(40).fill(1));
  await file.write(0, [sectors(...Array<number>(40).fill(2))]);
  return marks(disk.crash({ kind: "random", prng: new Prng(seed) }));
}

const readOne = (file: DiskFile): Promise<string> => codeOf(file.read(0, new Uint8Array(1)));

/** A disk whose syncs end when told to. */
function slowToSync(): { disk: SimDisk; release: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { disk: new SimDisk({ pace: (kind) => (kind === "sync" ? promise : Promise.resolve()) }), release: resolve };
}

const none: CrashChoice = { kind: "none" };

describe("a crash of a simulated disk", () => {
  it("keeps what was synced, and every subset of what was not, sector by sector", async () => {
    const { disk, file } = await withFile(1, 1, 1);
    await file.write(0, [sectors(2, 2), sectors(2)]);
    expect(disk.pendingOperations).toBe(3);
    const outcomes = new Set<string>();
    for (const choice of crashChoices(disk.pendingOperations, { prng: new Prng(1), samples: 0 }))
      outcomes.add(marks(disk.crash(choice)).join(""));
    expect([...outcomes].sort()).toEqual(["111", "112", "121", "122", "211", "212", "221", "222"]);
    await expect(file.sync()).rejects.toThrow("off");
  });

  it("writes a sector whole: what was unsynced in it goes with what came later", async () => {
    const { disk, file } = await withFile(1);
    await file.write(0, [Uint8Array.of(2)]);
    await file.write(10, [Uint8Array.of(3)]);
    const kept = disk.crash({ kind: "subset", kept: 0b10n }).bytes("a");
    expect([kept[0], kept[10], kept[11]]).toEqual([2, 3, 1]);
    const lost = disk.crash({ kind: "subset", kept: 0b01n }).bytes("a");
    expect([lost[0], lost[10], lost[11]]).toEqual([2, 1, 1]);
  });

  it("may keep a file's new length without its bytes, its bytes without those before, or a part of an allocation", async () => {
    const { disk, file } = await withFile(1);
    await file.write(SECTOR_LENGTH, [sectors(2, 2)]);
    expect(disk.pendingOperations).toBe(3);
    expect(marks(disk.crash(none))).toEqual([1]);
    expect(marks(disk.crash({ kind: "subset", kept: 0b001n }))).toEqual([1, 0, 0]);
    expect(marks(disk.crash({ kind: "subset", kept: 0b100n }))).toEqual([1, 0, 2]);
    await file.close();
    const after = disk.crash({ kind: "all" });
    await (await after.open("a", "read-write")).allocate(100 * SECTOR_LENGTH);
    const prng = new Prng(3);
    const sizes = new Set(Array.from({ length: 200 }, () => after.crash({ kind: "random", prng }).bytes("a").length));
    expect(sizes.size).toBeGreaterThan(20);
    expect(Math.min(...sizes)).toBe(3 * SECTOR_LENGTH);
    expect(Math.max(...sizes)).toBe(100 * SECTOR_LENGTH);
  });

  it("loses names whose folder was not synced, however well their bytes were", async () => {
    const disk = new SimDisk();
    await disk.createDirectory("x");
    await disk.syncDirectory("");
    const file = await disk.open("x/new", "create");
    await file.write(0, [sectors(1)]);
    await file.sync();
    expect(disk.crash(none).files()).toEqual([]);
    expect(disk.crash({ kind: "all" }).files()).toEqual(["x/new"]);
  });

  it("makes a rename whole or not at all, and undoes a removal", async () => {
    const { disk, file } = await withFile(1);
    await file.close();
    const next = await disk.open("b", "create");
    await next.write(0, [sectors(2)]);
    await next.sync();
    await disk.syncDirectory("");
    await disk.rename("b", "a");
    expect(disk.pendingOperations).toBe(1);
    const before = disk.crash(none);
    expect([before.files(), marks(before)]).toEqual([["a", "b"], [1]]);
    const after = disk.crash({ kind: "all" });
    expect([after.files(), marks(after)]).toEqual([["a"], [2]]);
    await after.remove("a");
    expect(after.crash(none).files()).toEqual(["a"]);
    expect(after.crash({ kind: "all" }).files()).toEqual([]);
  });

  it("keeps both halves of a rename between folders, once either is synced", async () => {
    for (const synced of ["x", "y"]) {
      const disk = new SimDisk();
      for (const folder of ["x", "y"]) await disk.createDirectory(folder);
      await disk.syncDirectory("");
      await (await disk.open("x/a", "create")).close();
      await disk.rename("x/a", "y/b");
      await disk.syncDirectory(synced);
      expect(disk.crash(none).files()).toEqual(["y/b"]);
    }
  });

  it("leaves the crashed disk as it was, and the new one independent of it", async () => {
    const { disk, file } = await withFile(1, 1);
    await file.write(0, [sectors(2)]);
    const first = disk.crash({ kind: "all" });
    const second = disk.crash(none);
    await (await first.open("a", "read-write")).write(0, [sectors(3, 3, 3)]);
    first.flip("a", 0);
    expect(marks(second)).toEqual([1, 1]);
    expect(marks(disk)).toEqual([2, 1]);
    expect(marks(disk.crash({ kind: "all" }))).toEqual([2, 1]);
  });

  it("happens before or after any mutating call, by number", async () => {
    const calls = ["create", "write", "allocate", "sync", "create-directory", "rename", "remove", "sync-directory"];
    const seen: string[] = [];
    await mutateInEveryWay(
      new SimDisk({ onMutation: (kind, _path, phase) => void (phase === "before" && seen.push(kind)) }),
    );
    expect(seen).toEqual(calls);
    for (const phase of ["before", "after"]) {
      for (let call = 1; call <= calls.length; call += 1) {
        const disk: SimDisk = new SimDisk({
          onMutation: (_kind, _path, when, ordinal) => {
            if (ordinal === call && when === phase) disk.pullPlug();
          },
        });
        expect(await codeOf(mutateInEveryWay(disk))).toBe("closed");
        expect(disk.mutations).toBe(call);
        expect(await codeOf(disk.list(""))).toBe("closed");
        if (call === 1) expect(disk.files()).toEqual(phase === "before" ? [] : ["a"]);
      }
    }
  });

  it("in the middle of a slow sync covers only what that sync began with, and only if it ended", async () => {
    const { disk, release } = slowToSync();
    const file = await disk.open("a", "create");
    await disk.syncDirectory("");
    await file.write(0, [sectors(1)]);
    const syncing = file.sync();
    await file.write(SECTOR_LENGTH, [sectors(2)]);
    release();
    await syncing;
    expect(marks(disk.crash(none))).toEqual([1]);
    const { disk: again, release: releaseAgain } = slowToSync();
    const other = await again.open("a", "create");
    await again.syncDirectory("");
    await other.write(0, [sectors(1)]);
    const interrupted = other.sync();
    again.pullPlug();
    releaseAgain();
    expect(await codeOf(interrupted)).toBe("closed");
    expect(marks(again.crash(none))).toEqual([]);
  });

  it("is the same for the same seed", async () => {
    expect(await crashedAtRandom(7)).toEqual(await crashedAtRandom(7));
    expect(await crashedAtRandom(7)).not.toEqual(await crashedAtRandom(8));
    expect([...crashChoices(9, { prng: new Prng(1), samples: 5 })].map(({ kind }) => kind)).toEqual([
      "none",
      "all",
      ...Array<string>(5).fill("random"),
    ]);
    expect([...crashChoices(8, { prng: new Prng(1), samples: 5 })].length).toBe(256);
  });
});

describe("the faults of a simulated disk", () => {
  it("P30: a failed sync drops what it covered, and the next one succeeds without it", async () => {
    const { disk, file } = await withFile(1, 1);
    await file.write(0, [sectors(2)]);
    disk.arm({ operation: "sync", nth: 1, effect: "io" });
    expect(await codeOf(file.sync())).toBe("io");
    await file.sync();
    expect(marks(disk)).toEqual([2, 1]);
    expect(marks(disk.crash(none))).toEqual([1, 1]);
    expect(marks(disk.crash({ kind: "all" }))).toEqual([1, 1]);
    expect(disk.faultsInjected.get("sync-error")).toBe(1);
  });

  it("fails the n-th matching call, once", async () => {
    const { disk, file } = await withFile(1);
    const other = await disk.open("b", "create");
    disk.arm({ operation: "read", nth: 2, effect: "io", path: (path) => path === "a" });
    expect([
      await readOne(file),
      await readOne(other),
      await readOne(other),
      await readOne(file),
      await readOne(file),
    ]).toEqual(["resolved", "resolved", "resolved", "io", "resolved"]);
    disk.arm({ operation: "write", nth: 1, effect: "io" });
    disk.arm({ operation: "write", nth: 1, effect: "no-space" });
    expect([await codeOf(file.write(0, [sectors(5)])), await codeOf(file.write(0, [sectors(5)]))]).toEqual([
      "io",
      "no-space",
    ]);
    for (const [operation, call] of [
      ["open", () => disk.open("a", "read")],
      ["create", () => disk.open("c", "create")],
      ["list", () => disk.list("")],
      ["allocate", () => file.allocate(5_000)],
      ["create-directory", () => disk.createDirectory("x")],
      ["rename", () => disk.rename("a", "z")],
      ["remove", () => disk.remove("a")],
      ["sync-directory", () => disk.syncDirectory("")],
    ] as const) {
      disk.arm({ operation, nth: 1, effect: "io" });
      expect(await codeOf(call()), operation).toBe("io");
      expect(disk.faultsInjected.get(`${operation}-error`), operation).toBe(1);
    }
    expect(disk.files()).toEqual(["a", "b"]);
  });

  it("runs full at a number of bytes, and has room again after a removal", async () => {
    const disk = new SimDisk({ capacityBytes: 3 * SECTOR_LENGTH });
    const file = await disk.open("a", "create");
    await file.write(0, [sectors(1, 1)]);
    expect(await disk.freeBytes()).toBe(SECTOR_LENGTH);
    expect(await codeOf(file.write(2 * SECTOR_LENGTH, [sectors(2, 2)]))).toBe("no-space");
    expect(await file.size()).toBe(3 * SECTOR_LENGTH);
    await file.write(0, [sectors(3, 3, 3)]);
    expect(await codeOf(file.allocate(4 * SECTOR_LENGTH))).toBe("no-space");
    await file.allocate(SECTOR_LENGTH);
    expect(await disk.freeBytes()).toBe(2 * SECTOR_LENGTH);
    await disk.remove("a");
    expect(await disk.freeBytes()).toBe(3 * SECTOR_LENGTH);
    expect(disk.faultsInjected.get("no-space")).toBe(2);
  });

  it("loses and misdirects writes without a word", async () => {
    const { disk, file } = await withFile(1, 1, 1);
    disk.arm({ operation: "write", nth: 1, effect: "lost" });
    await file.write(0, [sectors(2)]);
    disk.arm({ operation: "write", nth: 1, effect: "misdirected", misdirectedBy: SECTOR_LENGTH });
    await file.write(SECTOR_LENGTH, [sectors(3)]);
    await file.sync();
    expect(marks(disk.crash(none))).toEqual([1, 1, 3]);
    expect([disk.faultsInjected.get("lost-write"), disk.faultsInjected.get("misdirected-write")]).toEqual([1, 1]);
  });

  it("flips, zeroes and brings back sectors, for good", async () => {
    const { disk, file } = await withFile(1, 1, 1);
    await file.write(SECTOR_LENGTH, [sectors(2)]);
    await file.write(SECTOR_LENGTH, [sectors(3)]);
    await file.sync();
    const damaged = disk.crash(none);
    expect(damaged.staleSector("a", 1)).toBe(true);
    expect(marks(damaged)).toEqual([1, 1, 1]);
    expect(damaged.staleSector("a", 1)).toBe(false);
    expect(damaged.zeroSector("a", 2)).toBe(true);
    expect(damaged.zeroSector("a", 2)).toBe(false);
    damaged.flip("a", 0, 7);
    expect(marks(damaged.crash(none))).toEqual([129, 1, 0]);
    damaged.poke("a", 3 * SECTOR_LENGTH - 1, Uint8Array.of(9, 9));
    expect(damaged.bytes("a").length).toBe(3 * SECTOR_LENGTH);
    expect(damaged.faultsInjected.get("zeroed-sector")).toBe(2);
  });

  it("counts across crashes what really happened", async () => {
    const { disk, file } = await withFile(1);
    await file.write(0, [sectors(2, 2)]);
    const after = disk.crash(none);
    after.flip("a", 0);
    disk.crash({ kind: "subset", kept: 0b010n });
    expect(
      Object.entries(Object.fromEntries(after.crash(none).faultsInjected)).sort(([a], [b]) => a.localeCompare(b)),
    ).toEqual([
      ["bit-flip", 1],
      ["crash", 3],
      ["lost-operation", 5],
      ["torn-write", 1],
    ]);
  });
});
