/**
 * How nodes come to a cluster: one founds, when nobody can have anything to lose, and whoever crashes on the way goes on
 * (P33: a disk that was lost founds nothing, and is not taken for the one that was known).
 */
import { describe, expect, it } from "vitest";
import {
  createIdentity,
  joinCluster,
  type Member,
  type NodeIdentity,
  readIdentity,
} from "../../log-server/log/node-identity.ts";
import { findCluster } from "../../log-server/node/cluster/founding.ts";
import {
  answerOfMember,
  decodeClusterAnswer,
  encodeClusterAnswer,
} from "../../log-server/node/cluster/founding-codec.ts";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import { PeerCalls } from "../../log-server/node/calls/peer-calls.ts";
import { Prng } from "../../src/lib/prng.ts";
import { SimClock } from "../../src/sim/clock.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimNetwork } from "../../src/sim/network.ts";
import { everyCrashPoint } from "../sim/crash-points.ts";

type Waits = { readonly reason: string; readonly nodes: readonly string[] };

type Node = {
  readonly name: string;
  disk: SimDisk;
  identity: NodeIdentity | undefined;
  waits: Waits | undefined;
  /** Of the newest life; that of an earlier one counts for nothing. */
  life: number;
};

class World {
  readonly clock = new SimClock();
  readonly prng: Prng;
  readonly network: SimNetwork;
  readonly nodes = new Map<string, Node>();

  constructor(seed = 1) {
    this.prng = new Prng(seed);
    this.network = new SimNetwork({ clock: this.clock, prng: this.prng.fork("network") });
  }

  node(name: string): Node {
    const known = this.nodes.get(name) ?? { name, disk: new SimDisk(), identity: undefined, waits: undefined, life: 0 };
    this.nodes.set(name, known);
    return known;
  }

  /** As a server does: what the disk says, or else what the others do. Ends with the plug of the disk. */
  start(name: string, names: readonly string[]): void {
    const node = this.node(name);
    node.life += 1;
    const { life, disk } = node;
    node.identity = undefined;
    node.waits = undefined;
    const link = this.network.join(name);
    const entropy = this.prng.fork(`${name} ${life}`);
    const parts = {
      nodeName: name,
      logId: 0,
      clock: this.clock,
      entropy: { bytes: (length: number) => entropy.bytes(length) },
      limits: NODE_LIMITS,
      link,
      observer: {
        proposed: () => undefined,
        synced: () => undefined,
        event: (_code: string, detail: Readonly<Record<string, unknown>>) => {
          if (node.life === life) node.waits = detail as Waits;
        },
      },
    };
    const work = async (): Promise<void> => {
      const read = await readIdentity(disk, name);
      if (!read.ok) throw new Error(read.error.message);
      let identity = read.value;
      if (identity === undefined) {
        const created = await createIdentity(disk, name, parts.entropy, false);
        if (!created.ok) throw new Error(created.error.message);
        identity = created.value;
      }
      if (identity.clusterId === "") {
        const peers = names.map((node) => ({ node, host: "127.0.0.1", port: 1 }));
        identity = await joinCluster(disk, identity, await findCluster({ ...parts, diskId: identity.diskId, peers }));
      }
      if (node.life !== life) return;
      node.identity = identity;
      const calls = new PeerCalls(parts);
      const { clusterId, founders } = identity;
      calls.handle("cluster-of", async () => [answerOfMember(clusterId, founders ?? [], false, 0)]);
      link.listen({
        message: (from, _lane, bytes) => calls.message(from, bytes),
        reachable: () => undefined,
        unreachable: (peer) => calls.unreachable(peer),
        room: () => undefined,
      });
    };
    work().catch((error: unknown) => {
      if (!disk.plugPulled) throw error;
    });
  }

  /** The power goes; what was not synced may be there, or not. */
  kill(name: string): void {
    const node = this.node(name);
    node.life += 1;
    this.network.leave(name);
    node.disk = node.disk.crash({ kind: "random", prng: this.prng });
  }

  wipe(name: string): void {
    this.kill(name);
    this.node(name).disk = new SimDisk();
  }

  async pass(milliseconds: number): Promise<void> {
    const end = this.clock.monotonic() + milliseconds;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.clock.nextDueMs;
      if (next === undefined || next > end) break;
      this.clock.advanceToNext();
    }
  }
}

const THREE = ["n1", "n2", "n3"];

async function founded(seed?: number): Promise<World> {
  const world = new World(seed);
  for (const name of THREE) world.start(name, THREE);
  await world.pass(5_000);
  return world;
}

function clustersOf(world: World): Set<string | undefined> {
  return new Set(THREE.map((name) => world.node(name).identity?.clusterId));
}

