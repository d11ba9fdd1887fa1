/**
 * Nodes that are behind what the others' logs have: the leader ships them a snapshot and its sealed segments, and entries go
 * on from there. What was appended is readable there as everywhere, and the state is the same (I10).
 */
import { describe, expect, it } from "vitest";
import type { NodeLimits } from "../../log-server/node/limits.ts";
import { TRANSFER_LIMITS } from "../../log-server/node/catch-up/transfer-limits.ts";
import type { NodeStatus } from "../../log-server/node/node-status.ts";
import { CALM } from "../../src/sim/network.ts";
import { asDigest, rowHash } from "../../src/record/row.ts";
import { Prng } from "../../src/lib/prng.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { append, asAppended, create, readAll } from "./sim-node.ts";
import { SimCluster, type SimClusterOptions } from "../../log-server/sim/sim-cluster.ts";

const LIMITS: Partial<NodeLimits> = {
  imageEveryMs: 200,
  imageEveryBytes: 8 * 1024,
  snapshotEveryBytes: 16 * 1024,
  housekeepingEveryMs: 300,
  shipmentKeptMs: 2_000,
};

type Ship = {
  readonly cluster: SimCluster;
  readonly behind: string;
  readonly values: string[];
  readonly notes: string[];
};

function value(at: number): string {
  return `value ${at} ${"x".repeat(300)}`;
}

const VALUES = Array.from({ length: 60 }, (_, at) => value(at));

async function appendAt(cluster: SimCluster, name: string, values: readonly string[], stream = "s"): Promise<void> {
  for (const one of values) asAppended(await cluster.settle(cluster.propose(name, append(stream, [one]))));
}

/** Of the sealed segments some in the middle were dropped: whoever has nothing behind them needs more than entries. */
function hasHole(cluster: SimCluster, name: string): boolean {
  const files = cluster.member(name).disk.files();
  const sequences = files.flatMap((path) => (path.endsWith(".index") ? [Number(/(\d+)\.index$/.exec(path)?.[1])] : []));
  return sequences.some((sequence, at) => at > 0 && sequence !== (sequences[at - 1] as number) + 1);
}

async function trimmed(cluster: SimCluster, leader: string): Promise<void> {
  // A stream that is deleted leaves segments without anything that lives.
  await appendAt(cluster, leader, VALUES, "gone");
  await cluster.settle(cluster.propose(leader, { kind: "delete", stream: "gone" }));
  for (let at = 0; !cluster.up.every(({ name }) => hasHole(cluster, name)); at += 1) {
    expect(at, "the log is trimmed").toBeLessThan(100);
    await appendAt(cluster, leader, VALUES.slice(0, 4), "filler");
    await cluster.pass(400);
  }
}

/** A node is down from near the beginning on, and behind what the log has when it comes back. */
async function laggard(options: SimClusterOptions = {}, wiped = false): Promise<Ship> {
  const notes: string[] = [];
  const cluster = await SimCluster.started({
    ...options,
    limits: { ...LIMITS, ...options.limits },
    note: (line) => notes.push(line),
  });
  const leader = (await cluster.elected()).name;
  for (const name of ["s", "gone", "filler"]) await cluster.settle(cluster.propose(leader, create(name)));
  const values = [...VALUES];
  await appendAt(cluster, leader, values.slice(0, 5));
  await cluster.agreed();
  const behind = cluster.members.find(({ name }) => name !== leader)?.name as string;
  cluster.kill(behind, { kind: "all" });
  if (wiped) Object.assign(cluster.member(behind), { disk: new SimDisk(), kv: new SimKv() });
  await appendAt(cluster, leader, values.slice(5));
  await trimmed(cluster, leader);
  return { cluster, behind, values, notes };
}

async function expectSame({ cluster, values, notes }: Ship): Promise<void> {
  await cluster.agreed();
  for (const { name, node } of cluster.up) {
    expect(await cluster.settle(readAll(cluster.node(name), "s")), name).toEqual(values);
    expect(node?.status().damage, name).toEqual([]);
    const rows = [...(node?.machine.rows() ?? [])];
    expect(asDigest(rows.reduce((sum, [key, value]) => sum + rowHash(key, value), 0n)), name).toBe(
      node?.machine.digest(),
    );
  }
  expect(new Set(cluster.up.map(({ node }) => node?.machine.digest())).size, "I10").toBe(1);
  expect(cluster.failures, notes.join("\n")).toEqual([]);
}

function told({ notes }: Ship, code: string): number {
  return notes.filter((line) => line.includes(` ${code} `)).length;
}

