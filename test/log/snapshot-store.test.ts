/** Snapshots under crashes at every call, damage to every sector, full and failing disks (P21, P22, P23, I13). */
import { describe, expect, it } from "vitest";
import { asDigest, type Row, rowHash } from "../../src/record/row.ts";
import type { SnapshotMeta } from "../../log-server/log/snapshots/snapshot-file.ts";
import { type NewestSnapshot, SnapshotStore } from "../../log-server/log/snapshots/snapshot-store.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { SECTOR_LENGTH } from "../../src/sim/disk-state.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { everyCrashPoint } from "../sim/crash-points.ts";
import { codeOf } from "./disk-contract.ts";

const DIRECTORY = "log-0/snapshots";
const pathOf = (position: number, suffix = "snapshot"): string =>
  `${DIRECTORY}/${String(position).padStart(16, "0")}.${suffix}`;

function rowsAt(position: number, count = 6, valueLength = 150): Row[] {
  const prng = new Prng(position);
  return Array.from({ length: count }, (_, index) => [utf8(`key ${index}`), prng.bytes(valueLength)] as const);
}

function metaOf(position: number, rows: readonly Row[]): SnapshotMeta {
  const digest = asDigest(rows.reduce((sum, [key, value]) => sum + rowHash(key, value), 0n));
  return {
    term: position + 3,
    hash: BigInt(position) * 7n,
    configuration: utf8(`configuration ${position}`),
    logTime: position * 1_000,
    digest,
  };
}

const storeOn = (disk: SimDisk): SnapshotStore => new SnapshotStore({ disk, directory: DIRECTORY, logId: 4 });

async function write(disk: SimDisk, position: number, rows: readonly Row[] = rowsAt(position)): Promise<void> {
  await storeOn(disk).write(position, metaOf(position, rows), rows);
}

async function diskWith(...positions: number[]): Promise<SimDisk> {
  const disk = new SimDisk();
  await disk.createDirectory("log-0");
  await disk.syncDirectory("");
  for (const position of positions) await write(disk, position);
  return disk;
}

async function newest(disk: SimDisk, firstAvailableIndex = 1): Promise<NewestSnapshot> {
  const found = await storeOn(disk).newest({ firstAvailableIndex });
  if (!found.ok) throw new Error(found.error.message);
  return found.value;
}

function expectIntact(
  found: NewestSnapshot,
  position: number,
  where = "",
  rows: readonly Row[] = rowsAt(position),
): void {
  expect(found.snapshot?.position, where).toBe(position);
  expect(found.snapshot?.meta, where).toEqual(metaOf(position, rows));
  for (let walk = 0; walk < 2; walk += 1) expect([...(found.snapshot?.rows ?? [])], where).toEqual(rows);
}

