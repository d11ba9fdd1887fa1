/**
 * Rewriting of sealed segments: what survives is served as it was appended, at every moment, and what does not gives its
 * space back (I6, I7, I13, P47).
 */
import { describe, expect, it } from "vitest";
import type { SegmentedLog } from "../../log-server/log/segmented-log.ts";
import { Prng } from "../../src/lib/prng.ts";
import { DiskError } from "../../src/ports/disk.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { LogWorld, makeEntries, TINY_LIMITS } from "./log-world.ts";
import { compactableBefore, expectLeft, Law } from "./rewrite-law.ts";

async function filled(
  count: number,
  disk = new SimDisk(),
  kv = new SimKv(),
): Promise<{ world: LogWorld; entries: Entry[] }> {
  const world = await LogWorld.open(disk, kv);
  const entries = makeEntries(new Prng(1), 1, count);
  for (let from = 0; from < count; from += 5) await world.append(entries.slice(from, from + 5));
  await world.log.settled();
  await world.saveImage();
  await world.log.snapshotImage();
  return { world, entries };
}

function sequencesOf(log: SegmentedLog): number[] {
  return log.sealedSegments().map((segment) => segment.sequence);
}

function fileBytes(disk: SimDisk): number {
  return disk
    .files()
    .filter((path) => path.includes("/segments/"))
    .reduce((sum, path) => sum + disk.bytes(path).length, 0);
}

