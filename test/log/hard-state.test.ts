/** The hard state under crashes at every call, damage to every bit, and failing writes (P4, P5, P30, I13). */
import { describe, expect, it } from "vitest";
import { type HardStateRecord, HardStateFile } from "../../log-server/log/hard-state.ts";
import { SECTOR_LENGTH } from "../../src/sim/disk-state.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { everyCrashPoint } from "../sim/crash-points.ts";
import { codeOf } from "./disk-contract.ts";

const PATH = "node/hard-state";
const START: HardStateRecord = { term: 0, vote: undefined, logId: 0, clusterId: "c".repeat(128), nodeId: "alpha" };

async function fresh(state: HardStateRecord = START): Promise<{ disk: SimDisk; file: HardStateFile }> {
  const disk = new SimDisk();
  await disk.createDirectory("node");
  await disk.syncDirectory("");
  const file = await HardStateFile.create(disk, PATH, state);
  return { disk, file };
}

async function reopened(disk: SimDisk): Promise<HardStateFile> {
  const opened = await HardStateFile.open(disk, PATH);
  if (!opened.ok) throw new Error(`not opened: ${JSON.stringify(opened.error)}`);
  return opened.value;
}

describe("hard state", () => {
  it("is there again after a restart", async () => {
    const { disk, file } = await fresh();
    await file.write({ term: 3, vote: "beta" });
    await file.write({ term: 4, vote: undefined });
    await file.write({ term: 4, vote: "alpha" });
    expect(file.state).toEqual({ ...START, term: 4, vote: "alpha" });
    expect((await reopened(disk.crash({ kind: "none" }))).state).toEqual({ ...START, term: 4, vote: "alpha" });
  });

  it("I1: refuses a second vote in a term, and an earlier term", async () => {
    const { file } = await fresh();
    await file.write({ term: 3, vote: "beta" });
    await expect(file.write({ term: 3, vote: "gamma" })).rejects.toThrow("I1");
    await expect(file.write({ term: 3, vote: undefined })).rejects.toThrow("I1");
    await expect(file.write({ term: 2, vote: "beta" })).rejects.toThrow("I1");
    await file.write({ term: 3, vote: "beta" });
  });

  it("tells a file that was never made from one whose slots are both damaged", async () => {
    const { disk } = await fresh();
    expect(await HardStateFile.open(new SimDisk(), PATH)).toEqual({ ok: false, error: { kind: "missing" } });
    const damaged = disk.crash({ kind: "none" });
    damaged.flip(PATH, 100);
    damaged.flip(PATH, 4_096 + 100);
    expect(await HardStateFile.open(damaged, PATH)).toMatchObject({ ok: false, error: { kind: "wiped" } });
    const file = await damaged.open(PATH, "read-write");
    await file.allocate(0);
    expect(await HardStateFile.open(damaged, PATH)).toMatchObject({ ok: false, error: { kind: "wiped" } });
  });

  it("P4, P5: a crash anywhere leaves the old or the new state, and the new one once it was written", async () => {
    const { disk, file } = await fresh();
    await file.write({ term: 5, vote: "beta" });
    const steps = [
      { term: 6, vote: undefined },
      { term: 6, vote: "alpha" },
      { term: 9, vote: "gamma" },
    ];
    const tally = await everyCrashPoint({
      base: disk,
      begin: () => ({ done: 0 }),
      work: async (crashing, progress) => {
        const state = await reopened(crashing);
        for (const step of steps) {
          await state.write(step);
          progress.done += 1;
        }
      },
      verify: async (after, progress, where) => {
        const { state } = await reopened(after);
        const allowed = [{ term: 5, vote: "beta" }, ...steps].slice(progress.done, progress.done + 2);
        expect(allowed, where).toContainEqual({ term: state.term, vote: state.vote });
        // What was once seen stays: another power cut, and a slot lost, take nothing back.
        for (const slot of [0, 4_096]) {
          const again = after.crash({ kind: "none" });
          again.flip(PATH, slot + 20);
          expect((await reopened(again)).state, where).toEqual(state);
        }
      },
    });
    expect(tally.points).toBe(2 * 4 * steps.length);
  });

  it("P5: a crash while it is made leaves it whole or missing", async () => {
    const base = new SimDisk();
    await base.createDirectory("node");
    await base.syncDirectory("");
    await everyCrashPoint({
      base,
      begin: () => ({ done: false }),
      work: async (disk, progress) => {
        await HardStateFile.create(disk, PATH, START);
        progress.done = true;
      },
      verify: async (after, progress, where) => {
        const opened = await HardStateFile.open(after, PATH);
        if (opened.ok) expect(opened.value.state, where).toEqual(START);
        else {
          expect(opened.error.kind, where).toBe("missing");
          expect(progress.done, where).toBe(false);
          expect((await HardStateFile.create(after, PATH, START)).state).toEqual(START);
        }
      },
    });
  });

  it("I13: one slot flipped anywhere, zeroed or stale is repaired from the other", async () => {
    const { disk, file } = await fresh();
    await file.write({ term: 5, vote: "beta" });
    await file.write({ term: 7, vote: "alpha" });
    let changed = 0;
    const tryOne = async (damage: (disk: SimDisk) => boolean): Promise<void> => {
      const damaged = disk.crash({ kind: "none" });
      if (!damage(damaged)) return;
      changed += 1;
      expect((await reopened(damaged)).state).toEqual({ ...START, term: 7, vote: "alpha" });
      // The damaged slot is whole again: the other may go now.
      for (const slot of [0, 4_096]) {
        const other = damaged.crash({ kind: "none" });
        other.flip(PATH, slot + 1);
        expect((await reopened(other)).state.term).toBe(7);
      }
    };
    for (const slot of [0, 4_096]) {
      for (let bit = 0; bit < SECTOR_LENGTH * 8; bit += 7) {
        await tryOne((damaged) => {
          damaged.flip(PATH, slot + (bit >> 3), bit & 7);
          return true;
        });
      }
      await tryOne((damaged) => damaged.zeroSector(PATH, slot / SECTOR_LENGTH));
      await tryOne((damaged) => damaged.staleSector(PATH, slot / SECTOR_LENGTH));
    }
    expect(changed).toBe(2 * (Math.ceil((SECTOR_LENGTH * 8) / 7) + 2));
  });

  it("I13: a slot's content in the other's place does not count", async () => {
    const { disk } = await fresh();
    const damaged = disk.crash({ kind: "none" });
    damaged.poke(PATH, 4_096, damaged.bytes(PATH).subarray(0, SECTOR_LENGTH));
    damaged.flip(PATH, 50);
    expect(await HardStateFile.open(damaged, PATH)).toMatchObject({ ok: false, error: { kind: "wiped" } });
  });

  it("survives a lost or misdirected write of either slot", async () => {
    for (const nth of [1, 2]) {
      for (const effect of ["lost", "misdirected"] as const) {
        const { disk, file } = await fresh();
        disk.arm({ operation: "write", nth, effect, misdirectedBy: 1_024 });
        await file.write({ term: 8, vote: "beta" });
        expect((await reopened(disk.crash({ kind: "none" }))).state.term).toBe(8);
      }
    }
  });

  it("P30: after a failed write or sync nothing more is written, and a restart has the old or the new state", async () => {
    for (const operation of ["write", "sync"] as const) {
      for (const nth of [1, 2]) {
        const { disk, file } = await fresh();
        disk.arm({ operation, nth, effect: "io" });
        expect(await codeOf(file.write({ term: 8, vote: "beta" }))).toBe("io");
        expect(file.state.term).toBe(0);
        const before = disk.mutations;
        expect(await codeOf(file.write({ term: 9, vote: "beta" }))).toBe("io");
        expect(disk.mutations).toBe(before);
        for (const kind of ["none", "all"] as const)
          expect([0, 8]).toContain((await reopened(disk.crash({ kind }))).state.term);
        expect(disk.faultsInjected.get(`${operation}-error`)).toBe(1);
      }
    }
  });

  it("reads past an unreadable slot", async () => {
    const { disk, file } = await fresh();
    await file.write({ term: 8, vote: "beta" });
    disk.arm({ operation: "read", nth: 1, effect: "io" });
    expect((await reopened(disk)).state.term).toBe(8);
  });
});
