/** The loop of one node: what is answered when, and what is there after restarts, faults and expiries. */
import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import { NodeError } from "../../log-server/node/node-error.ts";
import { NO_OBSERVER } from "../../log-server/node/observer.ts";
import { FEATURE_LEVEL_NEWEST } from "../../log-server/streams/feature-level.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";
import { append, asAppended, create, readAll, startSimNode, streamOf } from "./sim-node.ts";

const SECTOR_BYTES = 512;

describe("appending", () => {
  it("assigns dense offsets in log order and reads back what was appended (I7)", async () => {
    const { node } = await startSimNode();
    await node.propose(create("a"));
    const first = asAppended(await node.propose(append("a", ["one", "two"])));
    const second = asAppended(await node.propose(append("a", ["three"])));
    expect([first.firstOffset, first.nextOffset, second.firstOffset, second.nextOffset]).toEqual([0, 2, 2, 3]);
    expect(await readAll(node, "a")).toEqual(["one", "two", "three"]);
  });

  it("puts what is proposed in one turn into one entry, and what comes during its write into the next", async () => {
    const { node } = await startSimNode();
    await node.propose(create("a"));
    const before = node.status().lastIndex;
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, place) => node.propose(append("a", [String(place)]))),
    );
    expect(node.status().lastIndex).toBe(before + 1);
    expect(answers.map((answer) => asAppended(answer).firstOffset)).toEqual(
      Array.from({ length: 100 }, (_, place) => place),
    );
  });

  it("answers a refused command with the refusal, and changes nothing (I9)", async () => {
    const { node } = await startSimNode();
    const digest = node.machine.digest();
    expect(await node.propose(append("missing", ["x"]))).toMatchObject({ kind: "rejected", code: "stream-not-found" });
    expect(node.machine.streamCount).toBe(0);
    expect(node.machine.digest()).not.toBe(digest);
  });

  it("refuses a batch over the bound before it reaches the log", async () => {
    const { node } = await startSimNode({ limits: { batchBytesMax: 100 } });
    await node.propose(create("a"));
    await expect(node.propose(append("a", ["x".repeat(200)]))).rejects.toMatchObject({ code: "batch-too-large" });
    await expect(
      node.propose({ kind: "transaction", conditions: [], operations: [append("a", ["x".repeat(200)])] }),
    ).rejects.toMatchObject({ code: "batch-too-large" });
  });

  it("refuses what its queue has no room for as overloaded, and goes on (I15)", async () => {
    const { node } = await startSimNode({ limits: { proposalsMax: 3 } });
    await node.propose(create("a"));
    const answers = await Promise.allSettled(Array.from({ length: 10 }, () => node.propose(append("a", ["x"]))));
    const refused = answers.filter((answer) => answer.status === "rejected");
    expect(refused.length).toBe(7);
    for (const answer of refused) expect(answer.reason).toMatchObject({ code: "overloaded" });
    expect(asAppended(await node.propose(append("a", ["y"]))).firstOffset).toBe(3);
  });
});

describe("a node that is alone", () => {
  it("begins at the newest feature level, and has nobody to wait for when it is to rise (P26)", async () => {
    const { node } = await startSimNode();
    await node.propose(create("a"));
    expect(node.clusterStatus().featureLevel).toBe(FEATURE_LEVEL_NEWEST);
    const before = node.position;
    await node.changeCluster({ kind: "upgrade" });
    expect(node.position).toBe(before);
    await expect(node.changeCluster({ kind: "remove", node: "n1" })).rejects.toMatchObject({
      code: "cluster-conflict",
      message: expect.stringContaining("alone"),
    });
  });

  it("rises from a level of before when it is asked to, and not by itself", async () => {
    const cluster = await SimCluster.started({ nodes: 1 });
    const { name, disk, kv } = cluster.member("n1");
    await cluster.settle(cluster.propose(name, { kind: "feature-level", level: 1 }));
    await cluster.settle(cluster.node(name).stop());
    const { node } = await startSimNode({ disk, kv });
    await node.propose(create("a"));
    expect(node.clusterStatus().featureLevel).toBe(1);
    await node.changeCluster({ kind: "upgrade" });
    expect(node.clusterStatus().featureLevel).toBe(FEATURE_LEVEL_NEWEST);
  });
});