/** Lets time pass until the node has received some, but not all. */
async function halfWay({ cluster, behind }: Ship): Promise<void> {
  await cluster.until(() => {
    const { bytes = 0, receivedBytes = 0 } = cluster.member(behind).node?.status().receiving ?? {};
    return receivedBytes > bytes / 3 && receivedBytes < bytes;
  }, "a part of the snapshot is received");
}

/** The node is started; that it serves is for later. */
function begin({ cluster, behind }: Ship): void {
  cluster.start(behind).catch(() => undefined);
}

/** So that shipping takes some seconds. */
const SLOW = { ...CALM, bytesPerSecond: 300_000 };

describe("a node that is behind what the log has", () => {
  it("has a snapshot shipped, starts anew with it, and follows", async () => {
    const ship = await laggard();
    const { cluster, behind } = ship;
    await cluster.settle(cluster.start(behind));
    await expectSame(ship);
    expect(told(ship, "snapshot-sent")).toBe(1);
    expect(told(ship, "node-starts-anew")).toBe(1);
    expect(cluster.node(behind).status().receiving).toBeUndefined();
    const { name } = await cluster.elected();
    ship.values.push(value(-1));
    await appendAt(cluster, name, [value(-1)]);
    await expectSame(ship);
    // It is all it needs to lead.
    cluster.kill(name, { kind: "all" });
    const other = await cluster.elected();
    await appendAt(cluster, other.name, [value(-2)]);
    ship.values.push(value(-2));
    await cluster.settle(cluster.start(name));
    await expectSame(ship);
  });

  it("is shipped to by a leader that can commit nothing without it", async () => {
    const ship = await laggard({ limits: { snapshotEveryBytes: 1 } });
    const { cluster, behind, values } = ship;
    const leader = (await cluster.elected()).name;
    const third = cluster.members.find(({ name }) => name !== leader && name !== behind)?.name as string;
    // In the segment that is being written: what a snapshot has, and behind it what cannot be committed.
    await appendAt(cluster, leader, [value(-1)]);
    await cluster.pass(1_000);
    cluster.kill(third, { kind: "all" });
    const pending = cluster.propose(leader, append("s", [value(-2)]));
    pending.catch(() => undefined);
    await cluster.pass(100);
    await cluster.settle(cluster.start(behind));
    await appendAt(cluster, (await cluster.elected()).name, [value(-3)]);
    expect(told(ship, "snapshot-sent")).toBe(1);
    values.push(value(-1), value(-2), value(-3));
    await expectSame(ship);
  });

  it("may have nothing at all", async () => {
    const ship = await laggard({}, true);
    await ship.cluster.settle(ship.cluster.start(ship.behind));
    expect(told(ship, "node-starts-anew")).toBe(1);
    await expectSame(ship);
    const after = ship.cluster.node(ship.behind);
    ship.cluster.kill(ship.behind);
    expect((await ship.cluster.settle(ship.cluster.start(ship.behind))).position).toBeGreaterThanOrEqual(
      after.position,
    );
    await expectSame(ship);
  });

  it("catches up while appends go on, and tells how far it is", async () => {
    const ship = await laggard({ faults: SLOW });
    const { cluster, behind, values } = ship;
    const leader = await cluster.elected();
    begin(ship);
    await halfWay(ship);
    const [sending] = leader.node?.status().sending ?? [];
    expect(sending).toMatchObject({ node: behind, bytes: cluster.node(behind).status().receiving?.bytes });
    expect(sending?.sentBytes).toBeGreaterThan(0);
    const shown = leader.node?.clusterStatus().members.find(({ node }) => node === behind);
    expect(shown?.snapshot).toEqual({ bytes: sending?.bytes, sentBytes: sending?.sentBytes });
    expect(leader.node?.status().shipping?.sentBytes).toBeGreaterThan(0);
    expect(cluster.node(behind).status().shipping?.receivedBytes).toBeGreaterThan(0);
    const [waiting] = leader.node?.status().waitingForSnapshots ?? [];
    expect(waiting?.node).toBe(behind);
    expect(waiting?.waitingMs).toBeGreaterThan(waiting?.idleMs ?? Number.POSITIVE_INFINITY);
    for (let at = 100; at < 130; at += 1) {
      await appendAt(cluster, leader.name, [value(at)]);
      values.push(value(at));
    }
    await cluster.until(() => told(ship, "node-starts-anew") === 1, "it has received the snapshot");
    await cluster.until(() => cluster.up.length === 3, "it starts anew");
    await expectSame(ship);
    expect(leader.node?.status()).toMatchObject({ sending: [], waitingForSnapshots: [] });
    expect(leader.node?.status().shipping).toMatchObject({ sent: 1, failed: 0 });
    expect(told(ship, "snapshot-installed")).toBe(1);
  });

  it("is known to be waiting for longer and longer while nothing comes through, whatever becomes of a try", async () => {
    const ship = await laggard({ faults: SLOW });
    const { cluster, behind } = ship;
    const leader = await cluster.elected();
    const status = (): NodeStatus => cluster.node(leader.name).status();
    const idleMs = (): number => status().waitingForSnapshots[0]?.idleMs ?? 0;
    begin(ship);
    await halfWay(ship);
    cluster.isolate(behind);
    const { giveUpMs } = TRANSFER_LIMITS;
    await cluster.until(
      () => idleMs() > 1.5 * giveUpMs,
      "nothing of it came for longer than a try lasts",
      2 * giveUpMs,
    );
    expect(status().shipping).toMatchObject({ sent: 0, failed: 1 });
    expect(status().waitingForSnapshots.map(({ node }) => node)).toEqual([behind]);
    cluster.network.healAll();
    await cluster.until(() => told(ship, "node-starts-anew") === 1, "it has received the snapshot");
    await cluster.until(() => cluster.up.length === 3, "it starts anew");
    expect(status().waitingForSnapshots).toEqual([]);
    await expectSame(ship);
  });

  it("goes on where it was when the connection breaks, and when the leader starts anew", async () => {
    const ship = await laggard({ faults: SLOW });
    const { cluster, behind } = ship;
    const leader = (await cluster.elected()).name;
    begin(ship);
    await halfWay(ship);
    for (let times = 0; times < 4; times += 1) {
      cluster.network.reset(leader, behind);
      await cluster.pass(60);
    }
    expect(told(ship, "snapshot-receiving")).toBe(1);
    const [third] = cluster.members.filter(({ name }) => name !== leader && name !== behind);
    const before = cluster.node(behind).status().receiving?.receivedBytes ?? 0;
    cluster.kill(leader, { kind: "all" });
    cluster.kill(third?.name ?? "", { kind: "all" });
    await cluster.pass(500);
    // That it leads again is likely only because the third comes late.
    await cluster.settle(cluster.start(leader), 200).catch(() => undefined);
    await cluster.settle(cluster.start(third?.name ?? ""));
    await cluster.until(() => told(ship, "node-starts-anew") === 1, "it has received the snapshot");
    await cluster.until(() => cluster.up.length === 3, "it starts anew");
    expect(before).toBeGreaterThan(0);
    await expectSame(ship);
  });

  it("has another leader's snapshot when leadership changes meanwhile", async () => {
    const ship = await laggard({ faults: SLOW });
    const { cluster } = ship;
    const leader = (await cluster.elected()).name;
    begin(ship);
    await halfWay(ship);
    cluster.kill(leader, { kind: "all" });
    const other = await cluster.elected(leader);
    await cluster.until(() => told(ship, "node-starts-anew") === 1, "it has received a snapshot");
    await cluster.until(() => cluster.up.length === 2, "it starts anew");
    expect(ship.notes.filter((line) => line.includes(`${other.name} snapshot-sent`)).length).toBe(1);
    expect(told(ship, "snapshot-receiving")).toBeGreaterThanOrEqual(2);
    await cluster.settle(cluster.start(leader));
    await expectSame(ship);
  });

  it("loses its power again and again while it receives and installs", async () => {
    const ship = await laggard({ seed: 5 });
    const { cluster, behind } = ship;
    const prng = new Prng(77);
    let crashes = 0;
    // The first ones end while it receives; one of the later while it installs, for there are more calls to that than 15.
    for (let lives = 0; lives < 12 || told(ship, "log-recovered") < 16; lives += 1) {
      begin(ship);
      cluster.killAt(behind, 1 + prng.below(lives < 8 ? 15 : 60));
      await cluster.pass(3_000);
      if (cluster.member(behind).node === undefined) crashes += 1;
      else cluster.kill(behind, { kind: "random", prng });
    }
    await cluster.settle(cluster.start(behind));
    expect(crashes).toBeGreaterThan(7);
    expect(told(ship, "snapshot-received")).toBeGreaterThan(0);
    await expectSame(ship);
  });

  it("comes there over a network that loses, repeats and reorders", async () => {
    const faults = {
      ...CALM,
      delayMsMax: 5,
      lossChance: 0.03,
      duplicateChance: 0.03,
      reorderChance: 0.05,
      reorderMsMax: 20,
    };
    const ship = await laggard({ faults, seed: 9 });
    await ship.cluster.settle(ship.cluster.start(ship.behind));
    expect(told(ship, "snapshot-sent")).toBeGreaterThan(0);
    await expectSame(ship);
  });
});