describe("a rewrite", () => {
  it("keeps what survives, tells what is gone, and gives the space back", async () => {
    const disk = new SimDisk();
    const kv = new SimKv();
    const { world, entries } = await filled(150, disk, kv);
    const { log } = world;
    const law = new Law();
    const position = log.horizon.index;
    const before = compactableBefore(world, position);
    for (const [stream, offset] of before) law.compacted.set(stream, offset);
    law.live.set(2, 15);
    const bytes = fileBytes(disk);
    const report = await log.rewrite(position, sequencesOf(log), law);
    expect(report.refused).toBeUndefined();
    expect(report.batches.cut).toBeGreaterThan(10);
    expect(report.batches.gone).toBeGreaterThan(10);
    expect(report.batches.damaged).toBe(0);
    expect(bytes - fileBytes(disk)).toBe(report.bytesBefore - report.bytesAfter);
    expect(report.bytesAfter * 2).toBeLessThan(report.bytesBefore);
    const [rewritten, ...others] = log.sealedSegments();
    expect(others).toEqual([]);
    expect(rewritten).toMatchObject({ rewritten: true, firstIndex: 1, fileBytes: report.bytesAfter });
    const left = await expectLeft(world, entries, law, "rewritten", before);
    expect(left.sparse).toBeGreaterThan(10);
    expect(left.gone).toBeGreaterThan(30);
    expect(log.firstIndex).toBe((rewritten?.lastIndex ?? 0) + 1);
    expect(log.term(1)).toBe(1);
    expect(await log.entries(1, 3, 100)).toMatchObject({ ok: false, error: { kind: "segment" } });
    expect(log.damage).toEqual([]);
    await world.close();

    // The image is lost, too: the index is rebuilt from blocks, the state from the snapshot.
    for (const store of [kv.crash(), new SimKv()]) {
      const again = await LogWorld.open(disk.crash({ kind: "all" }), store);
      expect(again.log.damage).toEqual([]);
      expect(await expectLeft(again, entries, law, "opened again", before)).toEqual(left);
      await again.close();
    }
  });

  it("comes to the same, however often it is done", async () => {
    const law = new Law();
    const results: string[] = [];
    for (const rounds of [1, 3]) {
      const { world } = await filled(150);
      const { log } = world;
      const before = compactableBefore(world, log.horizon.index);
      for (let round = 1; round <= rounds; round += 1) {
        for (const [stream, offset] of before) law.compacted.set(stream, Math.floor((offset * round) / rounds));
        const sequences = sequencesOf(log);
        const half = Math.ceil(sequences.length / 2);
        if (round < rounds) {
          expect((await log.rewrite(log.horizon.index, sequences.slice(0, half), law)).refused).toBeUndefined();
          continue;
        }
        expect((await log.rewrite(log.horizon.index, sequences, law)).refused).toBeUndefined();
      }
      const batches: unknown[] = [];
      for (const [stream, end] of before) {
        for (let next = 0; next < end;) {
          const read = await log.read(stream, next, end, 1_000);
          if (!read.ok || read.value.length === 0) break;
          for (const batch of read.value) {
            batches.push([stream, batch.firstOffset, batch.hash.toString(), Buffer.from(batch.bytes).toString("hex")]);
            next = batch.firstOffset + batch.span;
          }
        }
      }
      results.push(JSON.stringify(batches));
      await world.close();
    }
    expect(results[0]).toBe(results[1]);
    expect(results[0]?.length).toBeGreaterThan(1_000);
  });

  it("is followed by what is appended next, where another leader cuts off all that came behind it", async () => {
    const disk = new SimDisk();
    const kv = new SimKv();
    const { world, entries } = await filled(80, disk, kv);
    const { log } = world;
    const law = new Law();
    await log.roll();
    await log.settled();
    // Not committed: they are never applied.
    await log.append(makeEntries(new Prng(2), 81, 2));
    expect((await log.rewrite(log.horizon.index, sequencesOf(log), law)).refused).toBeUndefined();
    const others = makeEntries(new Prng(3), 81, 30, 2);
    for (let from = 0; from < others.length; from += 5) await world.append(others.slice(from, from + 5));
    const all = [...entries, ...others];
    await expectLeft(world, all, law, "cut");
    await world.close();
    const again = await LogWorld.open(disk.crash({ kind: "all" }), kv.crash());
    expect(again.log.damage).toEqual([]);
    expect(again.log.lastIndex).toBe(110);
    await expectLeft(again, all, law, "opened again");
    await again.close();
  });

  it("leaves an empty segment that says what it covers, and nothing of streams that are gone", async () => {
    const { world, entries } = await filled(60);
    const { log } = world;
    const law = new Law();
    law.survivingOfHundred = 0;
    const before = compactableBefore(world, log.horizon.index);
    for (const [stream, offset] of before) law.compacted.set(stream, offset);
    law.live.set(1, Number.POSITIVE_INFINITY);
    expect((await log.rewrite(log.horizon.index, sequencesOf(log), law)).refused).toBeUndefined();
    const streams = await log.sealedSegments()[0]?.streams();
    expect(streams?.map(({ streamId, rowCount }) => [streamId, rowCount])).toEqual([
      [0, 0],
      [2, 0],
    ]);
    await expectLeft(world, entries, law, "empty", before);
    const end = before.get(0) as number;
    expect(await log.read(0, 0, end, 100)).toEqual({ ok: true, value: [] });
    expect(await log.offsetAtTime(0, 0, 0, world.machine.next.get(0) as number)).toEqual({ ok: true, value: end });
    // Once nobody may read there any more, it goes.
    expect(await log.trim(log.horizon.index, (_stream, endOffset) => endOffset > 1e6)).toBe(1);
    await world.close();
  });

  it("refuses what may still be needed, what is not there, and what the disk has no room for", async () => {
    const disk = new SimDisk();
    const { world, entries } = await filled(80, disk);
    const { log } = world;
    const law = new Law();
    const sequences = sequencesOf(log);
    expect(await log.rewrite(1, sequences, law)).toMatchObject({ refused: expect.stringContaining("needed") });
    const gapped = sequences.filter((_, at) => at !== 1);
    expect(await log.rewrite(log.horizon.index, gapped, law)).toMatchObject({ refused: expect.any(String) });
    await world.close();

    const full = disk.crash({ kind: "all" }, { capacityBytes: fileBytes(disk) + 40_000 });
    const tight = await LogWorld.open(full, new SimKv());
    await tight.log.settled();
    const report = await tight.log.rewrite(tight.log.horizon.index, sequencesOf(tight.log), law);
    expect(report).toMatchObject({ refused: expect.stringContaining("room") });
    expect(full.files().filter((path) => /compacted|new$/.test(path))).toEqual([]);
    await expectLeft(tight, entries, law, "refused");
    await tight.close();
  });

  it("that runs out of space on its way leaves all as it was", async () => {
    const disk = new SimDisk();
    const { world, entries } = await filled(80, disk);
    const { log } = world;
    const law = new Law();
    const sequences = sequencesOf(log);
    const files = disk.files();
    for (const operation of ["write", "sync"] as const) {
      for (let nth = 1; nth <= 3; nth += 1) {
        disk.arm({ operation, effect: "no-space", nth, path: (path) => path.endsWith(".new") });
        const report = await log.rewrite(log.horizon.index, sequences, law);
        if (report.refused === undefined) break;
        expect(report.refused).toContain("room");
        expect(disk.files()).toEqual(files);
        await expectLeft(world, entries, law, "no space");
      }
    }
    await world.close();
  });

  it("whose sync fails ends all writing, and nothing is lost", async () => {
    const disk = new SimDisk();
    const kv = new SimKv();
    const { world, entries } = await filled(80, disk, kv);
    const { log } = world;
    disk.arm({ operation: "sync", effect: "io", nth: 1, path: (path) => path.endsWith(".new") });
    await expect(log.rewrite(log.horizon.index, sequencesOf(log), new Law())).rejects.toMatchObject({ code: "io" });
    expect(log.poisoned).toBeDefined();
    await expectLeft(world, entries, new Law(), "poisoned");
    await world.close();
    const again = await LogWorld.open(disk.crash({ kind: "all" }), kv.crash());
    await expectLeft(again, entries, new Law(), "opened again");
    expect(again.log.damage).toEqual([]);
    await again.close();
  });

  it("is not seen by readers, whenever they look", async () => {
    const law = new Law();
    let looks = 0;
    let busy = false;
    let reading: (() => Promise<void>) | undefined;
    const pace = async (): Promise<void> => {
      if (reading === undefined || busy) return;
      busy = true;
      await reading();
      busy = false;
    };
    const disk = new SimDisk({ pace });
    const kv = new SimKv({ pace });
    const { world, entries } = await filled(400, disk, kv);
    const { log } = world;
    const before = compactableBefore(world, log.horizon.index);
    for (const [stream, offset] of before) law.compacted.set(stream, offset);
    const more = makeEntries(new Prng(5), entries.length + 1, 60);
    reading = async () => {
      looks += 1;
      await expectLeft(world, entries, law, `look ${looks}`);
      expect(await log.offsetAtTime(0, 1_090, 0, world.machine.next.get(0) as number)).toMatchObject({ ok: true });
    };
    const sequences = sequencesOf(log);
    const half = Math.ceil(sequences.length / 2);
    let running = true;
    const tight = (async () => {
      while (running) await expectLeft(world, entries, law, "beside it");
    })();
    const rewriting = (async () => {
      expect(await log.rewrite(log.horizon.index, sequences.slice(0, half), law)).not.toHaveProperty("refused");
      expect(await log.rewrite(log.horizon.index, sequences.slice(half), law)).not.toHaveProperty("refused");
    })();
    for (let from = 0; from < more.length; from += 6) {
      const group = more.slice(from, from + 6);
      await log.append(group);
      world.apply(group);
    }
    await rewriting;
    running = false;
    await tight;
    reading = undefined;
    expect(looks).toBeGreaterThan(15);
    await expectLeft(world, [...entries, ...more], law, "in the end");
    expect(log.damage).toEqual([]);
    expect(log.sealedSegments().filter((segment) => segment.rewritten).length).toBe(2);
    await world.close();
  });

  it("does not touch the segment that the log ends with, nor does a trim: it says where the log ends", async () => {
    const disk = new SimDisk();
    const kv = new SimKv();
    const { world, entries } = await filled(60, disk, kv);
    const { log } = world;
    await log.roll();
    await log.settled();
    expect(log.stats().unsealedSegments).toBe(0);
    const last = log.stats().sealedSegments;
    expect(sequencesOf(log)).not.toContain(last);
    expect(await log.rewrite(log.horizon.index, [last], new Law())).toMatchObject({ refused: expect.any(String) });
    expect((await log.rewrite(log.horizon.index, sequencesOf(log), new Law())).refused).toBeUndefined();
    await expectLeft(world, entries, new Law(), "all but the last rewritten");
    await log.trim(log.horizon.index, () => false);
    expect(log.stats().sealedSegments).toBe(1);
    await world.close();
    const again = await LogWorld.open(disk.crash({ kind: "all" }), kv.crash());
    expect(again.imageFault).toBeUndefined();
    expect(again.log.lastIndex).toBe(entries.length);
    await again.close();
  });

  it("leaves out what a trim has dropped since the run was chosen, and refuses what was rewritten since", async () => {
    const { world, entries } = await filled(120);
    const { log } = world;
    const law = new Law();
    const chosen = sequencesOf(log);
    const frontiers = new Map([...world.machine.next].map(([stream]) => [stream, 40]));
    for (const [stream, offset] of frontiers) law.live.set(stream, offset);
    const dropped = await log.trim(log.horizon.index, (stream, end) => end > law.liveFrom(stream));
    expect(dropped).toBeGreaterThan(1);
    expect(await log.rewrite(log.horizon.index, chosen.slice(0, dropped), law)).toEqual({
      bytesBefore: 0,
      bytesAfter: 0,
      batches: { kept: 0, cut: 0, gone: 0, damaged: 0, taken: 0 },
    });
    expect((await log.rewrite(log.horizon.index, chosen.slice(0, dropped + 2), law)).refused).toBeUndefined();
    await expectLeft(world, entries, law, "rewritten");
    expect(await log.rewrite(log.horizon.index, chosen, law)).toMatchObject({
      refused: expect.stringContaining("follow"),
    });
    await world.close();
  });

  it("does not take what is lost between two segments for compacted", async () => {
    const disk = new SimDisk();
    const { world } = await filled(80, disk);
    const sequences = sequencesOf(world.log);
    await world.close();
    const harmed = disk.crash({ kind: "all" });
    const lost = sequences[1] as number;
    for (const kind of ["log", "index"])
      await harmed.remove(`logs/0/segments/${String(lost).padStart(16, "0")}.${kind}`);
    const again = await LogWorld.open(harmed, new SimKv());
    const { log } = again;
    const run = sequencesOf(log);
    expect(run).not.toContain(lost);
    expect(await log.rewrite(log.horizon.index, run, new Law())).toMatchObject({
      bytesAfter: 0,
      refused: expect.stringContaining("cannot be read"),
    });
    // What is behind the hole can be.
    expect((await log.rewrite(log.horizon.index, run.slice(1), new Law())).refused).toBeUndefined();
    const end = again.machine.next.get(0) as number;
    let refused = 0;
    for (let offset = 0; offset < end; offset += 1) if (!(await log.read(0, offset, offset + 1, 1)).ok) refused += 1;
    expect(refused).toBeGreaterThan(0);
    await again.close();
  });

  it("does not take what is trimmed while it looks for lost", async () => {
    const { world } = await filled(80);
    const { log } = world;
    const run = sequencesOf(log);
    const parts = log.streamSegments(0).filter(({ sequence }) => sequence !== undefined);
    expect(parts.length).toBeGreaterThan(3);
    // Live in the first segment, trimmed past the second when that is looked at, live in the third again.
    let looks = 0;
    const trimmedTo = parts[1]?.endOffset as number;
    const law = new Law();
    law.liveFrom = (streamId) => (streamId === 0 && (looks += 1) > 1 ? trimmedTo : 0);
    expect((await log.rewrite(log.horizon.index, run, law)).refused).toBeUndefined();
    expect(looks).toBeGreaterThan(3);
    expect(log.damage).toEqual([]);
    const end = world.machine.next.get(0) as number;
    for (let offset = trimmedTo; offset < end; offset += 1)
      expect(await log.read(0, offset, offset + 1, 1)).toMatchObject({ ok: true });
    await world.close();
  });

  it("that is decided is finished later, if the store takes nothing now", async () => {
    const disk = new SimDisk();
    const kv = new SimKv();
    const { world, entries } = await filled(80, disk, kv);
    const { log } = world;
    const law = new Law();
    for (const [stream, offset] of compactableBefore(world, log.horizon.index)) law.compacted.set(stream, offset);
    const sequences = sequencesOf(log);
    const write = kv.write.bind(kv);
    kv.write = () => {
      kv.write = write;
      return Promise.reject(new DiskError("no-space", "kv", "the store is full"));
    };
    expect(await log.rewrite(log.horizon.index, sequences, law)).toMatchObject({
      refused: expect.stringContaining("later"),
    });
    await expectLeft(world, entries, law, "held up");
    expect(log.poisoned).toBeUndefined();
    expect(await log.trim(log.horizon.index, () => true)).toBe(0);
    expect(disk.files().filter((path) => path.endsWith(".index")).length).toBe(log.stats().sealedSegments);
    await expectLeft(world, entries, law, "finished");
    await world.close();
  });

  it("is finished by the next one, whichever of the store's transactions found no room", async () => {
    const disk = new SimDisk();
    const kv = new SimKv();
    const { world } = await filled(80, disk, kv);
    await world.close();
    let failed = 0;
    for (let failing = 1; failing <= 4; failing += 1) {
      const store = kv.crash();
      const { log } = await LogWorld.open(disk.crash({ kind: "all" }), store);
      await log.settled();
      const sequences = sequencesOf(log);
      const write = store.write.bind(store);
      let calls = 0;
      store.write = (writes) => {
        calls += 1;
        if (calls !== failing) return write(writes);
        return Promise.reject(new DiskError("no-space", "kv", "the store is full"));
      };
      const report = await log.rewrite(log.horizon.index, sequences, new Law());
      if (report.refused !== undefined) failed += 1;
      // Nothing is left to do but to finish it.
      await log.trim(log.horizon.index, () => true);
      expect(log.poisoned).toBeUndefined();
      expect(sequencesOf(log).length).toBe(1);
      await log.close();
    }
    expect(failed).toBe(3);
  });

  it("is given up when the log is closed", async () => {
    const disk = new SimDisk();
    const world = await LogWorld.open(disk, new SimKv(), { limits: { ...TINY_LIMITS, rewriteChunkBytes: 64 } });
    const entries = makeEntries(new Prng(1), 1, 100);
    await world.append(entries);
    await world.log.settled();
    await world.saveImage();
    await world.log.snapshotImage();
    const rewriting = world.log.rewrite(world.log.horizon.index, sequencesOf(world.log), new Law());
    await Promise.resolve();
    await world.log.close();
    expect(await rewriting).toMatchObject({ refused: expect.stringContaining("closed") });
    expect(disk.files().filter((path) => path.endsWith(".new"))).toEqual([]);
  });
});