describe("founding", () => {
  it("gives all the same cluster and the same founders, each with its disk", async () => {
    const world = await founded();
    const [first] = THREE.map((name) => world.node(name).identity);
    expect(first?.clusterId).toMatch(/^[0-9a-f]{32}$/);
    expect(first?.founders?.map(({ node }) => node)).toEqual(THREE);
    for (const name of THREE) {
      const { identity } = world.node(name);
      expect(identity).toMatchObject({ clusterId: first?.clusterId, founders: first?.founders });
      expect(first?.founders?.find(({ node }) => node === name)?.disk).toBe(identity?.diskId);
    }
  });

  it("waits for the last of those who were named", async () => {
    const world = new World();
    world.start("n1", THREE);
    world.start("n2", THREE);
    await world.pass(60_000);
    expect(world.node("n1").identity).toBeUndefined();
    expect(world.node("n1").waits).toMatchObject({ reason: expect.stringContaining("do not answer"), nodes: ["n3"] });
    world.start("n3", THREE);
    await world.pass(5_000);
    expect(clustersOf(world).size).toBe(1);
    expect(clustersOf(world)).not.toContain(undefined);
  });

  it("waits while one was told of other peers", async () => {
    const world = new World();
    for (const name of THREE) world.start(name, name === "n2" ? ["n1", "n2", "n3", "n4"] : THREE);
    await world.pass(60_000);
    expect(world.node("n1").waits).toEqual({ reason: "it was told of other peers", nodes: ["n2"] });
    expect(clustersOf(world)).toEqual(new Set([undefined]));
    world.kill("n2");
    world.start("n2", THREE);
    await world.pass(5_000);
    expect(clustersOf(world)).not.toContain(undefined);
  });

  it("is not begun again by a node that lost its disk, and it is no member any more", async () => {
    for (const lost of THREE) {
      const world = await founded();
      const before = clustersOf(world);
      world.wipe(lost);
      world.start(lost, THREE);
      await world.pass(60_000);
      expect(world.node(lost).identity).toBeUndefined();
      expect(world.node(lost).waits?.reason).toBe("they have a cluster, of which this node is no member");
      // Nor when two of three are empty: the third has what was acknowledged.
      const other = THREE.find((name) => name !== lost) as string;
      world.wipe(other);
      world.start(other, THREE);
      await world.pass(60_000);
      const third = THREE.find((name) => name !== lost && name !== other) as string;
      expect(new Set([world.node(third).identity?.clusterId])).toEqual(before);
      expect([world.node(lost).identity, world.node(other).identity]).toEqual([undefined, undefined]);
    }
  });

  it("goes on after crashes at any moment, and is done once", async () => {
    let crashes = 0;
    for (let seed = 1; seed <= 60; seed += 1) {
      const world = new World(seed);
      const drawn = new Prng(seed);
      const seen = new Set<string>();
      for (const name of THREE) world.start(name, THREE);
      for (let round = 0; round < 6; round += 1) {
        await world.pass(drawn.below(400));
        for (const { identity } of world.nodes.values()) if (identity !== undefined) seen.add(identity.clusterId);
        const name = drawn.pick(THREE);
        world.kill(name);
        crashes += 1;
        if (drawn.chance(0.5)) await world.pass(drawn.below(1_000));
        world.start(name, THREE);
      }
      await world.pass(10_000);
      for (const id of clustersOf(world)) seen.add(id ?? "none");
      expect([...seen], `seed ${seed}`).toHaveLength(1);
      expect(seen).not.toContain("none");
    }
    expect(crashes).toBe(360);
  });
});

describe("joining", () => {
  it("is durable whole or not at all, wherever the power goes", async () => {
    const base = new SimDisk();
    const created = await createIdentity(base, "n1", new Prng(1), false);
    if (!created.ok) throw new Error(created.error.message);
    const founders = [{ node: "n1", disk: created.value.diskId, host: "h", port: 1 }];
    const tally = await everyCrashPoint({
      base,
      begin: () => ({ joined: false }),
      work: async (disk, progress) => {
        await joinCluster(disk, created.value, { clusterId: "c", founders });
        progress.joined = true;
      },
      verify: async (disk, { joined }, where) => {
        const read = await readIdentity(disk, "n1");
        const found = read.ok ? read.value : undefined;
        const after = { ...created.value, clusterId: "c", founders };
        expect(joined ? [after] : [created.value, after], where).toContainEqual(found);
      },
    });
    expect(tally.crashes).toBeGreaterThan(10);
  });
});

describe("the answers", () => {
  it("come back as they were said, and what is cut is refused", () => {
    const member: Member = { node: "n1", disk: "d", host: "h", port: 4438 };
    for (const answer of [
      { kind: "empty", disk: "d", names: THREE },
      { kind: "founded", cluster: "c", member: true, position: 7, founders: [member] },
    ] as const) {
      const bytes = encodeClusterAnswer(answer);
      expect(decodeClusterAnswer(bytes)).toEqual(answer);
      for (let length = 0; length < bytes.length; length += 1)
        expect(decodeClusterAnswer(bytes.subarray(0, length))).toBeUndefined();
    }
  });
});
