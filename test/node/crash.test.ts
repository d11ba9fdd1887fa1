/**
 * A node loses power before and after every mutating call of its disk, while clients with retries append, segments
 * roll and seal, images and snapshots are written and streams are trimmed. Whatever was acknowledged is there
 * afterwards, once, at the offset that was answered (I5, I6, I7, I8); a retry gets its first answer; and the state
 * equals the one that the log alone gives (I10).
 */
import { expect, it } from "vitest";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { FAMILY } from "../../log-server/streams/rows.ts";
import { hex } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { type CrashChoice, SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { append, asAppended, create, readAll, type SimNode, startSimNode } from "./sim-node.ts";

const LIMITS = { imageEveryBytes: 3_000, snapshotEveryBytes: 6_000, housekeepingEveryMs: 1_000 };
const SEGMENT_BYTES = 4 * 1024;
const APPENDS = 40;

/** What the client knows: by sequence, the offset it was told. */
type Told = Map<number, number>;

function valueOf(sequence: number): string {
  return `${sequence} ${"x".repeat(60 + (sequence % 5) * 40)}`;
}

async function work(sim: SimNode, told: Told): Promise<void> {
  const { node, clock } = sim;
  await node.propose(create("kept"));
  await node.propose(create("trimmed", { retention: { maxBytes: 1_000 } }));
  for (let sequence = 0; sequence < APPENDS; sequence += 1) {
    const producer = { id: "p", epoch: 0, sequence };
    const [answer] = await Promise.all([
      node.propose(append("kept", [valueOf(sequence)], { producer })),
      node.propose(append("trimmed", [valueOf(sequence)])),
    ]);
    told.set(sequence, asAppended(answer).firstOffset as number);
    if (sequence % 8 === 7) {
      clock.advance(1_000);
      await settle();
    }
  }
  await node.stop();
}

async function verify(disk: SimDisk, kv: SimKv, told: Told, where: string): Promise<void> {
  const { node, clock } = await startSimNode({ disk, kv, limits: LIMITS, segmentBytes: SEGMENT_BYTES });
  expect(node.status().damage, where).toEqual([]);
  const stream = node.machine.stream("kept");
  if (stream === undefined) {
    expect(told.size, where).toBe(0);
    return;
  }
  const values = await readAll(node, "kept");
  expect(values, where).toEqual(values.map((_, place) => valueOf(place)));
  expect(values.length, where).toBeGreaterThanOrEqual(told.size);
  for (const [sequence, offset] of told) expect(offset, where).toBe(sequence);
  // Its retries, and the next ones: first answers for what is there, new offsets for what is not.
  for (const sequence of new Set([Math.max(0, told.size - 1), told.size])) {
    const retry = asAppended(
      await node.propose(append("kept", [valueOf(sequence)], { producer: { id: "p", epoch: 0, sequence } })),
    );
    expect([retry.firstOffset, retry.duplicate], where).toEqual([sequence, sequence < values.length]);
  }
  const trimmed = node.machine.stream("trimmed");
  if (trimmed !== undefined)
    expect((await readAll(node, "trimmed", trimmed.firstOffset)).length, where).toBe(
      trimmed.nextOffset - trimmed.firstOffset,
    );
  const rows = streamRows(node);
  await node.stop();
  // Without the image: what snapshot and log give must be the same.
  const again = await startSimNode({ disk, kv: new SimKv(), clock, limits: LIMITS, segmentBytes: SEGMENT_BYTES });
  expect(streamRows(again.node), where).toEqual(rows);
  await again.node.stop();
}

it("keeps every promise over a power cut at any call", async () => {
  const prng = new Prng(11);
  const whole = await startSimNode({ limits: LIMITS, segmentBytes: SEGMENT_BYTES });
  await work(whole, new Map());
  const calls = whole.disk.mutations;
  expect(whole.disk.files().some((path) => path.includes("snapshots/"))).toBe(true);
  expect(whole.disk.files().some((path) => path.endsWith(".index"))).toBe(true);
  const choices: readonly CrashChoice[] = [{ kind: "none" }, { kind: "all" }, { kind: "random", prng }];
  let crashes = 0;
  for (let call = 1; call <= calls; call += 1) {
    const moment = call % 2 === 0 ? "before" : "after";
    const kv = new SimKv();
    const disk: SimDisk = new SimDisk({
      onMutation: (_kind, _path, phase, ordinal) => {
        if (ordinal !== call || phase !== moment) return;
        disk.pullPlug();
        kv.pullPlug();
      },
    });
    const told: Told = new Map();
    let node: SimNode | undefined;
    try {
      node = await startSimNode({ disk, kv, limits: LIMITS, segmentBytes: SEGMENT_BYTES });
      await work(node, told);
    } catch {
      // The plug was pulled: whatever it was doing failed.
    }
    const kvAfter = kv.crash();
    const choice = choices[call % choices.length] as CrashChoice;
    await verify(disk.crash(choice), kvAfter, told, `crash ${moment} call ${call} of ${calls}, ${choice.kind} kept`);
    crashes += 1;
  }
  expect(crashes).toBe(calls);
}, 60_000);

/** All rows but that of the position, which the next start's own entry has moved. */
function streamRows(node: LogNode): string[] {
  const rows: string[] = [];
  for (const [key, value] of node.machine.rows())
    if (key[0] !== FAMILY.position) rows.push(`${hex(key)} ${hex(value)}`);
  return rows;
}

/** Lets everything run that needs no time: disks, promises. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 500; turn += 1) await Promise.resolve();
}