describe("snapshot store", () => {
  it("has none at first", async () => {
    const disk = await diskWith();
    expect(await newest(disk)).toEqual({ snapshot: undefined, damaged: [] });
    expect(await storeOn(disk).positions()).toEqual([]);
  });

  it("gives back what was written, after a power cut too", async () => {
    const disk = await diskWith(10);
    expectIntact(await newest(disk.crash({ kind: "none" })), 10);
  });

  it("carries no rows, large rows and many blocks", async () => {
    for (const [count, valueLength] of [
      [0, 0],
      [3, 0],
      [4, 400_000],
      [3_000, 500],
    ] as const) {
      const rows = rowsAt(5, count, valueLength);
      const disk = await diskWith();
      await write(disk, 5, rows);
      const { snapshot } = await newest(disk);
      const back = [...(snapshot?.rows ?? [])];
      expect(back.length).toBe(count);
      for (const [index, [key, value]] of back.entries()) {
        expect(Buffer.compare(key, (rows[index] as Row)[0])).toBe(0);
        expect(Buffer.compare(value, (rows[index] as Row)[1])).toBe(0);
      }
    }
  });

  it("P21: keeps the newest two by position, whatever their terms", async () => {
    const disk = await diskWith(10, 20, 30);
    expect(await storeOn(disk).positions()).toEqual([30, 20]);
    const rows = rowsAt(40);
    await storeOn(disk).write(40, { ...metaOf(40, rows), term: 1 }, rows);
    expect(await storeOn(disk).positions()).toEqual([40, 30]);
    expect((await newest(disk)).snapshot?.position).toBe(40);
  });

  it("P23: takes two at once, one behind the other", async () => {
    const disk = await diskWith();
    const store = storeOn(disk);
    await Promise.all(
      [10, 20, 20].map((position) => store.write(position, metaOf(position, rowsAt(position)), rowsAt(position))),
    );
    expect(await store.positions()).toEqual([20, 10]);
    expectIntact(await newest(disk), 20);
  });

  it("P22: an older one stands in for a damaged one only where the log reaches it", async () => {
    const disk = await diskWith(10, 20);
    disk.flip(pathOf(20), 700);
    for (const firstAvailableIndex of [12, 20, 21]) {
      const found = await storeOn(disk).newest({ firstAvailableIndex });
      expect(found).toMatchObject({
        ok: false,
        error: { kind: "gap", firstAvailableIndex, position: 10, damaged: [{ position: 20, path: pathOf(20) }] },
      });
    }
    expect(disk.exists(pathOf(20))).toBe(true);
    const found = await newest(disk, 11);
    expectIntact(found, 10);
    expect(found.damaged).toMatchObject([{ position: 20, path: pathOf(20, "damaged") }]);
    expect(disk.exists(pathOf(20))).toBe(false);
    // Nor does it stand in later, when it is no longer seen that another was there.
    expect(await storeOn(disk).newest({ firstAvailableIndex: 12 })).toMatchObject({
      ok: false,
      error: { kind: "gap", position: 10, damaged: [] },
    });
  });

  it("P22: without any, the log must begin at its first entry", async () => {
    const disk = await diskWith();
    expect(await storeOn(disk).newest({ firstAvailableIndex: 2 })).toMatchObject({
      ok: false,
      error: { kind: "gap", position: undefined },
    });
  });

  it("keeps the newest damaged ones as evidence, and no more than two", async () => {
    const disk = await diskWith();
    for (const position of [10, 20, 30]) {
      await write(disk, position);
      disk.flip(pathOf(position), 20);
      expect((await newest(disk)).damaged.map((each) => each.position)).toEqual([position]);
    }
    expect(disk.files()).toEqual([pathOf(20, "damaged"), pathOf(30, "damaged")]);
  });

  it("reading all sets aside what is damaged and of no use any more; what there is no other for stays (I13)", async () => {
    const disk = await diskWith(10, 20);
    const noPace = (): Promise<void> => Promise.resolve();
    expect(await storeOn(disk).damaged(noPace)).toEqual([]);
    disk.flip(pathOf(10), 100, 3);
    expect(await storeOn(disk).damaged(noPace)).toEqual([]);
    expect([disk.exists(pathOf(10)), disk.exists(pathOf(10, "damaged")), disk.exists(pathOf(20))]).toEqual([
      false,
      true,
      true,
    ]);
    disk.flip(pathOf(20), 100, 3);
    expect(await storeOn(disk).damaged(noPace)).toMatchObject([{ position: 20, path: pathOf(20) }]);
    expect(disk.exists(pathOf(20))).toBe(true);
  });

  it("a crash at any call leaves the old or the new one whole, and the new one once it was written", async () => {
    const base = await diskWith(10, 20);
    const tally = await everyCrashPoint({
      base,
      begin: () => ({ done: 20 }),
      work: async (disk, progress) => {
        for (const position of [30, 40]) {
          await write(disk, position);
          progress.done = position;
        }
      },
      verify: async (disk, progress, where) => {
        // The log was trimmed to the last snapshot that was reported written.
        const found = await newest(disk, progress.done + 1);
        const position = found.snapshot?.position ?? 0;
        expect([progress.done, progress.done + 10], where).toContain(position);
        expectIntact(found, position, where);
        expect(found.damaged, where).toEqual([]);
        expect(
          disk.files().filter((path) => path.endsWith(".new")),
          where,
        ).toEqual([]);
        await write(disk, 50);
        expect((await storeOn(disk).positions()).length, where).toBe(2);
        expectIntact(await newest(disk.crash({ kind: "none" })), 50, where);
      },
    });
    expect(tally.crashes).toBeGreaterThan(200);
  });

  it("I13: any sector flipped or zeroed, and any cut, is found", async () => {
    const disk = await diskWith(10, 20);
    const size = disk.bytes(pathOf(20)).length;
    const fallsBack = async (damage: (disk: SimDisk) => Promise<void> | void): Promise<void> => {
      const damaged = disk.crash({ kind: "none" });
      await damage(damaged);
      const found = await newest(damaged);
      expectIntact(found, 10);
      expect(found.damaged.map(({ position }) => position)).toEqual([20]);
    };
    const prng = new Prng(2);
    for (let sector = 0; sector * SECTOR_LENGTH < size; sector += 1) {
      const length = Math.min(SECTOR_LENGTH, size - sector * SECTOR_LENGTH);
      for (let flip = 0; flip < 8; flip += 1) {
        await fallsBack((damaged) =>
          damaged.flip(pathOf(20), sector * SECTOR_LENGTH + prng.below(length), prng.below(8)),
        );
      }
      await fallsBack((damaged) => expect(damaged.zeroSector(pathOf(20), sector)).toBe(true));
      await fallsBack((damaged) => expect(damaged.staleSector(pathOf(20), sector)).toBe(true));
    }
    for (const cut of [0, 1, 15, 16, 100, size - 1, size + 1]) {
      await fallsBack(async (damaged) => (await damaged.open(pathOf(20), "read-write")).allocate(cut));
    }
    await fallsBack((damaged) => damaged.arm({ operation: "read", nth: 2, effect: "io" }));
  });

  it("I13: one under another's name, or of another log, is not taken", async () => {
    const disk = await diskWith(10);
    await disk.rename(pathOf(10), pathOf(11));
    expect((await newest(disk)).snapshot).toBeUndefined();
    const other = await diskWith();
    await new SnapshotStore({ disk: other, directory: DIRECTORY, logId: 5 }).write(
      10,
      metaOf(10, rowsAt(10)),
      rowsAt(10),
    );
    expect((await newest(other)).snapshot).toBeUndefined();
  });

  it("a failed write costs nothing, and may be tried again", async () => {
    for (const operation of ["create", "write", "sync", "rename", "sync-directory", "read", "remove"] as const) {
      for (let nth = 1; nth <= 3; nth += 1) {
        const disk = await diskWith(10, 20);
        disk.arm({ operation, nth, effect: "io" });
        const code = await codeOf(write(disk, 30));
        if (!disk.faultsInjected.has(`${operation}-error`)) continue;
        // A failed removal of a snapshot no longer needed comes last; of an unfinished one, first.
        expect(["io", "resolved"], operation).toContain(code);
        const after = disk.crash({ kind: "none" });
        const found = await newest(after);
        expect([20, 30]).toContain(found.snapshot?.position);
        await write(after, 40);
        expectIntact(await newest(after), 40);
      }
    }
  });

  it("a full disk costs nothing", async () => {
    const disk = (await diskWith(10, 20)).crash({ kind: "all" }, { capacityBytes: 3_000 });
    expect(await codeOf(write(disk, 30))).toBe("no-space");
    expect(disk.files()).toEqual([pathOf(10), pathOf(20)]);
    expectIntact(await newest(disk), 20);
    expect(disk.faultsInjected.get("no-space")).toBe(1);
  });

  it("refuses rows that are not the state they claim to be, and ones lost on their way to the disk", async () => {
    const disk = await diskWith(10);
    expect(await codeOf(storeOn(disk).write(20, metaOf(20, rowsAt(21)), rowsAt(20)))).toBe("io");
    disk.arm({ operation: "write", nth: 2, effect: "lost" });
    expect(await codeOf(write(disk, 20))).toBe("io");
    disk.arm({ operation: "write", nth: 2, effect: "misdirected", misdirectedBy: 512 });
    expect(await codeOf(write(disk, 20))).toBe("io");
    expect(disk.files()).toEqual([pathOf(10)]);
  });
});
