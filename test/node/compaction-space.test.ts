/**
 * A table of 10,000 keys, overwritten round after round on the real disk and LMDB while it is read: the disk stays
 * within a small multiple of what is live, and every read on the way is right.
 */
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { LOG_LIMITS } from "../../log-server/log/limits.ts";
import { openLmdbKv } from "../../log-server/log/disk/lmdb-kv.ts";
import { openRealDisk } from "../../log-server/log/disk/real-disk.ts";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { openNode } from "../../log-server/node/open-node.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { SYSTEM_CLOCK, SYSTEM_ENTROPY } from "../../log-server/system.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import { create, streamOf } from "./sim-node.ts";

const KIB = 1_024;
const KEYS = 10_000;
/** More than fit the space that is allowed by far, so that what is dead has to go again and again. */
const ROUNDS = 10;
/** After a restart. */
const MORE_ROUNDS = 4;
const BATCH_RECORDS = 500;
const SEGMENT_BYTES = 512 * KIB;
const FILLER = "x".repeat(80);
/** How many times what it takes with each key written once the log may take before each round. */
const SPACE_FACTOR_MAX = 3;

const LIMITS = {
  node: {
    ...NODE_LIMITS,
    lowWaterBytes: 0,
    housekeepingEveryMs: 20,
    compactionDirtyBytesMin: 512 * KIB,
    rollEveryMs: 100,
    rewriteGainBytesMin: 64 * KIB,
    rewriteRunBytesMax: 4 * SEGMENT_BYTES,
  },
  log: { ...LOG_LIMITS, segmentBytes: SEGMENT_BYTES, allocationStepBytes: 128 * KIB, sparesKept: 1 },
  streams: STREAMS_LIMITS,
};

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startNode(folder: string): Promise<LogNode> {
  const kv = openLmdbKv(join(folder, "image"));
  const opened = await openNode({
    disk: openRealDisk(folder),
    kv,
    clock: SYSTEM_CLOCK,
    entropy: SYSTEM_ENTROPY,
    zstd: undefined,
    logId: 0,
    clusterId: "c",
    nodeName: "n",
    diskId: "d",
    limits: LIMITS,
    observer: { proposed: () => undefined, synced: () => undefined, event: () => undefined },
  });
  if (!opened.ok) throw new Error(opened.error.message);
  closers.push(async () => {
    await opened.value.stop();
    await kv.close();
  });
  await opened.value.start();
  return opened.value;
}

/** Of all segments and their indexes, spares too. */
async function usedBytes(folder: string): Promise<number> {
  const segments = join(folder, "logs/0/segments");
  let bytes = 0;
  for (const name of await readdir(segments)) {
    const found = await stat(join(segments, name)).catch(() => undefined);
    bytes += (found?.blocks ?? 0) * 512;
  }
  return bytes;
}

async function overwrite(node: LogNode, round: number, acknowledged: number[]): Promise<void> {
  const batches: Promise<unknown>[] = [];
  for (let first = 0; first < KEYS; first += BATCH_RECORDS) {
    // Another order in each round, so that what dies lies everywhere.
    const keys = Array.from({ length: BATCH_RECORDS }, (_, place) => ((first + place) * (2 * round + 1)) % KEYS);
    const bytes = encodeBatch(keys.map((key) => ({ key: utf8(`k${key}`), value: utf8(`${round} ${FILLER}`) })));
    const hash = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
    const batch = { hash, length: bytes.length, span: BATCH_RECORDS, bytes };
    const written = node.propose({ kind: "append", stream: "table", close: false, batch }).then((result) => {
      expect(result.kind).toBe("appended");
      for (const key of keys) acknowledged[key] = Math.max(acknowledged[key] ?? -1, round);
    });
    batches.push(written);
  }
  await Promise.all(batches);
}

/** Reads the whole stream as a table, and holds it against what was acknowledged before the reading began. */
async function readTable(node: LogNode, acknowledged: readonly number[]): Promise<void> {
  const floor = [...acknowledged];
  const table = new Map<string, number>();
  const { nextOffset: tail } = streamOf(node, "table");
  let last = -1;
  for (let next = streamOf(node, "table").firstOffset; next < tail;) {
    const read = await node.read(streamOf(node, "table"), next, { maxBytes: 256 * KIB });
    if (!read.ok) throw new Error(`${read.error.code}: ${read.error.message}`);
    for (const { firstOffset, bytes } of read.value.batches) {
      const decoded = decodeBatch(bytes, { rawBytesMax: 1_000_000 });
      if (!decoded.ok) throw new Error(decoded.error.message);
      for (const { offsetDelta, record } of decoded.value.records) {
        const offset = firstOffset + offsetDelta;
        if (offset < next) continue;
        if (offset <= last) throw new Error(`I7: offset ${offset} behind ${last}`);
        last = offset;
        table.set(text(record.key ?? new Uint8Array()) ?? "", Number.parseInt(text(record.value ?? utf8("?")) ?? ""));
      }
    }
    expect(read.value.nextOffset).toBeGreaterThan(next);
    // A reader over a socket lets others work, too.
    await new Promise<void>((resolve) => void setImmediate(resolve));
    next = read.value.nextOffset;
  }
  const old = floor.findIndex((round, key) => (table.get(`k${key}`) ?? -1) < round);
  if (old >= 0) throw new Error(`I6: key ${old} reads as of round ${table.get(`k${old}`)}; ${floor[old]} was there`);
}

/** What dies is given back before the next round: waits until the disk is small again, however long that takes here. */
async function untilSmall(folder: string, bytesMax: number): Promise<void> {
  while ((await usedBytes(folder)) > bytesMax) await new Promise((resolve) => setTimeout(resolve, 5));
}

it("keeps its disk small under steady overwrite, while it is read and written, and over a restart", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-space-"));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  let node = await startNode(folder);
  await node.propose(create("table", { retention: { compaction: { tombstoneMs: 0 } } }));
  const acknowledged: number[] = [];
  await overwrite(node, 0, acknowledged);
  const bytesMax = SPACE_FACTOR_MAX * (await usedBytes(folder));
  let reads = 0;
  const rounds = async (from: number, to: number): Promise<void> => {
    let writing = true;
    const reader = async (): Promise<void> => {
      for (; writing; reads += 1) await readTable(node, acknowledged);
    };
    const reading = reader();
    for (let round = from; round < to; round += 1) {
      await overwrite(node, round, acknowledged);
      await untilSmall(folder, bytesMax);
    }
    writing = false;
    await reading;
  };
  await rounds(1, ROUNDS);
  expect(node.status().compaction.segmentsRewritten).toBeGreaterThan(ROUNDS / 4);
  await closers.pop()?.();
  node = await startNode(folder);
  await readTable(node, acknowledged);
  await rounds(ROUNDS, ROUNDS + MORE_ROUNDS);
  expect(acknowledged).toEqual(Array.from({ length: KEYS }, () => ROUNDS + MORE_ROUNDS - 1));
  await readTable(node, acknowledged);
  expect(reads).toBeGreaterThan(2);
  expect(node.status().damage).toEqual([]);
}, 60_000);
