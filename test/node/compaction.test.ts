/**
 * Key compaction as a function of the log: whatever was appended, overwritten, deleted, trimmed and forked, and however
 * often a node compacts, restarts or fails in between, a compacted stream read as a table is the table; what is left is
 * as it was appended, where it was; and the same on every node (I6, I7, I10, I14).
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NodeLimits } from "../../log-server/node/limits.ts";
import { Prng } from "../../src/lib/prng.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { CompactionCluster, type CompactionWorld, EAGER, tableOf, textsOf } from "./compaction-world.ts";

const STREAMS = ["a", "b", "fork", "plain"];
const SEEDS = fc.integer({ min: 0, max: 2 ** 32 - 1 });

function randomRecord(prng: Prng): StreamRecord {
  const value = prng.chance(0.25) ? null : prng.bytes(prng.below(20));
  return { ...(prng.chance(0.9) && { key: utf8(`k${prng.below(6)}`) }), value };
}

async function randomAct(cluster: CompactionCluster, prng: Prng): Promise<void> {
  const stream = prng.pick(STREAMS);
  const node = prng.pick(cluster.nodes);
  const roll = prng.below(100);
  if (roll < 60) {
    cluster.append(
      stream,
      Array.from({ length: 1 + prng.below(4) }, () => randomRecord(prng)),
    );
  } else if (roll < 66) {
    cluster.now += prng.below(50);
    cluster.run({ kind: "tick" });
  } else if (roll < 70) {
    const view = cluster.view(stream);
    if (view !== undefined) cluster.run({ kind: "trim", stream, before: prng.below(view.nextOffset + 1) });
  } else if (roll < 72) {
    cluster.fork("a", "fork", 10);
  } else if (roll < 75) {
    if (stream === "fork") cluster.run({ kind: "delete", stream });
  } else if (roll < 78) {
    node.restart();
  } else if (roll < 82) {
    node.log.refuseAfter = prng.chance(0.5) ? prng.below(2) : undefined;
  } else if (roll < 86) {
    await node.log.roll();
  } else if (roll < 92) {
    await node.snapshot();
  } else {
    await node.pass();
  }
}

/** What must be true at any time, however far a node has come. */
async function check(cluster: CompactionCluster, node: CompactionWorld): Promise<void> {
  for (const name of STREAMS) {
    const view = cluster.view(name);
    if (view === undefined) continue;
    const all = cluster.all(name);
    const there = await node.read(name);
    expect(tableOf(there)).toEqual(tableOf(all));
    const offsets = there.map(({ offset }) => offset);
    expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
    const byOffset = new Map(all.map(({ offset, record }) => [offset, record]));
    for (const { offset, record } of there) expect(record).toEqual(byOffset.get(offset));
    const present = new Set(offsets);
    expect(cluster.survivors(name).filter(({ offset }) => !present.has(offset))).toEqual([]);
  }
}