describe("restarts", () => {
  it("has everything again after a clean stop, without applying anything twice", async () => {
    const first = await startSimNode();
    await first.node.propose(create("a"));
    for (let place = 0; place < 50; place += 1) await first.node.propose(append("a", [`record ${place}`]));
    const digest = first.node.machine.digest();
    const position = first.node.position;
    await first.node.stop();
    const replayed: unknown[] = [];
    const second = await startSimNode({
      ...first,
      observer: {
        proposed: () => undefined,
        synced: () => undefined,
        event: (code, detail) => replayed.push([code, detail]),
      },
    });
    expect(second.node.position).toBe(position + 1);
    expect(await readAll(second.node, "a")).toEqual(Array.from({ length: 50 }, (_, place) => `record ${place}`));
    expect(second.node.machine.stream("a")?.nextOffset).toBe(50);
    expect(typeof digest).toBe("bigint");
  });

  it("comes back from the log alone when the image is lost (the image is a cache)", async () => {
    const first = await startSimNode();
    await first.node.propose(create("a"));
    for (let place = 0; place < 200; place += 1) await first.node.propose(append("a", [`record ${place}`]));
    await first.node.stop();
    await first.kv.clear();
    const second = await startSimNode({ disk: first.disk, clock: first.clock });
    expect(await readAll(second.node, "a")).toEqual(Array.from({ length: 200 }, (_, place) => `record ${place}`));
    await second.node.stop();
    const third = await startSimNode(second);
    expect(third.node.machine.stream("a")?.nextOffset).toBe(200);
  });

  it("says which entries are lost where the log ends before what was applied", async () => {
    const first = await startSimNode();
    await first.node.propose(create("a"));
    for (let place = 0; place < 20; place += 1) await first.node.propose(append("a", [`record ${place}`]));
    const lastIndex = first.node.position;
    await first.node.stop();
    const { disk } = first;
    const isUsed = (path: string): boolean => path.endsWith(".log") && disk.bytes(path).some((byte) => byte !== 0);
    const path = disk.files().findLast(isUsed) as string;
    const sectors = Math.ceil(disk.bytes(path).findLastIndex((byte) => byte !== 0) / SECTOR_BYTES);
    for (let sector = Math.floor(sectors / 2); sector < sectors; sector += 1) disk.zeroSector(path, sector);
    const told: unknown[] = [];
    const observer = { ...NO_OBSERVER, event: (code: string, detail?: object) => told.push([code, detail]) };
    const second = await startSimNode({ ...first, observer });
    const left = await readAll(second.node, "a");
    expect(left).toEqual(Array.from({ length: left.length }, (_, place) => `record ${place}`));
    expect(left.length).toBeLessThan(20);
    expect(told).toContainEqual(["log-end-lost", { firstIndex: lastIndex - 19 + left.length, lastIndex }]);
  });

  it("gives a producer's retry its first answer, across a restart (I8)", async () => {
    const first = await startSimNode();
    await first.node.propose(create("a"));
    const producer = { id: "p", epoch: 0, sequence: 0 };
    const answer = asAppended(await first.node.propose(append("a", ["x", "y"], { producer })));
    await first.node.propose(append("a", ["z"]));
    await first.node.stop();
    const { node } = await startSimNode(first);
    const retry = asAppended(await node.propose(append("a", ["x", "y"], { producer })));
    expect(retry).toMatchObject({
      duplicate: true,
      firstOffset: answer.firstOffset,
      nextOffset: answer.nextOffset,
      tail: 3,
    });
    expect(await readAll(node, "a")).toEqual(["x", "y", "z"]);
  });

  it("survives losing power at any time with all that was acknowledged (I5)", async () => {
    const first = await startSimNode();
    await first.node.propose(create("a"));
    for (let place = 0; place < 100; place += 1) await first.node.propose(append("a", [`record ${place}`]));
    const disk = first.disk.crash({ kind: "none" });
    const kv = first.kv.crash();
    const second = await startSimNode({ disk, kv, clock: first.clock });
    expect(await readAll(second.node, "a")).toEqual(Array.from({ length: 100 }, (_, place) => `record ${place}`));
  });

  it("writes snapshots, restores from them, and drops segments with nothing live below", async () => {
    const limits = { snapshotEveryBytes: 1, imageEveryBytes: 4 * 1024, housekeepingEveryMs: 1_000 };
    const first = await startSimNode({ limits, segmentBytes: 8 * 1024 });
    await first.node.propose(create("old", { retention: { maxBytes: 4 * 1024 } }));
    await first.node.propose(create("kept"));
    await first.node.propose(append("kept", ["still here"]));
    for (let place = 0; place < 400; place += 1)
      await first.node.propose(append("old", [`${place} ${"x".repeat(100)}`]));
    const segments = (): string[] => first.disk.files().filter((path) => path.endsWith(".log"));
    const before = segments();
    for (let round = 0; round < 6; round += 1) {
      first.clock.advance(1_000);
      await settle();
    }
    expect(streamOf(first.node, "old").firstOffset).toBeGreaterThan(0);
    const after = segments();
    expect(before.some((path) => !after.includes(path))).toBe(true);
    expect(await readAll(first.node, "kept")).toEqual(["still here"]);
    const tail = await readAll(first.node, "old", streamOf(first.node, "old").firstOffset);
    await first.node.stop();
    await first.kv.clear();
    const second = await startSimNode({ disk: first.disk, clock: first.clock, limits, segmentBytes: 8 * 1024 });
    expect(await readAll(second.node, "old", streamOf(second.node, "old").firstOffset)).toEqual(tail);
    expect(await readAll(second.node, "kept")).toEqual(["still here"]);
    const trimmed = await second.node.read(streamOf(second.node, "old"), 0, { maxBytes: 100 });
    expect(trimmed).toMatchObject({ ok: false, error: { code: "offset-trimmed" } });
  });
});

