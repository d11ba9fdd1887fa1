/**
 * The power goes before and after every call that changes disk or store while a table is overwritten and compacted:
 * whatever was acknowledged is in the table afterwards, nothing that was overwritten or deleted comes back, and the
 * next passes end with what the frontiers say (I5, I6, I10).
 */
import { expect, it } from "vitest";
import type { NodeLimits } from "../../log-server/node/limits.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import { type CrashChoice, SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { EAGER } from "./compaction-world.ts";
import { create, type SimNode, startSimNode, streamOf } from "./sim-node.ts";

const LIMITS: Partial<NodeLimits> = {
  ...EAGER,
  imageEveryBytes: 3_000,
  snapshotEveryBytes: 6_000,
  housekeepingEveryMs: 1_000,
  rollEveryMs: 2_000,
};
const SEGMENT_BYTES = 4 * 1_024;
const WRITES = 24;
const KEYS = 4;
const CALLS_STEP = 3;

/** Of a write, by its number: the key, and whether it deletes it. Other orders in which keys are overwritten. */
function keyOf(write: number): string {
  return `k${(write * 3 + (write >> 2)) % KEYS}`;
}

function isDelete(write: number): boolean {
  return write % 5 === 4;
}

/** What the client knows: the writes that were answered. */
type Told = { writes: number };

async function work(sim: SimNode, told: Told): Promise<void> {
  const { node } = sim;
  await node.propose(create("table", { retention: { compaction: { tombstoneMs: 3_000 } } }));
  for (let write = 0; write < WRITES; write += 1) {
    const value = isDelete(write) ? null : utf8(`${write} ${"x".repeat(150)}`);
    const bytes = encodeBatch([{ key: utf8(keyOf(write)), value }, { value: utf8(`free ${write}`) }]);
    const hash = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
    const batch = { hash, length: bytes.length, span: 2, bytes };
    const answer = await node.propose({ kind: "append", stream: "table", close: false, batch });
    expect(answer.kind).toBe("appended");
    told.writes = write + 1;
    if (write % 3 === 2) await pass(sim);
  }
  await pass(sim);
  await node.stop();
}

async function pass({ clock }: SimNode): Promise<void> {
  clock.advance(1_000);
  await settle();
}

type Seen = { readonly table: ReadonlyMap<string, number>; readonly free: readonly number[]; readonly tail: number };

async function read(node: LogNode): Promise<Seen> {
  const table = new Map<string, number>();
  const free: number[] = [];
  const { nextOffset: tail } = streamOf(node, "table");
  let last = -1;
  for (let next = 0; next < tail;) {
    const found = await node.read(streamOf(node, "table"), next, { maxBytes: 500 });
    if (!found.ok) throw new Error(`${found.error.code}: ${found.error.message}`);
    for (const { firstOffset, bytes } of found.value.batches) {
      const decoded = decodeBatch(bytes, { rawBytesMax: 100_000 });
      if (!decoded.ok) throw new Error(decoded.error.message);
      for (const { offsetDelta, record } of decoded.value.records) {
        expect(firstOffset + offsetDelta).toBeGreaterThan(last);
        last = firstOffset + offsetDelta;
        const value = text(record.value ?? new Uint8Array()) ?? "";
        if (record.key === undefined) free.push(Number(value.slice("free ".length)));
        else if (record.value === null) table.delete(text(record.key) ?? "");
        else table.set(text(record.key) ?? "", Number.parseInt(value));
      }
    }
    next = found.value.nextOffset;
  }
  return { table, free, tail };
}

function expectTable({ table, free, tail }: Seen, where: string): void {
  const expected = new Map<string, number>();
  for (let write = 0; write < tail / 2; write += 1) {
    if (isDelete(write)) expected.delete(keyOf(write));
    else expected.set(keyOf(write), write);
  }
  expect(Object.fromEntries(table), where).toEqual(Object.fromEntries(expected));
  expect(free, where).toEqual(Array.from({ length: tail / 2 }, (_, write) => write));
}

async function verify(disk: SimDisk, kv: SimKv, told: Told, where: string): Promise<void> {
  const sim = await startSimNode({ disk, kv, limits: LIMITS, segmentBytes: SEGMENT_BYTES });
  expect(sim.node.status().damage, where).toEqual([]);
  if (sim.node.machine.stream("table") === undefined) {
    expect(told.writes, where).toBe(0);
    return;
  }
  const first = await read(sim.node);
  expect(first.tail / 2, where).toBeGreaterThanOrEqual(told.writes);
  expectTable(first, where);
  for (let passes = 0; passes < 3; passes += 1) await pass(sim);
  expectTable(await read(sim.node), `${where}, compacted on`);
  await sim.node.stop();
  // Without the store: what the blocks alone say must be the same.
  const again = await startSimNode({ disk, kv: new SimKv(), limits: LIMITS, segmentBytes: SEGMENT_BYTES });
  expectTable(await read(again.node), `${where}, without its store`);
  expect(again.node.status().damage, where).toEqual([]);
  await again.node.stop();
}

it("a table keeps every promise over a power cut at any call, and its past stays past", async () => {
  const prng = new Prng(5);
  const whole = await startSimNode({ limits: LIMITS, segmentBytes: SEGMENT_BYTES });
  await work(whole, { writes: 0 });
  expect(whole.node.status().compaction.segmentsRewritten).toBeGreaterThan(5);
  expect(whole.node.machine.stream("table")?.tombstonesBefore).toBeGreaterThan(0);
  const calls = whole.disk.mutations;
  const choices: readonly CrashChoice[] = [{ kind: "none" }, { kind: "all" }, { kind: "random", prng }];
  for (let call = 1; call <= calls; call += CALLS_STEP) {
    for (const moment of ["before", "after"] as const) {
      const kv = new SimKv();
      const disk: SimDisk = new SimDisk({
        onMutation: (_kind, _path, phase, ordinal) => {
          if (ordinal !== call || phase !== moment) return;
          disk.pullPlug();
          kv.pullPlug();
        },
      });
      const told: Told = { writes: 0 };
      try {
        await work(await startSimNode({ disk, kv, limits: LIMITS, segmentBytes: SEGMENT_BYTES }), told);
      } catch {
        // The plug was pulled: whatever it was doing failed.
      }
      const choice = choices[prng.below(choices.length)] as CrashChoice;
      const where = `crash ${moment} call ${call} of ${calls}, ${choice.kind} kept`;
      await verify(disk.crash(choice), kv.crash(), told, where);
    }
  }
}, 60_000);

/** Lets everything run that needs no time: disks, promises. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 2_000; turn += 1) await Promise.resolve();
}
