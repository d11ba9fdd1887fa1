/**
 * Crashes of the segmented log, before and after every call that changes the disk: what was acknowledged is there
 * (I5, I6), what was not is wholly there or wholly absent, in a prefix, and nothing is taken for damage (P31).
 */
import { afterAll, describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { crashEverywhere, type CrashTally, type Machine, withAndWithoutStore } from "./crash-everywhere.ts";
import { expectLog, expectStreams, LogWorld, makeEntries, makeEntry } from "./log-world.ts";

/** What may be found: entries appended in this order, of which the first so many were acknowledged. */
type History = { readonly attempted: Entry[]; acknowledged: number };

let total: CrashTally = { points: 0, crashes: 0, sampled: 0 };

function count(tally: CrashTally): void {
  total = {
    points: total.points + tally.points,
    crashes: total.crashes + tally.crashes,
    sampled: total.sampled + tally.sampled,
  };
}

async function append(world: LogWorld, history: History, entries: readonly Entry[], apply = true): Promise<void> {
  history.attempted.push(...entries);
  await world.log.append(entries);
  history.acknowledged = history.attempted.length;
  if (apply) world.apply(entries);
}

let verified = 0;

/** After a crash: all is there; and, of some states, the log goes on and the next start finds the same. */
async function expectRecovered(machine: Machine, history: History, where: string): Promise<void> {
  let world = await LogWorld.open(machine.disk, machine.kv);
  expect(world.report.discarded?.fromIndex ?? Number.MAX_SAFE_INTEGER, where).toBeGreaterThan(history.acknowledged);
  await expectLog(world, history.attempted, history.acknowledged, where);
  verified += 1;
  if (verified % 4 !== 0) return world.close();
  const entries = history.attempted.slice(0, world.log.lastIndex);
  const more = makeEntry(new Prng(99), entries.length + 1, 9, [0, 1], 40);
  await world.append([more]);
  entries.push(more);
  await world.close();
  world = await LogWorld.open(machine.disk, machine.kv);
  expect(world.report.clean, where).toBe(true);
  await expectLog(world, entries, entries.length, `${where}, a second start`);
  await world.close();
}

/** A log with these entries, closed. */
async function baseWith(entries: readonly Entry[], image: boolean, groups = 4): Promise<Machine> {
  const machine = { disk: new SimDisk(), kv: new SimKv() };
  const world = await LogWorld.open(machine.disk, machine.kv);
  const size = Math.ceil(entries.length / groups);
  for (let from = 0; from < entries.length; from += size) await world.append(entries.slice(from, from + size));
  if (image) await world.saveImage();
  await world.close();
  return { disk: machine.disk.crash({ kind: "all" }), kv: machine.kv.crash() };
}

describe("a crash of the segmented log", () => {
  it("while it is made loses nothing", async () => {
    count(
      await crashEverywhere<History>({
        base: { disk: new SimDisk(), kv: new SimKv() },
        begin: () => ({ attempted: [], acknowledged: 0 }),
        work: async ({ disk, kv }, history) => {
          const world = await LogWorld.open(disk, kv);
          await append(world, history, makeEntries(new Prng(1), 1, 2));
          await world.close();
        },
        verify: expectRecovered,
        samples: 4,
        seed: 1,
      }),
    );
  });

  it("while it appends and rolls keeps what was acknowledged", async () => {
    const before = makeEntries(new Prng(2), 1, 12);
    for (const image of [false, true]) {
      count(
        await crashEverywhere<History>({
          base: await baseWith(before, image),
          begin: () => ({ attempted: [...before], acknowledged: before.length }),
          work: async ({ disk, kv }, history) => {
            const prng = new Prng(3);
            const world = await LogWorld.open(disk, kv);
            for (const size of [1, 3, 9, 2, 6])
              await append(world, history, makeEntries(prng, history.attempted.length + 1, size));
            await world.close();
          },
          verify: expectRecovered,
          samples: 10,
          seed: 4,
        }),
      );
    }
  });

  it("in the middle of large groups keeps a prefix of them", async () => {
    const before = makeEntries(new Prng(20), 1, 12);
    count(
      await crashEverywhere<History>({
        base: await baseWith(before, true),
        begin: () => ({ attempted: [...before], acknowledged: before.length }),
        work: async ({ disk, kv }, history) => {
          const prng = new Prng(21);
          const world = await LogWorld.open(disk, kv);
          for (let group = 0; group < 2; group += 1) {
            const first = history.attempted.length + 1;
            const large = Array.from({ length: 6 }, (_, at) =>
              makeEntry(prng, first + at, 1, [at % 3, at % 2], 100 + prng.below(900)),
            );
            await append(world, history, large);
          }
          await world.close();
        },
        verify: expectRecovered,
        samples: 20,
        seed: 22,
      }),
    );
  });

  it("while it seals and saves images keeps what was acknowledged", async () => {
    const before = makeEntries(new Prng(5), 1, 20);
    count(
      await crashEverywhere<History>({
        base: await baseWith(before, true),
        begin: () => ({ attempted: [...before], acknowledged: before.length }),
        work: async ({ disk, kv }, history) => {
          const prng = new Prng(6);
          const world = await LogWorld.open(disk, kv);
          for (let round = 0; round < 4; round += 1) {
            await append(world, history, makeEntries(prng, history.attempted.length + 1, 8));
            await world.saveImage();
            await world.log.settled();
          }
          await world.close();
        },
        verify: expectRecovered,
        samples: 5,
        seed: 7,
      }),
    );
  });

  it("while it writes a snapshot and trims loses nothing live", async () => {
    const before = makeEntries(new Prng(8), 1, 40);
    type Trimmed = History & { dropping: boolean };
    count(
      await crashEverywhere<Trimmed>({
        base: await baseWith(before, true),
        begin: () => ({ attempted: [...before], acknowledged: before.length, dropping: false }),
        work: async ({ disk, kv }, history) => {
          const world = await LogWorld.open(disk, kv);
          await world.log.snapshotImage();
          await append(world, history, makeEntries(new Prng(9), history.attempted.length + 1, 3));
          history.dropping = true;
          expect(await world.log.trim(world.log.horizon.index, () => false)).toBeGreaterThan(2);
          await append(world, history, makeEntries(new Prng(10), history.attempted.length + 1, 3));
          await world.close();
        },
        verify: async (machine, history, where) => {
          // The store may be lost as well: with a snapshot alone every batch is found, too.
          for (const { disk, kv } of withAndWithoutStore(machine)) {
            const world = await LogWorld.open(disk, kv);
            expect(world.log.firstIndex, where).toBeLessThanOrEqual(history.dropping ? before.length + 1 : 1);
            await expectLog(world, history.attempted, history.acknowledged, where);
            await world.close();
          }
        },
        samples: 5,
        seed: 11,
      }),
    );
  });

  it("while it cuts a conflicting suffix leaves the old one whole or gone", async () => {
    for (const [applied, oldEnd, newFrom] of [
      [14, 40, 20],
      [14, 18, 17],
      [10, 30, 11],
    ] as const) {
      const old = makeEntries(new Prng(12), 1, oldEnd, 1);
      const base = await baseWith(old.slice(0, applied), true);
      const fresh = [...old.slice(0, newFrom - 1), ...makeEntries(new Prng(13), newFrom, 6, 2)];
      type Cut = { phase: "before" | "old" | "cutting" | "new" | "more"; acknowledged: number };
      count(
        await crashEverywhere<Cut>({
          base,
          begin: () => ({ phase: "before", acknowledged: applied }),
          work: async ({ disk, kv }, progress) => {
            const world = await LogWorld.open(disk, kv);
            for (let from = applied; from < oldEnd; from += 7)
              await world.log.append(old.slice(from, Math.min(oldEnd, from + 7)));
            progress.phase = "old";
            progress.acknowledged = oldEnd;
            progress.phase = "cutting";
            await world.log.append(fresh.slice(newFrom - 1, newFrom + 2));
            progress.phase = "new";
            progress.acknowledged = newFrom + 2;
            await world.log.append(fresh.slice(newFrom + 2));
            progress.acknowledged = fresh.length;
            await world.catchUp();
            await world.log.settled();
            await world.close();
          },
          verify: async ({ disk, kv }, progress, where) => {
            const world = await LogWorld.open(disk, kv);
            const { log } = world;
            const isNew = log.lastIndex >= newFrom && log.term(newFrom) === 2;
            const isCut = log.lastIndex === newFrom - 1;
            switch (progress.phase) {
              case "before":
                await expectLog(world, old, progress.acknowledged, where);
                break;
              case "old":
              case "cutting":
                if (isNew || isCut) await expectLog(world, fresh, newFrom - 1, where);
                else await expectLog(world, old, oldEnd, where);
                break;
              case "new":
              case "more":
                expect(isNew, where).toBe(true);
                await expectLog(world, fresh, progress.acknowledged, where);
                break;
            }
            const now = (isNew || isCut ? fresh : old).slice(0, log.lastIndex);
            const more = makeEntry(new Prng(98), now.length + 1, 9, [0], 40);
            await world.append([more]);
            await expectStreams(world, [...now, more], 1, where);
            await world.close();
          },
          samples: 4,
          seed: 14,
        }),
      );
    }
  });

  it("while all is cut that a trim has left still knows where the log ends", async () => {
    const before = makeEntries(new Prng(30), 1, 20);
    const made = await baseWith(before, true);
    const trimmed = await LogWorld.open(made.disk, made.kv);
    await trimmed.log.snapshotImage();
    await trimmed.log.roll();
    // Not committed: they are never applied, and others take their place.
    await trimmed.log.append(makeEntries(new Prng(31), 21, 2));
    await trimmed.log.settled();
    await trimmed.log.trim(trimmed.log.horizon.index, () => false);
    expect(trimmed.log.stats().sealedSegments).toBe(0);
    await trimmed.close();
    const others = makeEntries(new Prng(32), 21, 3, 2);
    count(
      await crashEverywhere<{ isNew: boolean }>({
        base: { disk: made.disk.crash({ kind: "all" }), kv: made.kv.crash() },
        begin: () => ({ isNew: false }),
        work: async ({ disk, kv }, progress) => {
          const world = await LogWorld.open(disk, kv, { applyTo: 20 });
          await world.append(others);
          progress.isNew = true;
          await world.close();
        },
        verify: async ({ disk, kv }, { isNew }, where) => {
          const { log } = await LogWorld.open(disk, kv, { applyTo: 20 });
          expect(log.damage, where).toEqual([]);
          expect(log.lastIndex, where).toBeGreaterThanOrEqual(20);
          if (isNew) expect([log.lastIndex, log.term(23)], where).toEqual([23, 2]);
          await log.close();
        },
        samples: 4,
        seed: 33,
      }),
    );
  });

  it("while it recovers from a crash loses nothing either", async () => {
    const before = makeEntries(new Prng(15), 1, 12);
    const torn = await baseWith(before, true);
    const group = makeEntries(new Prng(16), 13, 5);
    const world = await LogWorld.open(torn.disk, torn.kv);
    const started = torn.disk.mutations;
    const appending = world.log.append(group);
    while (torn.disk.mutations === started) await Promise.resolve();
    const disk = torn.disk.crash({ kind: "random", prng: new Prng(17), keep: 0.6 });
    await appending.catch(() => undefined);
    count(
      await crashEverywhere<History>({
        base: { disk, kv: torn.kv.crash() },
        begin: () => ({ attempted: [...before, ...group], acknowledged: before.length }),
        work: async (machine) => {
          const again = await LogWorld.open(machine.disk, machine.kv);
          await again.close();
        },
        verify: expectRecovered,
        samples: 20,
        seed: 18,
      }),
    );
  });

  afterAll(() => {
    expect(total.points).toBeGreaterThan(800);
    expect(total.sampled).toBeGreaterThan(1_000);
  });
});
