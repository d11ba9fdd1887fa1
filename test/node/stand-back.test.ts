/**
 * Nodes that are not to lead while another can (R102): drained by an operator, with a clock that is far from the others'
 * (N50), or with a disk that is full (N59). They let others lead, and no cluster waits for ever because of it.
 */
import { describe, expect, it } from "vitest";
import type { ClusterChange } from "../../log-server/node/cluster/cluster-change.ts";
import type { NodeError } from "../../log-server/node/node-error.ts";
import { SimCluster, type SimClusterOptions } from "../../log-server/sim/sim-cluster.ts";
import { append, create } from "./sim-node.ts";

const HOUR_MS = 3_600_000;
/** Long enough for clocks to be compared, and for what was measured to be forgotten. */
const COMPARED_MS = 10_000;

async function asked(cluster: SimCluster, at: string, change: ClusterChange): Promise<string> {
  return cluster.settle(
    cluster
      .node(at)
      .changeCluster(change)
      .then(
        () => "done",
        (error: NodeError) => error.code,
      ),
  );
}

function others(cluster: SimCluster, name: string): [string, string] {
  return cluster.members.map((member) => member.name).filter((other) => other !== name) as [string, string];
}

describe("a drained node", () => {
  it("hands leadership over, is not led to, and does not come to lead when the leader goes", async () => {
    const cluster = await SimCluster.started();
    const { name: drained } = await cluster.elected();
    const [one, two] = others(cluster, drained);
    expect(await asked(cluster, one, { kind: "drain", node: drained, undo: false })).toBe("done");
    const { name: leader } = await cluster.elected(drained);
    const rest = leader === one ? two : one;
    expect(cluster.node(drained).clusterStatus().standsBack).toEqual(["drained"]);
    await cluster.until(
      () =>
        cluster
          .node(leader)
          .clusterStatus()
          .members.find(({ node }) => node === drained)?.standsBack === true,
      "the leader knows",
    );
    expect(await asked(cluster, rest, { kind: "transfer", node: drained })).toBe("cluster-conflict");
    // It goes on as a follower: with it there is a majority.
    cluster.kill(leader);
    expect((await cluster.elected()).name).toBe(rest);
    await cluster.settle(cluster.propose(drained, create("a")));

    expect(await asked(cluster, rest, { kind: "drain", node: drained, undo: true })).toBe("done");
    await cluster.pass(1_000);
    expect(await asked(cluster, rest, { kind: "transfer", node: drained })).toBe("done");
    expect((await cluster.elected(rest)).name).toBe(drained);
  });

  it("leads all the same where nobody else can, and says that it could not be drained", async () => {
    const cluster = await SimCluster.started();
    const { name: leader } = await cluster.elected();
    const [one, two] = others(cluster, leader);
    expect(await asked(cluster, leader, { kind: "drain", node: one, undo: false })).toBe("done");
    expect(await asked(cluster, leader, { kind: "drain", node: two, undo: false })).toBe("done");
    await cluster.pass(1_000);
    expect(await asked(cluster, leader, { kind: "drain", node: leader, undo: false })).toBe("cluster-conflict");
    expect(cluster.node(leader).clusterStatus().standsBack).toEqual([]);
    cluster.kill(leader);
    await cluster.elected(leader);
    await cluster.settle(cluster.propose(one, create("a")));
  });

  it("that is to be one no more, before another leads, stays as it was when it loses leadership after that", async () => {
    const cluster = await SimCluster.started();
    const { name: leader } = await cluster.elected();
    for (const name of others(cluster, leader)) cluster.pause(name);
    const drained = asked(cluster, leader, { kind: "drain", node: leader, undo: false });
    await cluster.pass(0);
    await cluster.node(leader).changeCluster({ kind: "drain", node: leader, undo: true });
    await drained;
    expect(cluster.node(leader).leads).toBe(false);
    expect(cluster.node(leader).drain.on).toBe(false);
  });

  it("must be one that there is, and be heard; started anew it is as all others", async () => {
    const cluster = await SimCluster.started();
    const { name: leader } = await cluster.elected();
    const [one] = others(cluster, leader);
    expect(await asked(cluster, leader, { kind: "drain", node: "n9", undo: false })).toBe("member-not-found");
    expect(await asked(cluster, leader, { kind: "drain", node: one, undo: false })).toBe("done");
    cluster.kill(one);
    expect(await asked(cluster, leader, { kind: "drain", node: one, undo: false })).toBe("unavailable");
    await cluster.settle(cluster.start(one));
    expect(cluster.node(one).clusterStatus().standsBack).toEqual([]);
  });
});