describe("a disk that fails", () => {
  it("fails for good when a sync fails: nothing is acknowledged then or later (I5, P30)", async () => {
    const { node, disk } = await startSimNode();
    await node.propose(create("a"));
    const failed = new Promise<NodeError>((resolve) => node.onFailure(resolve));
    disk.arm({ operation: "sync", nth: 1, effect: "io" });
    await expect(node.propose(append("a", ["x"]))).rejects.toMatchObject({ code: "outcome-unknown" });
    expect(await failed).toBeInstanceOf(NodeError);
    // Whoever asks later hears of it all the same.
    expect(await new Promise<NodeError>((resolve) => node.onFailure(resolve))).toMatchObject({ code: "unavailable" });
    await expect(node.propose(append("a", ["y"]))).rejects.toMatchObject({ code: "unavailable" });
    await expect(node.barrier()).rejects.toMatchObject({ code: "unavailable" });
    expect(node.phase).toBe("failed");
    await node.stop();
  });

  it("refuses to grow below the low-water mark, lets deletes through, and takes appends again when there is room", async () => {
    const limits = { lowWaterBytes: 1_000_000, housekeepingEveryMs: 1_000 };
    const disk = new SimDisk({ capacityBytes: 3_000_000 });
    const { node, clock } = await startSimNode({ limits, disk });
    await node.propose(create("a"));
    await node.propose(create("b"));
    const ballast = await disk.open("ballast", "create");
    await ballast.allocate(2_000_000);
    clock.advance(1_000);
    await settle();
    expect(node.status().diskFull).toBe(true);
    await expect(node.propose(append("a", ["x"]))).rejects.toMatchObject({ code: "disk-full" });
    expect(await node.propose({ kind: "delete", stream: "b" })).toEqual({ kind: "done" });
    await ballast.close();
    await disk.remove("ballast");
    clock.advance(1_000);
    await settle();
    expect(asAppended(await node.propose(append("a", ["x"]))).firstOffset).toBe(0);
  });

  it("gets its space back when what fills the disk is deleted, without a restart", async () => {
    const limits = { lowWaterBytes: 200_000, housekeepingEveryMs: 1_000 };
    const disk = new SimDisk({ capacityBytes: 1_200_000 });
    const { node, clock } = await startSimNode({ limits, disk, segmentBytes: 64 * 1024 });
    await node.propose(create("big"));
    let appended = 0;
    await expect(
      (async () => {
        for (; appended < 10_000; appended += 1) {
          await node.propose(append("big", ["x".repeat(4_000)]));
          if (appended % 4 === 0) clock.advance(1_000);
        }
      })(),
    ).rejects.toMatchObject({ code: "disk-full" });
    expect(appended).toBeGreaterThan(50);
    expect(node.phase).toBe("serving");
    await node.propose({ kind: "delete", stream: "big" });
    await node.propose({ kind: "tick" });
    for (let round = 0; round < 8; round += 1) {
      clock.advance(1_000);
      await settle();
    }
    expect(node.status().diskFull).toBe(false);
    await node.propose(create("next"));
    expect(asAppended(await node.propose(append("next", ["y"]))).firstOffset).toBe(0);
    await node.stop();
  });

  it("waits for room when the disk is full all the same, and loses and repeats nothing (P44)", async () => {
    const limits = { lowWaterBytes: 0, housekeepingEveryMs: 1_000 };
    const disk = new SimDisk({ capacityBytes: 400_000 });
    const { node, clock } = await startSimNode({ limits, disk, segmentBytes: 64 * 1024 });
    await node.propose(create("a"));
    // The spares are ready: they take no more of what is measured now.
    await settle();
    const ballast = await disk.open("ballast", "create");
    await ballast.allocate((await disk.freeBytes()) - 1_000);
    const answers: Promise<unknown>[] = [];
    const sizes = Array.from({ length: 60 }, (_, place) => `${place} ${"x".repeat(4_000)}`);
    for (const value of sizes) {
      answers.push(node.propose(append("a", [value])).catch((error: unknown) => error));
      await settle();
    }
    expect(node.status().diskFull).toBe(true);
    expect(node.phase).toBe("serving");
    await ballast.close();
    await disk.remove("ballast");
    for (let round = 0; round < 4; round += 1) {
      clock.advance(1_000);
      await settle();
    }
    const results = await Promise.all(answers);
    const accepted = sizes.filter((_, place) => !(results[place] instanceof NodeError));
    for (const result of results) if (result instanceof NodeError) expect(result.code).toBe("disk-full");
    expect(accepted.length).toBeLessThan(sizes.length);
    expect(await readAll(node, "a", 0, 100_000)).toEqual(accepted);
    await node.stop();
  });

  it("refuses to start with a term older than its log: it may have voted since (I1, P33)", async () => {
    let sim = await startSimNode();
    for (let start = 0; start < 3; start += 1) {
      await sim.node.propose(create(`a${start}`));
      await sim.node.stop();
      sim = await startSimNode(sim);
    }
    await sim.node.stop();
    const { disk } = sim;
    expect(disk.zeroSector("logs/0/hard-state", 0)).toBe(true);
    expect(disk.staleSector("logs/0/hard-state", 8)).toBe(true);
    await expect(startSimNode(sim)).rejects.toThrow("hard-state-damaged");
  });

  it("serves what is known below damage to a head, and says of nothing that it ends there (I13)", async () => {
    const { node, disk, kv, clock } = await startSimNode();
    await node.propose(create("a"));
    for (const value of ["one", "two", "three"]) await node.propose(append("a", [value]));
    const path = disk.files().find((name) => name.endsWith("1.log")) as string;
    // In a head a stream's name stands behind its length.
    const bytes = Buffer.from(disk.bytes(path));
    const headOfThree = bytes.lastIndexOf("\u0001a");
    const headOfTwo = bytes.lastIndexOf("\u0001a", headOfThree - 1);
    // The process dies without an image; then the head of the second append rots.
    const crashed = disk.crash({ kind: "all" });
    crashed.flip(path, headOfTwo);
    const second = await startSimNode({ disk: crashed, kv: kv.crash(), clock });
    expect(second.node.tailKnown).toBe(false);
    expect(await readAll(second.node, "a")).toEqual(["one"]);
    await expect(second.node.barrier()).rejects.toMatchObject({ code: "damaged" });
    await expect(second.node.propose(append("a", ["four"]))).rejects.toMatchObject({ code: "damaged" });
    await second.node.stop();
  });

  it("serves every record but the damaged one (I13)", async () => {
    const { node, disk, kv, clock } = await startSimNode();
    await node.propose(create("a"));
    for (const value of ["before", "the damaged one", "after"]) await node.propose(append("a", [value]));
    await node.stop();
    const path = disk
      .files()
      .find((name) => name.endsWith(".log") && find(disk.bytes(name), "the damaged one") >= 0) as string;
    disk.flip(path, find(disk.bytes(path), "the damaged one"));
    const second = await startSimNode({ disk, kv, clock });
    const stream = streamOf(second.node, "a");
    expect(await second.node.read(stream, 1, { maxBytes: 1 })).toMatchObject({ ok: false, error: { code: "damaged" } });
    expect(await second.node.read(stream, 0, { maxBytes: 1 })).toMatchObject({ ok: true });
    expect(await readAll(second.node, "a", 2)).toEqual(["after"]);
  });
});

