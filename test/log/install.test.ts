/**
 * A log that is shipped from one disk to another and installed there: what the new disk serves then, over crashes before and
 * after every call that changes disk or store, and over damage on the way (I13).
 */
import { afterAll, describe, expect, it } from "vitest";
import { Incoming } from "../../log-server/log/snapshots/incoming.ts";
import { LogLayout } from "../../log-server/log/log-layout.ts";
import type { MendSource } from "../../log-server/log/repair/mender.ts";
import { ownSource } from "../../log-server/log/repair/own-source.ts";
import {
  decodeShipment,
  encodeShipment,
  fileName,
  type ShipmentFile,
} from "../../log-server/log/snapshots/shipment.ts";
import type { Held } from "../../log-server/log/snapshots/holds.ts";
import { assert } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { Disk } from "../../src/ports/disk.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { crashEverywhere, type CrashTally, type Machine, withAndWithoutStore } from "./crash-everywhere.ts";
import { expectLog, expectStreams, LogWorld, makeEntries, TINY_LIMITS } from "./log-world.ts";
import { expectLeft, Law } from "./rewrite-law.ts";

const ENTRIES = makeEntries(new Prng(51), 1, 60);
/** What the node has that is behind: nothing of it may be left. */
const OLD = makeEntries(new Prng(52), 1, 10, 1);
const FEW = 20;
const MORE = makeEntries(new Prng(53), 61, 6, 2);

async function leading(rewrite = false, entries = ENTRIES): Promise<{ world: LogWorld; law: Law }> {
  const machine = { disk: new SimDisk(), kv: new SimKv() };
  const world = await LogWorld.open(machine.disk, machine.kv);
  for (let from = 0; from < entries.length; from += 5) {
    await world.append(entries.slice(from, from + 5));
    if (from !== entries.length / 2) continue;
    await world.saveImage();
    await world.log.snapshotImage();
  }
  await world.log.settled();
  const law = new Law();
  if (rewrite) {
    const { index } = world.log.horizon;
    const below = world.log.sealedSegments().filter(({ lastIndex }) => lastIndex <= index);
    const report = await world.log.rewrite(
      index,
      below.map(({ sequence }) => sequence),
      law,
    );
    expect(report.refused).toBeUndefined();
  }
  await world.log.roll();
  await world.log.settled();
  return { world, law };
}

async function held(world: LogWorld): Promise<Held> {
  const found = await world.log.hold("disk-a");
  assert(found !== undefined, "there is a snapshot");
  return found;
}

async function behind(): Promise<Machine> {
  const machine = { disk: new SimDisk(), kv: new SimKv() };
  const world = await LogWorld.open(machine.disk, machine.kv);
  for (let from = 0; from < OLD.length; from += 5) await world.append(OLD.slice(from, from + 5));
  await world.saveImage();
  await world.log.snapshotImage();
  await world.close();
  return { disk: machine.disk.crash({ kind: "all" }), kv: machine.kv.crash() };
}

/** `own`: the log that it is to replace, if that has anything to give. */
function incomingOn(disk: Disk, own?: LogWorld): Promise<Incoming> {
  const nothing: MendSource = {
    entries: () => Promise.resolve(undefined),
    batches: () => Promise.resolve(undefined),
  };
  return Incoming.open({
    disk,
    layout: new LogLayout("logs/0"),
    logId: 0,
    limits: TINY_LIMITS,
    own: own === undefined ? nothing : ownSource(own.log, TINY_LIMITS),
  });
}

const PIECE = 6_000;

/** What is wrong with the file, if something is. */
async function ship(incoming: Incoming, from: Held, file: ShipmentFile, spoil = false): Promise<string | undefined> {
  const sink = await incoming.sink(file);
  for (let place = sink.offset; place < file.bytes; place += PIECE) {
    const bytes = await from.read(file, place, Math.min(PIECE, file.bytes - place));
    if (spoil) for (let at = 64; at < bytes.length; at += 128) bytes[at] = (bytes[at] as number) ^ 1;
    await sink.write(bytes);
  }
  return sink.finish();
}

async function shipAll(incoming: Incoming, from: Held): Promise<void> {
  for (const file of from.shipment.files) expect(await ship(incoming, from, file)).toBeUndefined();
}

