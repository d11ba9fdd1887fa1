/**
 * A rewrite takes what another log keeps of stretches that are lost here: as it is, where it fits what is still known of the
 * segment, and never so that what nobody gave passes for compacted (I13).
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LostRanges } from "../../log-server/log/repair/lost-ranges.ts";
import type { RangeBatch, StreamRange } from "../../log-server/log/repair/stream-range.ts";
import type { RewriteReport } from "../../log-server/log/rewrite/rewriter.ts";
import { type TakenRange, TakenRanges } from "../../log-server/log/rewrite/taken-ranges.ts";
import { Prng } from "../../src/lib/prng.ts";
import { restarted, type Machine } from "./crash-everywhere.ts";
import { expectedStreams, LogWorld, makeEntries } from "./log-world.ts";
import { expectLeft, Law } from "./rewrite-law.ts";
import { rewritable, sealedMachine } from "./sealed-machine.ts";

const SECTOR = 512;
const ENTRIES = makeEntries(new Prng(41), 1, 90);

/** Without taking anything out: what comes from another may be compacted further than what is here. */
function rewrite(world: LogWorld, taken: TakenRanges): Promise<RewriteReport> {
  return world.log.rewrite(world.log.horizon.index, rewritable(world), new Law(), taken);
}

describe("a rewrite that takes what another log keeps", () => {
  let machine: Machine;
  let law: Law;
  /** It has compacted all that it can. */
  let other: LogWorld;

  beforeEach(async () => {
    ({ machine, law } = await sealedMachine(ENTRIES));
    const compacted = restarted(machine);
    other = await LogWorld.open(compacted.disk, compacted.kv);
    expect((await other.log.rewrite(other.log.horizon.index, rewritable(other), law)).refused).toBeUndefined();
  });
  afterEach(() => other.close());

  async function given({ streamId, from, to }: StreamRange): Promise<TakenRange> {
    const batches: RangeBatch[] = [];
    for (let next = from; next < to;) {
      const kept = await other.log.keptRange({ streamId, from: next, to }, 100);
      if (kept === undefined) throw new Error("the other has it");
      batches.push(...kept.batches);
      ({ next } = kept);
    }
    return { streamId, from, to, incarnation: 7 + streamId, batches };
  }

  async function lostIn(world: LogWorld): Promise<{ ranges: TakenRange[]; unreadable: Set<number> }> {
    const ranges: TakenRange[] = [];
    const unreadable = new Set<number>();
    for (const sequence of rewritable(world)) {
      const lost = await world.log.lostRanges(sequence);
      if (lost === undefined) throw new Error("what is lost is known");
      for (const range of lost.ranges) ranges.push(await given(range));
      if (lost.unreadable) unreadable.add(sequence);
    }
    return { ranges, unreadable };
  }

  /** With a sector of the second segment zeroed, in which batches are. */
  async function harmed(): Promise<LogWorld> {
    const { disk, kv } = restarted(machine);
    const path = disk.files().filter((name) => name.endsWith(".log"))[1] as string;
    disk.zeroSector(path, 3);
    return LogWorld.open(disk, kv);
  }

  it("has it in the place of what is lost, and all else as it was; so does the next start", async () => {
    const world = await harmed();
    const { ranges, unreadable } = await lostIn(world);
    expect(ranges.length).toBeGreaterThan(0);
    expect(unreadable.size).toBe(0);
    const report = await rewrite(world, new TakenRanges(ranges, unreadable));
    expect(report).toMatchObject({ batches: { damaged: 0, taken: ranges.flatMap((one) => one.batches).length } });
    expect(report.refused).toBeUndefined();
    for (const { streamId, from, to } of ranges)
      expect(await given({ streamId, from, to })).toEqual(await keptBy(world, { streamId, from, to }));
    await expectLeft(world, ENTRIES, law, "rewritten");
    expect(world.log.damage).toEqual([]);
    await world.close();
  });

  it.each(["zeroed", "missing at a start"])("has all of segments of which file and index are %s", async (how) => {
    const { disk, kv } = restarted(machine);
    const paths = disk
      .files()
      .filter((name) => name.endsWith(".index"))
      .slice(0, -1);
    expect(paths.length).toBeGreaterThan(2);
    for (const path of paths.flatMap((name) => [name, name.replace(".index", ".log")])) {
      if (how !== "zeroed") await disk.remove(path);
      else for (let at = 0; at < disk.bytes(path).length; at += SECTOR) disk.zeroSector(path, at / SECTOR);
    }
    const world = await LogWorld.open(disk, kv);
    const { ranges, unreadable } = await lostIn(world);
    expect(unreadable.size).toBe(paths.length);
    for (const [at] of ranges.entries()) {
      const { refused } = await rewrite(world, new TakenRanges(ranges.toSpliced(at, 1), unreadable));
      expect(refused, `without ${at}`).toBeDefined();
    }
    expect(await rewrite(world, new TakenRanges(ranges, unreadable))).not.toHaveProperty("refused");
    await expectLeft(world, ENTRIES, law, "rewritten");
    await world.close();
    const again = await LogWorld.open(disk.crash({ kind: "all" }), kv.crash());
    expect(again.log.damage).toEqual([]);
    await expectLeft(again, ENTRIES, law, "started again");
    await again.close();
  });

  it("knows of nothing that a segment covered where the sparse index does not know of all", async () => {
    const { disk, kv } = restarted(machine);
    const path = disk.files().find((name) => name.endsWith(".index")) as string;
    const world = await LogWorld.open(disk, kv);
    const [sequence] = rewritable(world) as [number];
    for (let at = 0; at < disk.bytes(path).length; at += SECTOR) disk.zeroSector(path, at / SECTOR);
    const { ranges, unreadable } = (await world.log.lostRanges(sequence)) as LostRanges;
    expect(unreadable).toBe(true);
    const { streamId, from } = ranges[0] as StreamRange;
    const key = new Uint8Array(13);
    key[0] = 3;
    new DataView(key.buffer).setUint32(1, streamId);
    new DataView(key.buffer).setBigUint64(5, BigInt(from));
    kv.damage(key, (value) => {
      value[9] = (value[9] as number) ^ 1;
    });
    expect(await world.log.lostRanges(sequence)).toBeUndefined();
    const { refused } = await rewrite(world, new TakenRanges([], new Set([sequence])));
    expect(refused).toBeDefined();
    await world.close();
  });

  it.each<[string, (batch: RangeBatch) => RangeBatch]>([
    ["that was another one when it was appended", (batch) => ({ ...batch, identity: batch.identity + 1n })],
    ["of another length in the stream", (batch) => ({ ...batch, span: batch.span + 1 })],
    ["from another place in the log", (batch) => ({ ...batch, ordinal: batch.ordinal + 1 })],
    ["from another segment", (batch) => ({ ...batch, position: 1 })],
    ["of another time", (batch) => ({ ...batch, logTime: batch.logTime + 1 })],
    ["that begins elsewhere", (batch) => ({ ...batch, firstOffset: batch.firstOffset + 1 })],
  ])("does nothing with a batch %s", async (_, twist) => {
    const world = await harmed();
    const { ranges, unreadable } = await lostIn(world);
    const at = ranges.findIndex(({ batches }) => batches.length > 0);
    const range = ranges[at] as TakenRange;
    const wrong = { ...range, batches: range.batches.map(twist) };
    const before = world.log.sealedSegments().map(({ sequence }) => sequence);
    const { refused } = await rewrite(world, new TakenRanges(ranges.with(at, wrong), unreadable));
    expect(refused).toContain("is not of this segment");
    expect(world.log.sealedSegments().map(({ sequence }) => sequence)).toEqual(before);
    expect((await rewrite(world, new TakenRanges(ranges, unreadable))).refused).toBeUndefined();
    await expectLeft(world, ENTRIES, law, "rewritten");
    await world.close();
  });

  it("keeps the order of a stream, whatever places in the log it is told of", async () => {
    const { disk, kv } = restarted(machine);
    const path = disk.files().find((name) => name.endsWith(".index")) as string;
    for (const one of [path, path.replace(".index", ".log")])
      for (let at = 0; at < disk.bytes(one).length; at += SECTOR) disk.zeroSector(one, at / SECTOR);
    const world = await LogWorld.open(disk, kv);
    const { ranges, unreadable } = await lostIn(world);
    const at = ranges.findIndex(({ batches }) => batches.length > 1);
    const range = ranges[at] as TakenRange;
    const [first, second] = range.batches as [RangeBatch, RangeBatch];
    const swapped = [
      { ...first, position: second.position, ordinal: second.ordinal },
      { ...second, position: first.position, ordinal: first.ordinal },
      ...range.batches.slice(2),
    ];
    const wrong = new TakenRanges(ranges.with(at, { ...range, batches: swapped }), unreadable);
    expect((await rewrite(world, wrong)).refused).toContain("is not of this segment");
    await world.close();
  });
});

