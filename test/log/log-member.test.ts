/**
 * The log of a node that has peers: a damaged tail is neither offered nor thrown away until it is settled with them.
 */
import { describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { restarted, type Machine } from "./crash-everywhere.ts";
import { expectLog, LogWorld, makeEntry } from "./log-world.ts";

function placeOf(disk: SimDisk, path: string, entry: Entry | undefined): number {
  return Buffer.from(disk.bytes(path)).indexOf(Buffer.from(entry?.batches[0]?.bytes as Uint8Array));
}

const PATH = "logs/0/segments/0000000000000001.log";

/** Ten entries, the last five one group whose middle is damaged; not closed. */
async function damagedTail(): Promise<{ machine: Machine; entries: Entry[] }> {
  const prng = new Prng(1);
  const entries = Array.from({ length: 10 }, (_, at) => makeEntry(prng, at + 1, 1, [at % 2], 100));
  const machine = { disk: new SimDisk(), kv: new SimKv() };
  const world = await LogWorld.open(machine.disk, machine.kv);
  await world.append(entries.slice(0, 5));
  await world.append(entries.slice(5));
  const place = placeOf(machine.disk, PATH, entries[7]);
  machine.disk.flip(PATH, place + 50);
  return { machine: restarted(machine), entries };
}

describe("a node with peers", () => {
  it("offers only what is before an ambiguous tail, and says how far that reached", async () => {
    const { machine, entries } = await damagedTail();
    for (let start = 0; start < 3; start += 1) {
      const world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false });
      expect(world.report).toMatchObject({ lastIndex: 7, discarded: undefined, clean: false });
      expect(world.log.ambiguous).toMatchObject({ fromIndex: 8, toIndex: 10 });
      await expectLog(world, entries.slice(0, 7), 7);
      // Stopping does not settle it.
      await world.close();
    }
  });

  it("does not know how far the tail reached if its end cannot be read", async () => {
    const { machine, entries } = await damagedTail();
    const place = placeOf(machine.disk, PATH, entries[9]);
    machine.disk.flip(PATH, place + 50);
    const world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false });
    expect(world.log.ambiguous).toMatchObject({ fromIndex: 8, toIndex: undefined });
    await world.close();
  });

  it("throws the tail away when told that nobody has it, and keeps a copy", async () => {
    const { machine, entries } = await damagedTail();
    let world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false });
    const discarded = await world.log.discardAmbiguous();
    expect(discarded).toMatchObject({ segment: 1, fromIndex: 8 });
    expect(machine.disk.bytes(discarded?.quarantine as string).length).toBe(discarded?.bytes);
    expect(world.log.ambiguous).toBeUndefined();
    const fresh = makeEntry(new Prng(2), 8, 2, [0], 30);
    await world.append([fresh]);
    await world.close();
    world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false });
    expect(world.report).toMatchObject({ lastIndex: 8, clean: true, ambiguous: undefined });
    await expectLog(world, [...entries.slice(0, 7), fresh], 8);
    await world.close();
  });

  it("takes the entries of a leader in its stead", async () => {
    const { machine, entries } = await damagedTail();
    let world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false });
    await world.append(entries.slice(7));
    expect(world.log.ambiguous).toBeUndefined();
    await expectLog(world, entries, 10);
    await world.close();
    world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: false });
    await expectLog(world, entries, 10);
    await world.close();
  });

  it("keeps a bounded number of copies", async () => {
    const { machine, entries } = await damagedTail();
    const kept: Entry[] = entries.slice(0, 7);
    for (let round = 0; round < 12; round += 1) {
      const world = await LogWorld.open(machine.disk, machine.kv, { soleVoter: true });
      const next = makeEntry(new Prng(round), kept.length + 1, 3, [0], 200);
      await world.append([next]);
      await world.log.settled();
      // Not closed, and damaged.
      const file = machine.disk.files().find((path) => placeOf(machine.disk, path, next) >= 0) as string;
      machine.disk.flip(file, placeOf(machine.disk, file, next) + 60);
    }
    expect((await machine.disk.list("logs/0/quarantine")).length).toBe(8);
    const world = await LogWorld.open(machine.disk, machine.kv);
    await expectLog(world, kept, 7);
    await world.close();
  });
});