describe("expiry", () => {
  it("is an entry's effect: a read past the deadline waits for it (I14)", async () => {
    const { node, clock } = await startSimNode();
    await node.propose(create("a", { expiry: { kind: "sliding", ttlSeconds: 10 } }));
    clock.jump(9_999);
    await node.barrier();
    expect(node.machine.stream("a")).toBeDefined();
    clock.jump(1);
    expect(node.machine.stream("a")).toBeDefined();
    await node.barrier();
    expect(node.machine.stream("a")).toBeUndefined();
  });

  it("fires on an idle log, by a tick", async () => {
    const { node, clock } = await startSimNode();
    await node.propose(create("a", { expiry: { kind: "absolute", atMs: clock.now() + 5_000 } }));
    clock.advance(5_001);
    await settle();
    expect(node.machine.stream("a")).toBeUndefined();
  });

  it("starts anew with a read, by one command for many reads", async () => {
    const { node, clock } = await startSimNode();
    await node.propose(create("a", { expiry: { kind: "sliding", ttlSeconds: 10 } }));
    const before = node.status().lastIndex;
    clock.advance(8_000);
    for (let reads = 0; reads < 100; reads += 1) node.touch("a");
    clock.advance(1_000);
    await settle();
    expect(node.status().lastIndex).toBe(before + 1);
    clock.advance(8_000);
    await settle();
    await node.barrier();
    expect(node.machine.stream("a")).toBeDefined();
    clock.advance(3_000);
    await settle();
    expect(node.machine.stream("a")).toBeUndefined();
  });
});

