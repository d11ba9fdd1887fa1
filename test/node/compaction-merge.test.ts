/**
 * Many streams read as one over what compaction, trims and a deletion have left in the real log: each record that is
 * left once, in log order, and every hole told (I6, I7).
 */
import { expect, it } from "vitest";
import type { NodeLimits } from "../../log-server/node/limits.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { Merge } from "../../log-server/node/reading/merge.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import { comparePlaces, LOG_START, type LogPlace } from "../../src/record/log-place.ts";
import { EAGER } from "./compaction-world.ts";
import { create, type SimNode, startSimNode, streamOf } from "./sim-node.ts";

const LIMITS: Partial<NodeLimits> = { ...EAGER, housekeepingEveryMs: 1_000, rollEveryMs: 2_000 };
const NAMES = ["a", "b", "c"];
const TINY = { aheadBytesMax: 400, readBytesMax: 150, readsMax: 2 };

async function write(node: LogNode, stream: string, prng: Prng): Promise<void> {
  const records = Array.from({ length: 1 + prng.below(4) }, () => ({
    ...(prng.chance(0.9) && { key: utf8(`k${prng.below(5)}`) }),
    value: prng.chance(0.2) ? null : prng.bytes(20 + prng.below(60)),
  }));
  const bytes = encodeBatch(records);
  const hash = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const batch = { hash, length: bytes.length, span: records.length, bytes };
  expect((await node.propose({ kind: "append", stream, close: false, batch })).kind).toBe("appended");
}

async function pass({ clock }: SimNode): Promise<void> {
  clock.advance(1_000);
  for (let turn = 0; turn < 2_000; turn += 1) await Promise.resolve();
}

/** The offsets that reads of a stream show. */
async function offsetsOf(node: LogNode, name: string): Promise<number[]> {
  const offsets: number[] = [];
  const stream = streamOf(node, name);
  for (let next = stream.firstOffset; next < stream.nextOffset;) {
    const read = await node.read(stream, next, { maxBytes: 300 });
    if (!read.ok) throw new Error(read.error.message);
    for (const batch of read.value.batches) offsets.push(...offsetsIn(batch).filter((offset) => offset >= next));
    expect(read.value.nextOffset).toBeGreaterThan(next);
    next = read.value.nextOffset;
  }
  return offsets;
}

function offsetsIn({ firstOffset, bytes }: { readonly firstOffset: number; readonly bytes: Uint8Array }): number[] {
  const decoded = decodeBatch(bytes, { rawBytesMax: 100_000 });
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value.records.map(({ offsetDelta }) => firstOffset + offsetDelta);
}

/** Reads all streams as one, from their first offsets on. */
async function merged(node: LogNode, beside: () => Promise<void>): Promise<number[][]> {
  const told = NAMES.map((): number[] => []);
  const views = NAMES.map((name) => streamOf(node, name));
  const next = views.map(({ firstOffset }) => firstOffset);
  const starts = views.map(({ id, firstOffset }, stream) => ({ stream, id, offset: firstOffset }));
  const merge = new Merge(node, starts, LOG_START, TINY);
  merge.begin(views.map(({ id }) => id));
  let last: LogPlace & { stream: number } = { ...LOG_START, stream: -1 };
  while (merge.inRound) {
    const step = await merge.step(300);
    if (!step.ok) throw new Error(step.error.message);
    for (const event of step.value) {
      if (event.kind === "stream") {
        if (event.event.kind !== "gap") throw new Error(`stream ${event.stream} is ${event.event.kind}`);
        expect(event.event.from).toBe(next[event.stream]);
        next[event.stream] = event.event.to;
        continue;
      }
      for (const batch of event.batches) {
        const { stream, position, ordinal } = batch;
        expect(comparePlaces(batch, last) || stream - last.stream, "in log order").toBeGreaterThan(0);
        last = { position, ordinal, stream };
        told[stream]?.push(...offsetsIn(batch).filter((offset) => offset >= (next[stream] as number)));
        next[stream] = batch.firstOffset + batch.span;
      }
    }
    await beside();
  }
  expect(next).toEqual(views.map(({ nextOffset }) => nextOffset));
  merge.release();
  return told;
}

it("a merge tells each record that is left, once and in log order, over the holes of compaction and trims", async () => {
  let gone = 0;
  let rewritten = 0;
  for (let seed = 1; seed <= 6; seed += 1) {
    const prng = new Prng(seed);
    const sim = await startSimNode({ limits: LIMITS, segmentBytes: 4 * 1_024 });
    const { node } = sim;
    await node.propose(create("a", { retention: { compaction: { tombstoneMs: 0 } } }));
    await node.propose(create("b", { retention: { compaction: { tombstoneMs: 2_000 } } }));
    await node.propose(create("c"));
    for (let round = 0; round < 60; round += 1) {
      await write(node, prng.pick(NAMES), prng);
      if (round % 20 === 19) {
        const { nextOffset } = streamOf(node, "c");
        await node.propose({ kind: "trim", stream: "c", before: prng.below(nextOffset) });
        // One that is deleted while others of its segments are rewritten, and made again.
        await node.propose({ kind: "delete", stream: "gone" });
        await node.propose(create("gone", { retention: { compaction: { tombstoneMs: 0 } } }));
      } else if (round > 20 && prng.chance(0.3)) await write(node, "gone", prng);
      if (prng.chance(0.3)) await pass(sim);
    }
    for (let passes = 0; passes < 4; passes += 1) await pass(sim);
    const offsets: number[][] = [];
    for (const name of NAMES) offsets.push(await offsetsOf(node, name));
    expect(await merged(node, () => Promise.resolve())).toEqual(offsets);
    gone += streamOf(node, "a").nextOffset - (offsets[0] as number[]).length;
    // Beside a pass nothing that is to stay is left out, nothing comes twice.
    for (let round = 0; round < 12; round += 1) await write(node, prng.pick(NAMES), prng);
    const tails = NAMES.map((name) => streamOf(node, name).nextOffset);
    const beside = await merged(node, () => pass(sim));
    for (let passes = 0; passes < 4; passes += 1) await pass(sim);
    for (const [stream, name] of NAMES.entries()) {
      const seen = new Set(beside[stream]);
      expect(seen.size).toBe(beside[stream]?.length);
      const left = (await offsetsOf(node, name)).filter((offset) => offset < (tails[stream] as number));
      expect(left.filter((offset) => !seen.has(offset))).toEqual([]);
    }
    expect(node.status().damage).toEqual([]);
    rewritten += node.status().compaction.segmentsRewritten;
    await node.stop();
  }
  expect(gone).toBeGreaterThan(100);
  expect(rewritten).toBeGreaterThan(30);
}, 30_000);