describe("the offset at a time", () => {
  it("is that of the first batch appended then or later", async () => {
    const { world, entries } = await filled(120);
    const { log } = world;
    const law = new Law();
    for (let round = 0; round < 2; round += 1) {
      for (const [stream, end] of world.machine.next) {
        for (let atMs = 995; atMs < 1_125; atMs += 3) {
          const found = await log.offsetAtTime(stream, atMs, 0, end);
          if (!found.ok) throw new Error(found.error.message);
          // What follows it is at that time or later, and what precedes it is not.
          const next = await log.read(stream, found.value, end, 1);
          if (!next.ok) throw new Error(next.error.message);
          const [batch] = next.value;
          if (batch !== undefined) expect(batch.logTime).toBeGreaterThanOrEqual(atMs);
          for (let before = 0; before < found.value;) {
            const read = await log.read(stream, before, found.value, 1_000);
            if (!read.ok || read.value.length === 0) break;
            for (const stored of read.value) {
              expect(stored.logTime).toBeLessThan(atMs);
              before = stored.firstOffset + stored.span;
            }
          }
        }
      }
      for (const [stream, offset] of compactableBefore(world, log.horizon.index)) law.compacted.set(stream, offset);
      await log.rewrite(log.horizon.index, sequencesOf(log), law);
    }
    await expectLeft(world, entries, law, "in the end");
    await world.close();
  });
});