/** What a log keeps of a stretch. */
async function keptBy(world: LogWorld, range: StreamRange): Promise<TakenRange> {
  const batches: RangeBatch[] = [];
  for (let next = range.from; next < range.to;) {
    const kept = await world.log.keptRange({ ...range, from: next }, 1_000_000);
    if (kept === undefined) throw new Error("it is damaged");
    batches.push(...kept.batches);
    ({ next } = kept);
  }
  return { ...range, incarnation: 7 + range.streamId, batches };
}

describe("what a log keeps of a stretch", () => {
  it("is all that was appended before anything was compacted, and nothing where it is damaged or not there", async () => {
    const { machine } = await sealedMachine(ENTRIES);
    const { disk, kv } = restarted(machine);
    const world = await LogWorld.open(disk, kv);
    for (const [streamId, appended] of expectedStreams(ENTRIES)) {
      const to = world.machine.next.get(streamId) as number;
      const { batches } = await keptBy(world, { streamId, from: 0, to });
      expect(batches).toEqual(
        appended.map(({ index, ordinal, firstOffset, batch }) => ({
          firstOffset,
          span: batch.span,
          position: index,
          ordinal,
          logTime: 1_000 + index,
          identity: batch.hash,
          hash: batch.hash,
          wasCompressed: false,
          bytes: Buffer.from(batch.bytes as Uint8Array),
        })),
      );
      expect(await world.log.keptRange({ streamId, from: to, to: to + 1 }, 100)).toBeUndefined();
    }
    expect(world.log.damage).toEqual([]);
    disk.zeroSector(disk.files().find((name) => name.endsWith(".log")) as string, 3);
    let damaged = 0;
    for (const [streamId, appended] of expectedStreams(ENTRIES))
      for (const { firstOffset, batch } of appended) {
        const range = { streamId, from: firstOffset, to: firstOffset + batch.span };
        if ((await world.log.keptRange(range, 100)) === undefined) damaged += 1;
      }
    expect(damaged).toBeGreaterThan(0);
    expect(damaged).toBeLessThan(8);
    await world.close();
  });
});
