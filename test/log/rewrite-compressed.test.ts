/** Compressed batches, small and large, in a rewrite: what is left of them reads as it was appended, from a snapshot alone, too. */
import { expect, it } from "vitest";
import { SYSTEM_ZSTD } from "../../log-server/system.ts";
import { Prng } from "../../src/lib/prng.ts";
import { checkBatch, decodeBatch, encodeBatch, isCompressed } from "../../src/record/batch-codec.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { LogWorld, TINY_LIMITS } from "./log-world.ts";
import { compactableBefore, Law } from "./rewrite-law.ts";

const MIB = 1_024 * 1_024;
/** Nearly all that a batch may hold uncompressed. */
const RAW_BYTES_MAX = MIB;
const zstd = SYSTEM_ZSTD;

it("keeps what survives of compressed batches, and compresses it again", async () => {
  const prng = new Prng(8);
  const appended: StreamRecord[] = [];
  const entries = Array.from({ length: 30 }, (_, at): Entry => {
    const valueBytes = at % 10 === 0 ? Math.floor(RAW_BYTES_MAX / 8) - 64 : 2_400;
    // The zeros behind its beginning compress well.
    const records = Array.from({ length: 8 }, (): StreamRecord => {
      const value = new Uint8Array(valueBytes);
      value.set(prng.bytes(50));
      return { value };
    });
    appended.push(...records);
    const checked = checkBatch(encodeBatch(records, at % 3 === 2 ? {} : { zstd }), { batchBytesMax: 1e9 });
    if (!checked.ok) throw new Error("a batch of our own");
    const { hash, length, span, bytes } = checked.value;
    const index = at + 1;
    const batches = [{ hash, length, span, bytes }];
    return { index, term: 1, kind: "commands", logTime: 1_000 + index, head: Uint8Array.of(0), batches };
  });
  const disk = new SimDisk();
  const kv = new SimKv();
  const options = { zstd, limits: { ...TINY_LIMITS, rawBatchBytesMax: RAW_BYTES_MAX } };
  const world = await LogWorld.open(disk, kv, options);
  for (const entry of entries) await world.append([entry]);
  await world.log.settled();
  await world.saveImage();
  await world.log.snapshotImage();
  const { log } = world;
  const law = new Law();
  law.survivingOfHundred = 40;
  for (const [stream, offset] of compactableBefore(world, log.horizon.index)) law.compacted.set(stream, offset);
  const sequences = log.sealedSegments().map(({ sequence }) => sequence);
  const report = await log.rewrite(log.horizon.index, sequences, law);
  expect(report.refused).toBeUndefined();
  expect(report.batches.cut).toBeGreaterThan(15);
  expect(report.bytesAfter).toBeLessThan(report.bytesBefore);
  await world.close();
  const before = law.compactedBefore(0);
  expect(before).toBeGreaterThan(200);
  for (const store of [kv.crash(), new SimKv()]) {
    const again = await LogWorld.open(disk.crash({ kind: "all" }), store, options);
    const left = new Map<number, StreamRecord>();
    let compressed = 0;
    for (let next = 0; next < appended.length;) {
      const read = await again.log.read(0, next, appended.length, 100_000);
      if (!read.ok) throw new Error(read.error.message);
      if (read.value.length === 0) break;
      for (const { firstOffset, span, bytes } of read.value) {
        if (isCompressed(bytes)) compressed += 1;
        const decoded = decodeBatch(bytes, { zstd, rawBytesMax: 2 * RAW_BYTES_MAX });
        if (!decoded.ok) throw new Error(decoded.error.message);
        for (const { offsetDelta, record } of decoded.value.records) left.set(firstOffset + offsetDelta, record);
        next = firstOffset + span;
      }
    }
    for (const [offset, record] of appended.entries()) {
      const found = left.get(offset)?.value;
      if (law.mayGo(0, offset)) expect(found, `offset ${offset}`).toBeUndefined();
      else expect(Buffer.compare(found ?? new Uint8Array(), record.value as Uint8Array), `offset ${offset}`).toBe(0);
    }
    expect(compressed).toBeGreaterThan(10);
    expect(again.log.damage).toEqual([]);
    await again.close();
  }
});
