/**
 * A disk that has lost what was written to the store lately, all of it, or an older copy that was put back by hand: the image is what it
 * was once, and so is the sparse index beside it, whose segments are gone. Both are made anew, and nothing is taken for damage (I13).
 */
import { expect, it } from "vitest";
import { type NodeObserver, NO_OBSERVER } from "../../log-server/node/observer.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { append, create, readAll, startSimNode, streamOf } from "./sim-node.ts";

const LIMITS = { imageEveryBytes: 3_000, snapshotEveryBytes: 6_000, housekeepingEveryMs: 1_000 };
const SEGMENT_BYTES = 4 * 1024;
const APPENDS = 40;
const FILLER = "x".repeat(200);

it("an image that is older than a snapshot is discarded, and the sparse index with it", async () => {
  const disk = new SimDisk();
  const kept: string[] = [];
  /** Appends, while segments are sealed and dropped, and stops. */
  async function live(kv: SimKv): Promise<void> {
    const { node, clock } = await startSimNode({ disk, kv, limits: LIMITS, segmentBytes: SEGMENT_BYTES });
    await node.propose(create("kept"));
    await node.propose(create("trimmed", { retention: { maxBytes: 1_000 } }));
    for (let count = 0; count < APPENDS; count += 1) {
      const value = `${kept.length}`;
      await Promise.all([node.propose(append("kept", [value])), node.propose(append("trimmed", [FILLER]))]);
      kept.push(value);
      clock.advance(LIMITS.housekeepingEveryMs);
      await settle();
    }
    await node.stop();
  }
  const first = new SimKv();
  await live(first);
  const old = first.crash();
  await live(first.crash());

  const discarded: unknown[] = [];
  const observer: NodeObserver = {
    ...NO_OBSERVER,
    event: (code, detail) => {
      if (code === "image-discarded") discarded.push(detail?.["reason"]);
    },
  };
  const options = { disk, kv: old, limits: LIMITS, segmentBytes: SEGMENT_BYTES, observer };
  const { node } = await startSimNode(options);
  expect(discarded).toEqual(["stale"]);
  expect(node.status().damage).toEqual([]);
  expect(await readAll(node, "kept")).toEqual(kept);
  const trimmed = streamOf(node, "trimmed");
  expect((await readAll(node, "trimmed", trimmed.firstOffset)).length).toBe(trimmed.nextOffset - trimmed.firstOffset);
  expect(trimmed.nextOffset).toBe(kept.length);
  await node.stop();
});

/** Lets everything run that needs no time: disks, promises. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 500; turn += 1) await Promise.resolve();
}