describe("readers", () => {
  it("wakes those who wait for a stream, and only those", async () => {
    const { node } = await startSimNode();
    await node.propose(create("a"));
    await node.propose(create("b"));
    const stop = new AbortController();
    let woken = "";
    void node.changed(streamOf(node, "a").id, stop.signal).then(() => (woken += "a"));
    void node.changed(streamOf(node, "b").id, stop.signal).then(() => (woken += "b"));
    await node.propose(append("b", ["x"]));
    await settle();
    expect(woken).toBe("b");
    stop.abort();
    await settle();
    expect(woken).toBe("ba");
    expect(node.status().waitingReaders).toBe(0);
  });

  it("bounds how many may wait (I15)", async () => {
    const { node } = await startSimNode({ limits: { waitersMax: 2 } });
    await node.propose(create("a"));
    const { id } = streamOf(node, "a");
    const stop = new AbortController();
    void node.changed(id, stop.signal);
    void node.changed(id, stop.signal);
    expect(() => node.changed(id, stop.signal)).toThrow(NodeError);
    stop.abort();
  });

  it("reads a fork through its source, to the very byte where it left it", async () => {
    const { node } = await startSimNode();
    await node.propose(create("source"));
    await node.propose(append("source", ["zero", "one", "two"]));
    await node.propose(append("source", ["three"]));
    const source = streamOf(node, "source");
    await node.propose(
      create("fork", { fork: { source: "source", incarnation: source.incarnation, offset: 2, partialBytes: 2 } }),
    );
    await node.propose(append("fork", ["mine"]));
    await node.propose(append("source", ["four"]));
    expect(await readAll(node, "fork")).toEqual(["zero", "one", "tw", "mine"]);
    expect(await readAll(node, "source")).toEqual(["zero", "one", "two", "three", "four"]);
    await node.propose({ kind: "delete", stream: "source" });
    expect(await readAll(node, "fork")).toEqual(["zero", "one", "tw", "mine"]);
  });

  it("applies a transaction in all its streams at one position, or in none (I11)", async () => {
    const { node } = await startSimNode();
    await node.propose(create("a"));
    await node.propose(create("b"));
    const done = await node.propose({
      kind: "transaction",
      conditions: [],
      operations: [append("a", ["1"]), append("b", ["1"])],
    });
    expect(done.kind).toBe("transaction");
    const refused = await node.propose({
      kind: "transaction",
      conditions: [{ kind: "next-offset", stream: "b", offset: 7 }],
      operations: [append("a", ["2"]), append("b", ["2"])],
    });
    expect(refused).toMatchObject({ kind: "rejected" });
    expect([await readAll(node, "a"), await readAll(node, "b")]).toEqual([["1"], ["1"]]);
  });
});

/** Lets everything run that needs no time: disks, promises. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 2_000; turn += 1) await Promise.resolve();
}

function find(bytes: Uint8Array, text: string): number {
  return Buffer.from(bytes).indexOf(Buffer.from(utf8(text)));
}