let total: CrashTally = { points: 0, crashes: 0, sampled: 0 };

describe("a log that is shipped", () => {
  afterAll(() => expect(total.crashes).toBeGreaterThan(200));

  it("takes the place of the log that was there, and goes on", async () => {
    const { world } = await leading();
    const from = await held(world);
    expect(from.shipment).toMatchObject({ position: 35, term: 1, end: { index: 60, term: 1 } });
    const { disk, kv } = await behind();
    const incoming = await incomingOn(disk);
    await incoming.begin(from.shipment);
    await shipAll(incoming, from);
    expect(incoming.complete).toBe(true);
    await incoming.decide();
    const installed = await LogWorld.open(disk, kv);
    expect(installed.machine.position).toBe(60);
    expect(installed.log.horizon.index).toBe(35);
    await expectLog(installed, ENTRIES, 60);
    expect(installed.machine.digest()).toBe(world.machine.digest());
    await installed.append(MORE);
    await installed.close();
    await expectLog(await LogWorld.open(disk, kv), [...ENTRIES, ...MORE], 66);
  });

  it("brings what was left of rewritten segments", async () => {
    const { world, law } = await leading(true);
    const from = await held(world);
    expect(from.shipment.files.some(({ kind }) => kind === "compacted")).toBe(true);
    const { disk, kv } = await behind();
    const incoming = await incomingOn(disk);
    await incoming.begin(from.shipment);
    await shipAll(incoming, from);
    await incoming.decide();
    await expectLeft(await LogWorld.open(disk, kv), ENTRIES, law, "installed");
  });

  it("stands still at its sender until it is let go of", async () => {
    const { world } = await leading();
    const from = await held(world);
    const sequences = world.log.sealedSegments().map(({ sequence }) => sequence);
    expect(await world.log.trim(35, () => false)).toBe(0);
    expect((await world.log.rewrite(35, sequences.slice(0, 1), new Law())).refused).toContain("shipped");
    for (const more of [61, 62, 63]) {
      await world.append(makeEntries(new Prng(more), more, 1));
      await world.saveImage();
      await world.log.snapshotImage();
    }
    const [snapshot] = from.shipment.files as [ShipmentFile];
    expect((await from.read(snapshot, 0, snapshot.bytes)).length).toBe(snapshot.bytes);
    from.release();
    expect(await world.log.trim(35, () => false)).toBeGreaterThan(0);
  });

  it("is refused where it is damaged, and data that is so at its sender is taken at the second try", async () => {
    const { world } = await leading();
    const from = await held(world);
    const disk = new SimDisk();
    await disk.createDirectory("logs/0");
    const incoming = await incomingOn(disk);
    await incoming.begin(from.shipment);
    for (const file of from.shipment.files) {
      expect(await ship(incoming, from, file, true), fileName(file)).toBeDefined();
      if (file.kind === "log") continue;
      expect(await ship(incoming, from, file, true), fileName(file)).toBeDefined();
      expect(await ship(incoming, from, file)).toBeUndefined();
    }
    expect(incoming.complete).toBe(false);
    for (const file of from.shipment.files)
      if (file.kind === "log") expect(await ship(incoming, from, file, true)).toBeUndefined();
    expect(incoming.complete).toBe(true);
    expect(incoming.damagedFiles).toBeGreaterThan(3);
  });

  it.each([
    ["segments", false],
    ["segments that were rewritten", true],
  ])("is mended with what the log has that it replaces: %s", async (_, rewrite) => {
    const { world, law } = await leading(rewrite);
    const from = await held(world);
    const disk = new SimDisk();
    const kv = new SimKv();
    const own = await LogWorld.open(disk, kv);
    for (let at = 0; at < ENTRIES.length; at += 5) await own.append(ENTRIES.slice(at, at + 5));
    await own.saveImage();
    await own.log.snapshotImage();
    await own.log.settled();
    if (rewrite) {
      const { index } = world.log.horizon;
      const below = own.log.sealedSegments().filter(({ lastIndex }) => lastIndex <= index);
      await own.log.rewrite(
        index,
        below.map(({ sequence }) => sequence),
        law,
      );
    }
    const incoming = await incomingOn(disk, own);
    await incoming.begin(from.shipment);
    for (const file of from.shipment.files) {
      const spoil = file.kind === (rewrite ? "compacted" : "log");
      if (spoil) expect(await ship(incoming, from, file, true), fileName(file)).toBeDefined();
      expect(await ship(incoming, from, file, spoil), fileName(file)).toBeUndefined();
    }
    expect(incoming.complete).toBe(true);
    expect(incoming.damagedFiles, "I13").toBe(0);
    await incoming.decide();
    await own.close();
    const installed = await LogWorld.open(disk, kv);
    if (rewrite) await expectLeft(installed, ENTRIES, law, "installed");
    else await expectLog(installed, ENTRIES, 60);
  });

  it("keeps whole files for the next shipment of that disk, parts of files only within a life", async () => {
    const { world } = await leading();
    const from = await held(world);
    const disk = new SimDisk();
    await disk.createDirectory("logs/0");
    let incoming = await incomingOn(disk);
    await incoming.begin(from.shipment);
    const [snapshot, index, data] = from.shipment.files as [ShipmentFile, ShipmentFile, ShipmentFile];
    await ship(incoming, from, snapshot);
    await ship(incoming, from, index);
    const part = await incoming.sink(data);
    await part.write(await from.read(data, 0, 1_000));
    await part.abandon();
    const next = { ...from.shipment, files: from.shipment.files.slice(0, -2) };
    await incoming.begin(next);
    expect(incoming.receivedBytes).toBe(snapshot.bytes + index.bytes + 1_000);
    expect((await incoming.sink(data)).offset).toBe(1_000);
    incoming = await incomingOn(disk);
    await incoming.begin(from.shipment);
    expect((await incoming.sink(index)).offset).toBe(index.bytes);
    expect((await incoming.sink(data)).offset).toBe(0);
    await incoming.begin({ ...from.shipment, diskId: "disk-b" });
    expect((await incoming.sink(index)).offset).toBe(0);
    await incoming.discard();
    expect(disk.files()).toEqual([]);
  });

  it("is the old log or the new one after a crash at any point", async () => {
    const { world } = await leading(false, ENTRIES.slice(0, FEW));
    const from = await held(world);
    const last = from.shipment.files.at(-1) as ShipmentFile;
    const { disk: received, kv: old } = await behind();
    const before = await incomingOn(received);
    await before.begin(from.shipment);
    for (const file of from.shipment.files) if (file !== last) await ship(before, from, file);
    total = await crashEverywhere<{ decided: "no" | "perhaps" | "yes" }>({
      base: { disk: received.crash({ kind: "all" }), kv: old.crash() },
      begin: () => ({ decided: "no" }),
      samples: 1,
      seed: 54,
      work: async ({ disk, kv }, progress) => {
        const incoming = await incomingOn(disk);
        await incoming.begin(from.shipment);
        await shipAll(incoming, from);
        progress.decided = "perhaps";
        await incoming.decide();
        progress.decided = "yes";
        await (await LogWorld.open(disk, kv)).close();
      },
      verify: async (machine, { decided }, where) => {
        for (const { disk, kv } of withAndWithoutStore(machine)) {
          const after = await LogWorld.open(disk, kv);
          const isNew = after.log.lastIndex === FEW;
          if (decided !== "perhaps") expect(isNew, where).toBe(decided === "yes");
          if (isNew) expect(after.log.horizon.index, where).toBe(FEW / 2 + 5);
          await expectLog(after, isNew ? ENTRIES : OLD, isNew ? FEW : OLD.length, where);
          await expectStreams(after, (isNew ? ENTRIES : OLD).slice(0, after.log.lastIndex), 1, where);
        }
      },
    });
  });

  it("is listed so that damage shows", async () => {
    const { world } = await leading();
    const { shipment } = await held(world);
    const bytes = encodeShipment(shipment);
    expect(decodeShipment(bytes)).toEqual(shipment);
    for (let at = 0; at < bytes.length; at += 1) {
      const spoilt = bytes.slice();
      spoilt[at] = (spoilt[at] as number) ^ 4;
      expect(decodeShipment(spoilt)).toBeUndefined();
      expect(decodeShipment(bytes.subarray(0, at))).toBeUndefined();
    }
    expect(
      decodeShipment(encodeShipment({ ...shipment, files: [...shipment.files, ...shipment.files] })),
    ).toBeUndefined();
  });
});