describe("any history", () => {
  async function hold(seed: number, limits: Partial<NodeLimits>): Promise<{ rewrites: number; compacted: boolean }> {
    const prng = new Prng(seed);
    const cluster = new CompactionCluster([2 + prng.below(3), 1 + prng.below(6)], limits);
    cluster.create("a", 20);
    cluster.create("b", 0);
    cluster.create("plain", undefined);
    for (let act = 0; act < 120; act += 1) {
      await randomAct(cluster, prng);
      if (act % 5 === 0) for (const node of cluster.nodes) await check(cluster, node);
    }
    for (const node of cluster.nodes) {
      node.log.refuseAfter = undefined;
      node.restart();
      await node.log.roll();
    }
    // The leader decides first, then every node does its work.
    await cluster.leader.settle();
    for (const node of cluster.nodes) {
      await node.settle();
      await check(cluster, node);
    }
    return {
      rewrites: cluster.leader.log.rewrites,
      compacted: (cluster.view("a")?.tombstonesBefore ?? 0) + (cluster.view("b")?.tombstonesBefore ?? 0) > 0,
    };
  }

  it("reads as its table at any time, and every record left is as it was appended", async () => {
    let rewrites = 0;
    let compacted = 0;
    await fc.assert(
      fc.asyncProperty(SEEDS, async (seed) => {
        const done = await hold(seed, EAGER);
        rewrites += done.rewrites;
        compacted += Number(done.compacted);
      }),
      { numRuns: 60 },
    );
    expect(rewrites).toBeGreaterThan(200);
    expect(compacted).toBeGreaterThan(20);
  }, 60_000);

  it("does so with memory for two keys at a time, and where not everything is worth it", async () => {
    await fc.assert(
      fc.asyncProperty(SEEDS, async (seed) => {
        await hold(seed, { ...EAGER, compactionMapBytesMax: 150 });
        await hold(seed, { ...EAGER, compactionGainShareMin: 0.4, compactionDirtyShareMin: 0.3 });
      }),
      { numRuns: 30 },
    );
  }, 60_000);

  it("ends the same on every node, exactly as the frontiers say, however its segments are cut (I10)", async () => {
    await fc.assert(
      fc.asyncProperty(SEEDS, async (seed) => {
        const prng = new Prng(seed);
        const cluster = new CompactionCluster([2, 5, 1]);
        cluster.create("a", 10);
        for (let act = 0; act < 60; act += 1) {
          cluster.append(
            "a",
            Array.from({ length: 1 + prng.below(4) }, () => randomRecord(prng)),
          );
          cluster.now += prng.below(5);
          if (prng.chance(0.1)) await cluster.leader.pass();
          if (prng.chance(0.1)) {
            const node = prng.pick(cluster.nodes);
            await node.snapshot();
            await node.pass();
          }
        }
        for (const node of cluster.nodes) await node.log.roll();
        await cluster.leader.settle();
        const view = cluster.view("a");
        if (view === undefined) throw new Error("no stream");
        const expected = cluster.survivors("a");
        const bytes: string[][] = [];
        for (const node of cluster.nodes) {
          node.restart();
          await node.settle();
          expect(textsOf(await node.read("a"))).toEqual(textsOf(expected));
          bytes.push(node.log.batchesOf(view.id).map((batch) => Buffer.from(batch.bytes).toString("hex")));
        }
        expect(bytes[1]).toEqual(bytes[0]);
        expect(bytes[2]).toEqual(bytes[0]);
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});

describe("a compacted stream", () => {
  it("keeps the newest record of each key, and all that have none", async () => {
    const cluster = new CompactionCluster([2]);
    cluster.create("a");
    cluster.put("a", "x=1", "y=1", "free");
    cluster.put("a", "x=2", "z=1");
    cluster.put("a", "y=2", "free");
    await cluster.leader.log.roll();
    await cluster.leader.settle();
    expect(textsOf(await cluster.leader.read("a"))).toEqual(["2:=free", "3:x=2", "4:z=1", "5:y=2", "6:=free"]);
    expect(cluster.view("a")).toMatchObject({ compactedBefore: 7, firstOffset: 0, nextOffset: 7 });
  });

  it("leaves what is in the segment being written as it is", async () => {
    const cluster = new CompactionCluster([2]);
    cluster.create("a");
    for (const value of [1, 2, 3, 4, 5]) cluster.put("a", `x=${value}`);
    await cluster.leader.pass();
    expect(cluster.view("a")?.compactedBefore).toBeGreaterThanOrEqual(4);
    const left = textsOf(await cluster.leader.read("a"));
    expect(left.at(-1)).toBe("4:x=5");
  });

  it("shows a tombstone for at least as long as it is asked to, then forgets it", async () => {
    const cluster = new CompactionCluster([1]);
    cluster.create("a", 1_000);
    cluster.put("a", "x=1");
    cluster.put("a", "x-");
    await cluster.leader.settle();
    expect(textsOf(await cluster.leader.read("a"))).toEqual(["1:x-"]);
    cluster.now += 999;
    cluster.put("a", "y=1");
    await cluster.leader.settle();
    expect(textsOf(await cluster.leader.read("a"))).toEqual(["1:x-", "2:y=1"]);
    cluster.now += 2;
    cluster.put("a", "z=1");
    await cluster.leader.settle();
    expect(textsOf(await cluster.leader.read("a"))).toEqual(["2:y=1", "3:z=1"]);
  });

  it("keeps a tombstone where an older segment could not be rewritten: what it deletes is still there", async () => {
    const cluster = new CompactionCluster([1], { ...EAGER, rewriteRunSegmentsMax: 1 });
    cluster.create("a", 0);
    cluster.put("a", "x=1");
    cluster.put("a", "x-");
    cluster.put("a", "y=1");
    const { log } = cluster.leader;
    log.refuseAfter = 0;
    await cluster.leader.pass();
    cluster.now += 1;
    cluster.put("a", "y=2");
    await cluster.leader.pass();
    expect(cluster.view("a")?.tombstonesBefore).toBeGreaterThan(1);
    expect(tableOf(await cluster.leader.read("a"))).toEqual(tableOf(cluster.all("a")));
    expect(textsOf(await cluster.leader.read("a"))).toContain("1:x-");
    log.refuseAfter = undefined;
    cluster.put("a", "y=3");
    await cluster.leader.settle();
    expect(textsOf(await cluster.leader.read("a"))).toEqual(["4:y=3"]);
  });

  it("is not compacted past damage, and loses no tombstone to it (I13)", async () => {
    const cluster = new CompactionCluster([1]);
    cluster.create("a", 0);
    cluster.put("a", "x=1");
    cluster.put("a", "x-");
    cluster.put("a", "x=2");
    cluster.leader.log.damagedFrom = { streamId: cluster.view("a")?.id ?? 0, offset: 0 };
    await cluster.leader.settle();
    cluster.leader.log.damagedFrom = undefined;
    expect(textsOf(await cluster.leader.read("a"))).toEqual(["0:x=1", "1:x-", "2:x=2"]);
    cluster.leader.restart();
    await cluster.leader.settle();
    expect(textsOf(await cluster.leader.read("a"))).toEqual(["2:x=2"]);
  });

  it("waits for a snapshot that has its frontier: without one nothing goes", async () => {
    const cluster = new CompactionCluster([1]);
    cluster.create("a");
    cluster.put("a", "x=1");
    cluster.put("a", "x=2");
    await cluster.leader.snapshot();
    cluster.leader.snapshotsFail = true;
    await cluster.leader.pass();
    await cluster.leader.pass();
    expect(cluster.view("a")?.compactedBefore).toBe(2);
    expect(textsOf(await cluster.leader.read("a"))).toEqual(["0:x=1", "1:x=2"]);
    cluster.leader.snapshotsFail = false;
    await cluster.leader.pass();
    expect(textsOf(await cluster.leader.read("a"))).toEqual(["1:x=2"]);
  });

  it("does not pass for compacted where its frontier is past what a node has sealed: nothing deleted comes back", async () => {
    const cluster = new CompactionCluster([1, 100]);
    const follower = cluster.nodes[1] as CompactionWorld;
    cluster.create("a", 0);
    cluster.put("a", "k=1");
    cluster.put("a", "k-");
    cluster.put("a", "l=1");
    await cluster.leader.settle();
    expect(cluster.view("a")?.compactedBefore).toBe(3);
    // It has all of this in one segment that is not sealed yet.
    await follower.settle();
    expect(tableOf(await follower.read("a"))).toEqual(tableOf(cluster.all("a")));
    await follower.log.roll();
    cluster.now += 10;
    cluster.put("a", "l=2");
    cluster.put("a", "m=1");
    await cluster.leader.settle();
    expect(cluster.view("a")?.tombstonesBefore).toBeGreaterThan(1);
    await follower.settle();
    expect(tableOf(await follower.read("a"))).toEqual(tableOf(cluster.all("a")));
  });

  it("is not read in vain where its segments end behind the snapshot, pass after pass", async () => {
    const cluster = new CompactionCluster([1, 3]);
    const follower = cluster.nodes[1] as CompactionWorld;
    cluster.create("a");
    cluster.put("a", "k=1");
    cluster.put("a", "k=2");
    await cluster.leader.settle();
    expect(cluster.view("a")?.compactedBefore).toBe(2);
    await follower.pass();
    // Its first segment goes on behind the snapshot that it has.
    await follower.snapshot();
    cluster.put("a", "l=1");
    cluster.put("a", "l=2");
    follower.snapshotsFail = true;
    await follower.pass();
    const { reads } = follower.log;
    for (let passes = 0; passes < 5; passes += 1) await follower.pass();
    expect(follower.log.reads).toBe(reads);
    expect(textsOf(await follower.read("a"))).toEqual(["0:k=1", "1:k=2", "2:l=1", "3:l=2"]);
    follower.snapshotsFail = false;
    await follower.settle();
    expect(textsOf(await follower.read("a"))).not.toContain("0:k=1");
  });

  it("is pinned by its forks, whose own records are compacted by themselves", async () => {
    const cluster = new CompactionCluster([1]);
    cluster.create("a");
    cluster.put("a", "x=1");
    cluster.put("a", "x=2");
    cluster.fork("a", "f");
    cluster.put("a", "x=3");
    cluster.put("f", "x=4");
    cluster.put("f", "x=5");
    await cluster.leader.settle();
    expect(textsOf(await cluster.leader.read("a"))).toEqual(["0:x=1", "1:x=2", "2:x=3"]);
    expect(textsOf(await cluster.leader.read("f"))).toEqual(["0:x=1", "1:x=2", "3:x=5"]);
    cluster.run({ kind: "delete", stream: "f" });
    await cluster.leader.settle();
    expect(textsOf(await cluster.leader.read("a"))).toEqual(["2:x=3"]);
  });
});

describe("space", () => {
  it("of trimmed, expired and deleted data comes back with that of compaction, from segments that others live in", async () => {
    const cluster = new CompactionCluster([6]);
    cluster.create("trimmed", undefined);
    cluster.create("deleted", undefined);
    cluster.create("kept", undefined);
    const expiry = { kind: "absolute", atMs: cluster.now + 5 } as const;
    cluster.run({ kind: "create", stream: "expired", closed: false, expiry });
    for (let round = 0; round < 20; round += 1) {
      for (const stream of ["trimmed", "deleted", "expired"]) cluster.put(stream, `${round} ${"x".repeat(100)}`);
      if (round % 5 === 0) cluster.put("kept", `${round}`);
    }
    await cluster.leader.log.roll();
    const before = cluster.leader.log.bytes;
    await cluster.leader.settle();
    expect(cluster.leader.log.bytes).toBe(before);
    cluster.run({ kind: "trim", stream: "trimmed", before: 19 });
    cluster.run({ kind: "delete", stream: "deleted" });
    cluster.now += 10;
    cluster.run({ kind: "tick" });
    await cluster.leader.settle();
    expect(cluster.leader.log.bytes).toBeLessThan(before / 10);
    expect(textsOf(await cluster.leader.read("kept"))).toEqual(["0:=0", "1:=5", "2:=10", "3:=15"]);
    expect((await cluster.leader.read("trimmed")).length).toBe(1);
  });

  it("is not rewritten for a little: nothing that lives is copied again and again", async () => {
    const cluster = new CompactionCluster([4], { ...EAGER, compactionGainShareMin: 0.5 });
    cluster.create("a");
    cluster.create("big", undefined);
    for (let round = 0; round < 40; round += 1) {
      cluster.put("a", `x=${round}`);
      cluster.put("big", `${round} ${"x".repeat(500)}`);
    }
    await cluster.leader.settle();
    expect(cluster.leader.log.rewrites).toBe(0);
  });
});