describe("a clock that is off", () => {
  it.each([HOUR_MS, -5_000])("keeps its node from leading: ahead by %i ms", async (aheadMs) => {
    const events: string[] = [];
    const cluster = await SimCluster.started({ onEvent: (name, code) => events.push(`${name} ${code}`) });
    await cluster.pass(COMPARED_MS);
    const { name: off } = await cluster.elected();
    const [one, two] = others(cluster, off);
    cluster.member(off).aheadMs = aheadMs;
    await cluster.elected(off);
    await cluster.pass(COMPARED_MS);
    expect(events.filter((event) => event.includes("clock-"))).toEqual([`${off} clock-off`]);
    expect(cluster.node(off).clusterStatus().standsBack).toEqual(["clock"]);
    expect(Math.abs(cluster.node(off).status().clockOffMs - aheadMs)).toBeLessThan(100);
    for (const name of [one, two]) {
      expect(cluster.node(name).clusterStatus().standsBack).toEqual([]);
      const seen =
        cluster
          .node(name)
          .clusterStatus()
          .members.find(({ node }) => node === off)?.clockAheadMs ?? 0;
      expect(Math.abs(seen - aheadMs)).toBeLessThan(100);
    }
    cluster.member(off).aheadMs = 0;
    await cluster.pass(COMPARED_MS);
    expect(cluster.node(off).clusterStatus().standsBack).toEqual([]);
    expect(events.at(-1)).toBe(`${off} clock-right`);
  });

  it("is that of the minority: where most are off alike, they go on", async () => {
    const cluster = await SimCluster.started();
    for (const { name } of cluster.members) cluster.member(name).aheadMs = HOUR_MS;
    await cluster.pass(COMPARED_MS);
    const [one, two, right] = cluster.members.map(({ name }) => name) as [string, string, string];
    for (const name of [one, two, right]) expect(cluster.node(name).clusterStatus().standsBack).toEqual([]);
    cluster.member(right).aheadMs = 0;
    await cluster.pass(COMPARED_MS);
    expect(cluster.node(right).clusterStatus().standsBack).toEqual(["clock"]);
    expect([one, two]).toContain((await cluster.elected()).name);
    for (const name of [one, two]) expect(cluster.node(name).clusterStatus().standsBack).toEqual([]);
  });

  it("is not told of from one other's word: of the two that are left either leads", async () => {
    const cluster = await SimCluster.started();
    const { name: leader } = await cluster.elected();
    const [one, two] = others(cluster, leader);
    cluster.member(one).aheadMs = HOUR_MS;
    cluster.member(two).aheadMs = -HOUR_MS;
    cluster.kill(leader);
    await cluster.pass(COMPARED_MS);
    for (const name of [one, two]) expect(cluster.node(name).clusterStatus().standsBack).toEqual([]);
    await cluster.elected();
    await cluster.settle(cluster.propose(one, create("a")));
  });

  it("of every node another keeps nobody from leading", async () => {
    const cluster = await SimCluster.started({ nodes: 5 });
    for (const [place, { name }] of cluster.members.entries()) cluster.member(name).aheadMs = place * HOUR_MS;
    await cluster.pass(COMPARED_MS);
    const standing = cluster.members.filter(({ name }) => cluster.node(name).clusterStatus().standsBack.length === 0);
    expect(standing.map(({ name }) => name)).toEqual(["n3"]);
    for (const gone of ["n3", "n4"]) {
      cluster.kill(gone);
      await cluster.elected(gone);
      await cluster.settle(cluster.propose("n1", create(`without-${gone}`)));
    }
  });
});

describe("a disk that is full", () => {
  const ROOM: SimClusterOptions = {
    capacityBytes: 2_000_000,
    limits: { lowWaterBytes: 500_000, housekeepingEveryMs: 200 },
  };

  async function fill(cluster: SimCluster, name: string): Promise<void> {
    const { disk } = cluster.member(name);
    const ballast = await cluster.settle(disk.open("ballast", "create"));
    await cluster.settle(ballast.allocate((await disk.freeBytes()) - 400_000));
    await cluster.settle(ballast.close());
  }

  it("keeps its node from leading, which takes appends from clients all the same, until there is room", async () => {
    const cluster = await SimCluster.started(ROOM);
    const { name: full } = await cluster.elected();
    await cluster.settle(cluster.propose(full, create("a")));
    await fill(cluster, full);
    await cluster.elected(full);
    expect(cluster.node(full).clusterStatus().standsBack).toEqual(["disk"]);
    const appended = await cluster.settle(cluster.propose(full, append("a", ["x"])));
    expect(appended).toMatchObject({ kind: "appended", firstOffset: 0 });
    await cluster.settle(cluster.member(full).disk.remove("ballast"));
    await cluster.pass(1_000);
    expect(cluster.node(full).clusterStatus().standsBack).toEqual([]);
  });

  it("on every node: one leads, and refuses what it has no room for", async () => {
    const cluster = await SimCluster.started(ROOM);
    const { name: leader } = await cluster.elected();
    await cluster.settle(cluster.propose(leader, create("a")));
    for (const { name } of cluster.members) await fill(cluster, name);
    await cluster.pass(2_000);
    const { name } = await cluster.elected();
    await expect(cluster.settle(cluster.propose(name, append("a", ["x"])))).rejects.toMatchObject({
      code: "disk-full",
    });
    expect(await cluster.settle(cluster.propose(name, { kind: "delete", stream: "a" }))).toEqual({ kind: "done" });
  });
});
