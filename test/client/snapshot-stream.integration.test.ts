/** A task's snapshots in a stream of a real node. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type Client, connect } from "../../client/index.ts";
import { ClientSnapshots } from "../../client/apps/snapshot-stream.ts";
import { type RunningNode, startNode } from "../../log-server/start-node.ts";
import { SYSTEM_CLOCK, SYSTEM_ZSTD } from "../../log-server/system.ts";
import { Task, type TaskCapture } from "../../src/operators/engine/task.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";

import { SNAPSHOT_SIZES } from "../../src/runtime/snapshots/limits.ts";
import { MemoryTarget } from "../../src/runtime/snapshots/memory-target.ts";
import { restore } from "../../src/runtime/snapshots/restore.ts";
import { SnapshotWriter } from "../../src/runtime/snapshots/snapshot-writer.ts";
import { inputOf, stage } from "../runtime/snapshot-world.ts";

describe("snapshots on a node", () => {
  let node: RunningNode;
  let client: Client;
  beforeAll(async () => {
    node = await startNode();
    client = connect(node.url);
  });
  afterAll(async () => {
    await client.close();
    await node.close();
  });

  it("are written, trimmed and restored", async () => {
    const zstd = SYSTEM_ZSTD;
    const snapshots = new ClientSnapshots(client.stream("apps/texts/snapshots/0.0"));
    expect(await snapshots.bounds()).toMatchObject({ first: 0, next: 0 });
    const sizes = { ...SNAPSHOT_SIZES, sliceBytesMin: 20_000, deltaBytes: 10_000 };
    const writer = new SnapshotWriter(snapshots, zstd, SYSTEM_CLOCK, { born: 0, replica: "r", restRatio: 1, sizes });
    const task = new Task(stage(), 0, new MemoryStore());
    task.trackChanges();
    let n = 0;
    for (let round = 1; round <= 12; round += 1) {
      for (let each = 0; each < (round === 1 ? 1_000 : 50); each += 1) {
        n += 1;
        const text = `text ${n}, and more than that, so that it takes room`;
        expect(task.process(inputOf(n, round * 20_000, { key: n % 700, field: 1, text, timer: false })).ok).toBe(true);
      }
      task.requestCapture();
      expect(task.advance(round * 20_000 + 10_000).ok).toBe(true);
      const capture = task.take().captures[0] as TaskCapture;
      const done = await writer.write(capture, () => Promise.resolve(true));
      expect(done.ok).toBe(true);
      task.settle(capture, true);
      const outcome = await restore(snapshots, zstd, new MemoryTarget(SYSTEM_CLOCK), {
        born: 0,
        committed: capture.place,
      });
      expect(outcome.objections).toEqual([]);
      expect(outcome.restored?.totals).toEqual(capture.rows.totals);
      expect(outcome.restored?.manifest.place).toEqual(task.place);
    }
    const { first, next } = await snapshots.bounds();
    expect(first).toBeGreaterThan(0);
    // Reads may begin anywhere, and go on.
    const part = await snapshots.read(0, 1);
    expect(part).toMatchObject({ from: first, values: { length: 1 } });
    expect(await snapshots.read(next, 1)).toEqual({ from: next, values: [] });
  });

  it("are nothing more to whoever reads on where all were deleted", async () => {
    const stream = client.stream("apps/gone/snapshots/0.0");
    const snapshots = new ClientSnapshots(stream);
    const { incarnation } = await snapshots.bounds();
    expect(await snapshots.append([Uint8Array.of(1), Uint8Array.of(2)])).toBe(0);
    expect(await snapshots.bounds()).toEqual({ first: 0, next: 2, incarnation });
    await stream.delete();
    expect(await snapshots.read(0, 100)).toEqual({ from: 0, values: [] });
    await snapshots.trim(1, incarnation);
    expect((await snapshots.bounds()).incarnation).toBeGreaterThan(incarnation);
    // By now it is there again, and shorter.
    expect(await snapshots.read(1, 100)).toEqual({ from: 1, values: [] });
  });

  it("are nothing more to whoever reads on where all were deleted, and there are others already", async () => {
    const stream = client.stream("apps/anew/snapshots/0.0");
    const snapshots = new ClientSnapshots(stream);
    const { incarnation } = await snapshots.bounds();
    // So much that a read does not have all of it.
    for (let n = 0; n < 12; n += 1) await snapshots.append([new Uint8Array(1_000_000).fill(n)]);
    expect(await snapshots.read(0, 1)).toMatchObject({ from: 0, values: { length: 1 } });
    await stream.delete();
    await snapshots.bounds();
    for (let n = 0; n < 12; n += 1) await snapshots.append([Uint8Array.of(n)]);
    await snapshots.trim(5, incarnation);
    expect(await snapshots.bounds()).toMatchObject({ first: 0, next: 12 });
    let next = 1;
    for (let part = await snapshots.read(next, 1); part.values.length > 0; part = await snapshots.read(next, 1)) {
      next = part.from + part.values.length;
      if (next > 20) break;
    }
    expect(next).toBeLessThanOrEqual(12);
  });
});
