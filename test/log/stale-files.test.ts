/**
 * Files of segments that were rewritten or dropped, put back from an older copy of the disk: what compaction took away
 * does not come back with them (I13).
 */
import { describe, expect, it } from "vitest";
import { createAnew } from "../../log-server/log/disk/create-anew.ts";
import type { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { Prng } from "../../src/lib/prng.ts";
import { type Machine, restarted } from "./crash-everywhere.ts";
import { LogWorld, makeEntries } from "./log-world.ts";
import { expectLeft, type Law } from "./rewrite-law.ts";
import { rewritable, sealedMachine } from "./sealed-machine.ts";

const ENTRIES = makeEntries(new Prng(41), 1, 90);

type Files = ReadonlyMap<string, Uint8Array>;

/** Off, after the log was rewritten and rewritten again, with what its segments' files were before each time. */
async function rewrittenTwice(): Promise<{ machine: Machine; law: Law; former: readonly [Files, Files] }> {
  const base = await sealedMachine(ENTRIES);
  let { machine } = base;
  const { law } = base;
  const former: Files[] = [];
  for (const surviving of [60, 20]) {
    former.push(new Map(segmentFiles(machine.disk).map((path) => [path, machine.disk.bytes(path).slice()])));
    law.survivingOfHundred = surviving;
    const world = await LogWorld.open(machine.disk, machine.kv);
    const report = await world.log.rewrite(world.log.horizon.index, rewritable(world), law);
    expect(report.refused).toBeUndefined();
    await world.close();
    machine = { disk: machine.disk.crash({ kind: "all" }), kv: machine.kv.crash() };
  }
  return { machine, law, former: former as [Files, Files] };
}

function segmentFiles(disk: SimDisk): string[] {
  return disk.files().filter((path) => path.includes("/segments/"));
}

/** Those that are no more. */
async function putBack(disk: SimDisk, files: Files): Promise<number> {
  let count = 0;
  for (const [path, bytes] of files) {
    if (disk.exists(path)) continue;
    const file = await createAnew(disk, path);
    await file.write(0, [bytes]);
    await file.sync();
    await file.close();
    count += 1;
  }
  return count;
}

describe("files of an older copy of the disk", () => {
  it("do not bring back what was rewritten, with the sparse index and without it", async () => {
    const { machine, law, former } = await rewrittenTwice();
    const [sealed, once] = former;
    for (const [name, files] of Object.entries({ sealed, once, both: new Map([...sealed, ...once]) })) {
      for (const kept of [true, false]) {
        const harmed = restarted(machine);
        expect(await putBack(harmed.disk, files)).toBeGreaterThan(1);
        for (const start of [1, 2]) {
          const kv = kept || start > 1 ? harmed.kv : new SimKv();
          const world = await LogWorld.open(harmed.disk, kv);
          const where = `${name}, ${kept ? "with" : "without"} the sparse index, start ${start}`;
          await expectLeft(world, ENTRIES, law, where, law.compacted);
          expect(world.log.lastIndex).toBe(ENTRIES.length);
          expect(world.log.damage, where).toEqual([]);
          await world.close();
        }
      }
    }
  });

  it("are believed, and not the store that is newer: it knows rewritten segments that they know nothing of", async () => {
    const { machine: older } = await sealedMachine(ENTRIES);
    const { machine: newer, law } = await rewrittenTwice();
    for (const path of older.disk.files().filter((name) => name.includes("/snapshots/")))
      expect(newer.disk.exists(path)).toBe(true);
    const harmed = restarted(older);
    const world = await LogWorld.open(harmed.disk, newer.kv);
    expect(world.log.lastIndex).toBe(ENTRIES.length);
    expect(world.log.damage).toEqual([]);
    await expectLeft(world, ENTRIES, law, "an older disk");
    await world.close();
  });
});
