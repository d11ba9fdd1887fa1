/** A machine that is off, whose log is sealed as far as can be, below a snapshot: what rewriting begins with. */
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Entry } from "../../src/wire/entry.ts";
import type { Machine } from "./crash-everywhere.ts";
import { LogWorld } from "./log-world.ts";
import { compactableBefore, Law } from "./rewrite-law.ts";

/** By the law most of what can be rewritten is to be compacted. */
export async function sealedMachine(entries: readonly Entry[]): Promise<{ machine: Machine; law: Law }> {
  const machine = { disk: new SimDisk(), kv: new SimKv() };
  const world = await LogWorld.open(machine.disk, machine.kv);
  for (let from = 0; from < entries.length; from += 5) await world.append(entries.slice(from, from + 5));
  await world.log.settled();
  await world.saveImage();
  await world.log.snapshotImage();
  const law = new Law();
  law.survivingOfHundred = 40;
  for (const [stream, offset] of compactableBefore(world, world.log.horizon.index))
    law.compacted.set(stream, Math.floor(offset * 0.8));
  await world.close();
  return { machine: { disk: machine.disk.crash({ kind: "all" }), kv: machine.kv.crash() }, law };
}

/** All that a rewrite may take. */
export function rewritable({ log }: LogWorld): readonly number[] {
  return log.sealedSegments().flatMap((one) => (one.lastIndex <= log.horizon.index ? [one.sequence] : []));
}
