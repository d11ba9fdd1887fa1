/** Damage beside the log while a table is compacted: what was deleted stays deleted, and nothing that lives goes (I6, I13). */
import { expect, it } from "vitest";
import type { NodeLimits } from "../../log-server/node/limits.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { EAGER } from "./compaction-world.ts";
import { create, type SimNode, startSimNode, streamOf } from "./sim-node.ts";

const SEGMENT_BYTES = 4 * 1_024;
const TOMBSTONE_MS = 10_000;
/** None is rewritten for its neighbour's sake, nor for what is free at its end. */
const LIMITS: Partial<NodeLimits> = {
  ...EAGER,
  housekeepingEveryMs: 1_000,
  rewriteRunBytesMax: 4 * SEGMENT_BYTES,
  rewriteGainBytesMin: Number.POSITIVE_INFINITY,
};

/** A key of the sparse index, see `batch-index.ts`. */
function rowKey(streamId: number, firstOffset: number): Uint8Array {
  const key = new Uint8Array(13);
  const data = new DataView(key.buffer);
  key[0] = 3;
  data.setUint32(1, streamId);
  data.setBigUint64(5, BigInt(firstOffset));
  return key;
}

/** One batch that fills most of a segment: the records given, and one without a key. */
async function write(node: LogNode, ...records: readonly StreamRecord[]): Promise<void> {
  const bytes = encodeBatch([...records, { value: utf8("x".repeat(3_000)) }]);
  const hash = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const batch = { hash, length: bytes.length, span: records.length + 1, bytes };
  const answer = await node.propose({ kind: "append", stream: "table", close: false, batch });
  expect(answer.kind).toBe("appended");
}

function put(key: string, value: string | null): StreamRecord {
  return { key: utf8(key), value: value === null ? null : utf8(value) };
}

/** The stream read as a table. */
async function tableOf(node: LogNode): Promise<Record<string, string>> {
  const table = new Map<string, string>();
  for (let next = streamOf(node, "table").firstOffset; next < streamOf(node, "table").nextOffset;) {
    const read = await node.read(streamOf(node, "table"), next, { maxBytes: 10_000 });
    if (!read.ok) throw new Error(read.error.message);
    for (const { bytes } of read.value.batches) {
      const decoded = decodeBatch(bytes, { rawBytesMax: 100_000 });
      if (!decoded.ok) throw new Error(decoded.error.message);
      for (const { record } of decoded.value.records) {
        if (record.key === undefined) continue;
        if (record.value === null) table.delete(text(record.key) ?? "");
        else table.set(text(record.key) ?? "", text(record.value) ?? "");
      }
    }
    next = read.value.nextOffset;
  }
  return Object.fromEntries(table);
}

async function pass({ clock }: SimNode, milliseconds = 1_000): Promise<void> {
  clock.advance(milliseconds);
  for (let turn = 0; turn < 3_000; turn += 1) await Promise.resolve();
}

it.each([0, 1])("a row of the sparse index that is rotten, behind %i segments, brings nothing back", async (before) => {
  const sim = await startSimNode({ limits: LIMITS, segmentBytes: SEGMENT_BYTES });
  const { node, kv } = sim;
  await node.propose(create("table", { retention: { compaction: { tombstoneMs: TOMBSTONE_MS } } }));
  for (let segment = 0; segment < before; segment += 1) await write(node, put("other", "1"));
  await write(node, put("k", "1"));
  await write(node, put("k", null));
  await write(node, put("x", "1"));
  await pass(sim, 0);
  kv.damage(rowKey(streamOf(node, "table").id, before * 2), (value) => {
    value[0] = (value[0] as number) ^ 1;
  });
  for (let passes = 0; passes < 3; passes += 1) await pass(sim);
  const others = before > 0 ? { other: "1" } : {};
  expect(streamOf(node, "table").compactedBefore).toBeGreaterThan(before * 2 + 2);
  expect(await tableOf(node)).toEqual({ ...others, x: "1" });
  // The tombstone is old by now: it may go, and what it deletes goes before it.
  await pass(sim, TOMBSTONE_MS);
  for (let round = 2; round < 6; round += 1) {
    await write(node, put("x", `${round}`));
    await pass(sim);
    await pass(sim);
    expect(await tableOf(node)).toEqual({ ...others, x: `${round}` });
  }
  expect(streamOf(node, "table").tombstonesBefore).toBeGreaterThan(before * 2 + 2);
  expect(node.status().compaction.segmentsRewritten).toBeGreaterThan(0);
  await node.stop();
});
