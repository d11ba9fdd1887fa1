/**
 * What nodes come to know of who belongs to the cluster: one that was removed serves nothing any more; who hears no leader turns
 * nobody away; and the feature level is what all members support (N52, N53, P26, P33).
 */
import { describe, expect, it } from "vitest";
import type { Member } from "../../log-server/log/node-identity.ts";
import type { NodeLimits } from "../../log-server/node/limits.ts";
import type { MembersView } from "../../log-server/node/node-parts.ts";
import type { ClusterChange } from "../../log-server/node/cluster/cluster-change.ts";
import type { ClusterMemberStatus } from "../../log-server/node/cluster/cluster-status.ts";
import { decodeStandings, encodeStandings } from "../../log-server/node/cluster/standings.ts";
import { FEATURE_LEVEL_NEWEST } from "../../log-server/streams/feature-level.ts";
import type { Command } from "../../src/wire/command.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";
import { append, create, readAll } from "./sim-node.ts";

type World = { readonly cluster: SimCluster; readonly known: Map<string, MembersView>; readonly events: string[] };

/** Nodes that have each other's disks in the log. */
async function world(nodes = 3, limits: Partial<NodeLimits> = {}): Promise<World> {
  const known = new Map<string, MembersView>();
  const events: string[] = [];
  const cluster = await SimCluster.started({
    nodes,
    limits,
    onKnow: (name, view) => known.set(name, view),
    saysRemoved: (name) => [...known.values()].some(({ isFormerDisk }) => isFormerDisk(`disk-of-${name}`)),
    onEvent: (name, code) => events.push(`${name} ${code}`),
  });
  const { name: leader } = await cluster.elected();
  for (const { name } of cluster.members) {
    const member: Command = { kind: "member-set", node: name, disk: `disk-of-${name}`, host: "h", port: 1 };
    await cluster.settle(cluster.propose(leader, member));
  }
  await cluster.agreed();
  return { cluster, known, events };
}

const MEMBER: ClusterMemberStatus = {
  node: "n1",
  role: "voter",
  leads: false,
  host: undefined,
  port: undefined,
  lag: undefined,
  silentMs: undefined,
  snapshot: undefined,
  standsBack: undefined,
  clockAheadMs: undefined,
  supports: undefined,
};

async function followers(cluster: SimCluster): Promise<[leader: string, one: string, two: string]> {
  const { name: leader } = await cluster.elected();
  return [leader, ...cluster.members.map(({ name }) => name).filter((name) => name !== leader)] as [
    string,
    string,
    string,
  ];
}

describe("a node that was removed", () => {
  it("serves no more, says so, also after a restart", async () => {
    const { cluster, known, events } = await world();
    const [leader, gone, stays] = await followers(cluster);
    await cluster.until(() => cluster.node(leader).machine.featureLevel > 0, "the log has a feature level");
    await cluster.settle(cluster.node(leader).changeCluster({ kind: "remove", node: gone }));
    await cluster.until(() => events.includes(`${gone} removed`), "it knows");
    await cluster.until(() => cluster.member(gone).node?.phase === "removed", "it serves no more");
    expect(known.get(stays)?.isFormerDisk(`disk-of-${gone}`)).toBe(true);
    await expect(cluster.settle(cluster.propose(gone, create("a")))).rejects.toMatchObject({ code: "node-removed" });
    await cluster.settle(cluster.propose(stays, create("a")));

    cluster.kill(gone);
    void cluster.start(gone).catch(() => undefined);
    await cluster.until(() => cluster.member(gone).node?.phase === "removed", "it knows after a restart");
    expect(cluster.failures).toEqual([]);
  });

  it("tells first whoever asked it for its removal, however soon it knows", async () => {
    const { cluster } = await world(3, { factsEveryMs: 1 });
    const [, gone] = await followers(cluster);
    await cluster.settle(cluster.node(gone).changeCluster({ kind: "remove", node: gone }));
    await cluster.until(() => cluster.member(gone).node?.phase === "removed", "it serves no more");
  });
});

describe("a node that hears no leader", () => {
  it("turns nobody away for another disk until it has heard what was decided since", async () => {
    const { cluster, known } = await world(5);
    const [leader, cut, other] = await followers(cluster);
    expect(known.get(cut)?.upToDate).toBe(true);
    cluster.isolate(cut);
    await cluster.until(() => known.get(cut)?.upToDate === false, "it knows that it knows too little");
    // It misses that another was replaced.
    cluster.kill(other);
    await cluster.settle(cluster.node(leader).changeCluster({ kind: "replace", node: other, address: undefined }));
    expect(known.get(cut)?.members.find(({ node }) => node === other)?.disk).not.toBe("");
    cluster.network.healAll();
    await cluster.until(() => known.get(cut)?.upToDate === true, "it is up to date again");
    expect(known.get(cut)?.members.find(({ node }) => node === other)?.disk).toBe("");
  });
});

describe("a disk that was replaced", () => {
  it("gets no vote from who hears no leader, nor gives one: what was acknowledged stays (I3, I5, P33)", async () => {
    const cluster = await SimCluster.started({ nodes: 3, spares: 0 });
    const [leader, lost, other] = await followers(cluster);
    await cluster.settle(cluster.propose(leader, create("a")));
    await cluster.pass(5_000);
    // Its machine is out of reach; another takes its place, and votes.
    cluster.isolate(lost);
    await cluster.settle(cluster.node(leader).changeCluster({ kind: "replace", node: lost, address: undefined }));
    cluster.kill(lost);
    const member = cluster.member(lost);
    const { disk, kv, diskId, origin, known } = member;
    cluster.wipe(lost);
    cluster.network.healAll();
    await cluster.settle(cluster.start(lost));
    const isVoter = ({ role }: { readonly role: string }): boolean => role === "voter";
    await cluster.until(() => cluster.node(leader).clusterStatus().members.every(isVoter), "the new one votes");
    await cluster.agreed();
    cluster.isolate(other);
    await cluster.settle(cluster.propose(leader, append("a", ["acknowledged"])));
    // The machine comes back, and reaches only who was cut off. Together they would be a majority, with neither having the record.
    cluster.kill(lost);
    Object.assign(member, { disk, kv, diskId, origin, known });
    cluster.isolate(leader);
    cluster.network.heal(lost, other);
    cluster.network.heal(other, lost);
    void cluster.start(lost).catch(() => undefined);
    await cluster.pass(60_000);
    expect(cluster.node(other).leads || cluster.node(lost).leads).toBe(false);
    expect(await cluster.settle(readAll(cluster.node(leader), "a"))).toEqual(["acknowledged"]);
  });
});

describe("how far the others are", () => {
  it("is known at every node, as the leader says; without a leader at none", async () => {
    const { cluster } = await world();
    const [leader, dead, follower] = await followers(cluster);
    cluster.kill(dead);
    await cluster.pass(5_000);
    const told = (await cluster.settle(cluster.node(follower).clusterView())).members;
    const byName = Object.fromEntries(told.map((member) => [member.node, member]));
    expect(byName[dead]?.silentMs).toBeGreaterThan(2_000);
    expect(byName[follower]).toMatchObject({ lag: 0, standsBack: false });
    expect(byName[leader]).toMatchObject({ leads: true, lag: undefined });
    cluster.kill(leader);
    await cluster.pass(5_000);
    const alone = (await cluster.settle(cluster.node(follower).clusterView())).members;
    expect(alone.every(({ lag }) => lag === undefined)).toBe(true);
  });

  it("is read from any bytes, or is not", () => {
    const n1 = { lag: 7, silentMs: 12, standsBack: true, snapshot: undefined };
    const n2 = { lag: 9, silentMs: 0, standsBack: false, snapshot: { bytes: 1_000, sentBytes: 0 } };
    const members = [
      { node: "n1", ...n1 },
      { node: "n2", ...n2 },
    ];
    const bytes = encodeStandings({ changing: true, members: members.map((one) => ({ ...MEMBER, ...one })) });
    expect(decodeStandings(bytes)).toEqual({ changing: true, members: new Map(Object.entries({ n1, n2 })) });
    for (let length = 0; length < bytes.length; length += 1)
      expect(decodeStandings(bytes.subarray(0, length))).toBeUndefined();
    expect(decodeStandings(new Uint8Array([255, 255, 3]))).toBeUndefined();
  });
});

describe("a node that is to be removed", () => {
  it("is not while those that are left could agree on nothing", async () => {
    const { cluster } = await world();
    const [leader, dead, live] = await followers(cluster);
    cluster.kill(dead);
    await cluster.pass(5_000);
    const asked = cluster.settle(cluster.node(leader).changeCluster({ kind: "remove", node: live }));
    await expect(asked).rejects.toMatchObject({ code: "cluster-conflict", message: expect.stringContaining(dead) });
    await cluster.settle(cluster.propose(leader, create("a")));
    await cluster.settle(cluster.node(leader).changeCluster({ kind: "remove", node: dead }));
    await cluster.settle(cluster.propose(leader, create("b")));
  });
});

describe("a change of who votes", () => {
  it("is under way until those that vote then can do without the leader (R37)", async () => {
    const cluster = await SimCluster.started({ spares: 0 });
    const [leader, other] = await followers(cluster);
    await cluster.until(() => cluster.node(leader).machine.members.length === 3, "the members are known");
    cluster.kill(other);
    cluster.wipe(other);
    await cluster.settle(cluster.node(leader).changeCluster({ kind: "replace", node: other, address: undefined }));
    void cluster.start(other);
    const isOver = (): boolean => {
      const { changing, members } = cluster.node(leader).clusterStatus();
      return !changing && members.every(({ role }) => role === "voter");
    };
    await cluster.until(isOver, "it is over");
    cluster.kill(leader);
    const { name: next } = await cluster.elected();
    await cluster.settle(cluster.propose(next, create("a")));
  });

  it("is over at every node once the leader says so, also at one that took all of it in at once, or came by it", async () => {
    const cluster = await SimCluster.started({ spares: 2 });
    const [leader, away] = await followers(cluster);
    cluster.kill(away);
    for (const [node, votes] of [
      ["n4", true],
      ["n5", false],
    ] as const) {
      void cluster.start(node);
      const add = { kind: "add", node, address: cluster.addressOf(node), votes } as const;
      await cluster.settle(cluster.node(leader).changeCluster(add));
      await cluster.until(() => {
        const { changing, members } = cluster.node(leader).clusterStatus();
        return !changing && members.some(({ node: name, role }) => name === node && role !== "joining");
      }, `${node} takes part`);
      await cluster.until(() => cluster.member(node).node?.phase === "serving", `${node} serves`);
    }
    await cluster.settle(cluster.start(away));
    await cluster.agreed();
    for (const name of [leader, away, "n5"])
      expect(await cluster.settle(cluster.node(name).clusterView())).toMatchObject({ changing: false });
  });
});

describe("a node that is to be replaced", () => {
  it("is not while it answers: asked for again, that would cost the new disk its place (P33)", async () => {
    const { cluster, known } = await world();
    const [leader, other] = await followers(cluster);
    const replace = { kind: "replace", node: other, address: undefined } as const;
    const disk = known.get(leader)?.members.find(({ node }) => node === other)?.disk;
    const asked = cluster.settle(cluster.node(leader).changeCluster(replace));
    await expect(asked).rejects.toMatchObject({ code: "member-alive", message: expect.stringContaining(other) });
    expect(known.get(leader)?.members.find(({ node }) => node === other)?.disk).toBe(disk);
    cluster.kill(other);
    await cluster.settle(cluster.node(leader).changeCluster(replace));
    expect(known.get(leader)?.members.find(({ node }) => node === other)?.disk).toBe("");
    // Nobody has come yet: what was cut short may be asked for again.
    await cluster.settle(cluster.node(leader).changeCluster(replace));
  });

  it("and does not vote, does not vote afterwards, either", async () => {
    const cluster = await SimCluster.started({ spares: 1 });
    const [leader] = await followers(cluster);
    const node = "n4";
    void cluster.start(node);
    const change = (asked: ClusterChange): Promise<void> => cluster.settle(cluster.node(leader).changeCluster(asked));
    await change({ kind: "add", node, address: cluster.addressOf(node), votes: false });
    const shown = (): unknown =>
      cluster
        .node(leader)
        .clusterStatus()
        .members.find((member) => member.node === node)?.role;
    await cluster.until(() => cluster.member(node).node?.phase === "serving", "it serves");
    expect(shown()).toBe("learner");
    cluster.kill(node);
    cluster.wipe(node);
    await change({ kind: "replace", node, address: undefined });
    await cluster.settle(cluster.start(node));
    await cluster.agreed();
    // Long enough to be given a vote, if it was to have one.
    await cluster.pass(30_000);
    expect(shown()).toBe("learner");
    expect(cluster.node(node).phase).toBe("serving");
  });

  it("keeps the place of its new disk, whatever was meant for the old one and comes late (P33, W170)", async () => {
    const cluster = await SimCluster.started({ spares: 0 });
    const [leader, other, third] = await followers(cluster);
    const memberOf = (name: string): Member | undefined =>
      cluster.node(leader).machine.members.find(({ node }) => node === name);
    await cluster.until(() => (memberOf(other)?.disk ?? "") !== "", "the members are known");
    const { disk: was, ...address } = memberOf(other) as Member;
    cluster.kill(other);
    cluster.wipe(other);
    const replace = { kind: "replace", node: other, address: undefined } as const;
    await cluster.settle(cluster.node(leader).changeCluster(replace));
    void cluster.start(other);
    await cluster.until(() => memberOf(other)?.disk !== "", "it has come");
    const known = memberOf(other);
    // By way of a node that led once.
    for (const command of ["member-set", "member-remove"] as const) {
      const late: Command =
        command === "member-set" ? { kind: command, ...address, was, disk: "" } : { kind: command, node: other, was };
      expect(await cluster.settle(cluster.propose(third, late))).toMatchObject({ code: "condition-failed" });
    }
    expect(memberOf(other)).toEqual(known);
  });

  it("and was not made a member again, for that was cut short, is made one (P33)", async () => {
    let onSend = (_from: string): void => undefined;
    const cluster = await SimCluster.started({ nodes: 5, spares: 0, onSend: (from) => onSend(from) });
    const [leader, other] = await followers(cluster);
    const memberOf = (at: string): Member | undefined =>
      cluster.member(at).node?.machine.members.find(({ node }) => node === other);
    await cluster.until(() => (memberOf(leader)?.disk ?? "") !== "", "the members are known");
    cluster.kill(other);
    cluster.wipe(other);
    const replace = { kind: "replace", node: other, address: undefined } as const;
    cluster
      .node(leader)
      .changeCluster(replace)
      .catch(() => undefined);
    // Its disk is forgotten, and what comes next is not said to anyone any more.
    onSend = (from) => {
      if (from === leader && memberOf(leader)?.disk === "") cluster.kill(leader);
    };
    await cluster.until(() => cluster.member(leader).node === undefined, "the leader is killed");
    const { name: next } = await cluster.elected();
    void cluster.start(other);
    await cluster.until(() => (memberOf(next)?.disk ?? "") !== "", "it has come");
    const known = memberOf(next);
    const asked = cluster.settle(cluster.node(next).changeCluster(replace));
    await expect(asked).rejects.toMatchObject({ code: "member-alive" });
    expect(memberOf(next)).toEqual(known);
    const roleOf = (): unknown =>
      cluster
        .node(next)
        .clusterStatus()
        .members.find(({ node }) => node === other)?.role;
    await cluster.until(() => roleOf() === "voter", "it votes");
  });

  it("and has come and answers, is not taken for lost if it is cut off soon after this was asked for again (P33)", async () => {
    const cluster = await SimCluster.started({ spares: 0 });
    const [leader, other] = await followers(cluster);
    const diskOf = (name: string): string | undefined =>
      cluster.node(leader).machine.members.find(({ node }) => node === name)?.disk;
    await cluster.until(() => (diskOf(other) ?? "") !== "", "the members are known");
    cluster.kill(other);
    cluster.wipe(other);
    const replace = { kind: "replace", node: other, address: undefined } as const;
    await cluster.settle(cluster.node(leader).changeCluster(replace));
    await cluster.settle(cluster.start(other));
    const { diskId } = cluster.member(other);
    // The operator did not hear that it was done.
    const asked = cluster.node(leader).changeCluster(replace);
    cluster.clock.schedule(1_000, () => cluster.network.cut(other, leader));
    await expect(cluster.settle(asked)).rejects.toMatchObject({ code: "member-alive" });
    expect(diskOf(other)).toBe(diskId);
  });

  it("is not where it leads itself by now, and says so", async () => {
    const { cluster } = await world();
    const [leader] = await followers(cluster);
    const replace = { kind: "replace", node: leader, address: undefined } as const;
    const asked = cluster.settle(cluster.node(leader).changeCluster(replace));
    await expect(asked).rejects.toMatchObject({ code: "member-alive", message: expect.stringContaining(leader) });
  });

  it("and has come, is not taken for lost before it could begin to answer", async () => {
    const cluster = await SimCluster.started({ spares: 0 });
    const [leader, other] = await followers(cluster);
    const diskOf = (name: string): string | undefined =>
      cluster.node(leader).machine.members.find(({ node }) => node === name)?.disk;
    await cluster.until(() => diskOf(other) !== undefined, "the members are known");
    cluster.kill(other);
    cluster.wipe(other);
    const replace = { kind: "replace", node: other, address: undefined } as const;
    await cluster.settle(cluster.node(leader).changeCluster(replace));
    const started = cluster.start(other);
    await cluster.until(() => diskOf(other) !== "", "it has come");
    // It is long in beginning.
    cluster.pause(other);
    await cluster.pass(3_000);
    cluster.clock.schedule(2_000, () => cluster.resume(other));
    const { diskId } = cluster.member(other);
    expect(diskOf(other)).toBe(diskId);
    // The operator did not hear that it was done.
    const asked = cluster.settle(cluster.node(leader).changeCluster(replace));
    await expect(asked).rejects.toMatchObject({ code: "member-alive" });
    await cluster.settle(started);
    expect(diskOf(other)).toBe(diskId);
  });
});

describe("the feature level", () => {
  it("is what all members support, from the beginning of a cluster", async () => {
    const { cluster, known } = await world();
    await cluster.until(
      () => cluster.members.every(({ name }) => known.get(name)?.featureLevel === FEATURE_LEVEL_NEWEST),
      "all know it",
    );
    const [leader, one] = await followers(cluster);
    const shown = cluster.node(leader).clusterStatus();
    expect(shown.featureLevel).toBe(FEATURE_LEVEL_NEWEST);
    expect(shown.members.map(({ supports }) => supports)).toEqual([1, 2, 3].map(() => FEATURE_LEVEL_NEWEST));
    // Done already, it is no more than that.
    await cluster.settle(cluster.node(one).changeCluster({ kind: "upgrade" }));
  });

  it("is not raised while it is not known what somebody supports", async () => {
    const { cluster } = await world();
    const [leader, one] = await followers(cluster);
    cluster.kill(one);
    await cluster.pass(5_000);
    const asked = cluster.settle(cluster.node(leader).changeCluster({ kind: "upgrade" }));
    await expect(asked).rejects.toMatchObject({ code: "cluster-conflict", message: expect.stringContaining(one) });
  });

  it("is raised as soon as a node that was started a moment ago has said what it supports", async () => {
    const { cluster } = await world();
    const [leader, one] = await followers(cluster);
    cluster.kill(one);
    await cluster.pass(5_000);
    await cluster.settle(cluster.start(one));
    await cluster.settle(cluster.node(leader).changeCluster({ kind: "upgrade" }));
    expect(cluster.node(leader).clusterStatus().featureLevel).toBe(FEATURE_LEVEL_NEWEST);
  });

  it("is no less than what a command needs, wherever that is asked for: an older node would read it in the log, and stop (P26)", async () => {
    const cluster = await SimCluster.started({ nodes: 3 });
    const [leader, one] = await followers(cluster);
    await cluster.settle(cluster.propose(leader, { kind: "feature-level", level: 2 }));
    await cluster.until(() => cluster.node(one).machine.featureLevel === 2, "the follower knows it, too");
    const put: Command = {
      kind: "app-put",
      app: "a",
      version: 1,
      tasks: [{ task: "0.0", inputs: ["in"] }],
      description: "",
      options: "",
      shape: [],
    };
    const hidden: Command = { kind: "transaction", conditions: [], operations: [put] };
    for (const name of [leader, one])
      for (const command of [put, hidden])
        await expect(cluster.settle(cluster.propose(name, command))).rejects.toMatchObject({
          code: "upgrade-needed",
          message: expect.stringContaining("cluster upgrade"),
        });
    expect(cluster.node(leader).clusterStatus().featureLevel).toBe(2);
    await cluster.settle(cluster.node(leader).changeCluster({ kind: "upgrade" }));
    expect(await cluster.settle(cluster.propose(leader, put))).toMatchObject({ kind: "app-epoch" });
  });

  it.each(["task-statement", "task-trim"] as const)("is that of a newer kind of command, too: %s", async (kind) => {
    const cluster = await SimCluster.started({ nodes: 3 });
    const [leader] = await followers(cluster);
    await cluster.settle(cluster.propose(leader, { kind: "feature-level", level: 4 }));
    const by = { app: "a", task: "0.0", epoch: 1, replica: "r" };
    const command: Command =
      kind === "task-trim"
        ? { kind, ...by, stream: "in", incarnation: 1, before: 1 }
        : { kind: "transaction", conditions: [], operations: [{ kind, ...by }] };
    await expect(cluster.settle(cluster.propose(leader, command))).rejects.toMatchObject({ code: "upgrade-needed" });
    await cluster.settle(cluster.node(leader).changeCluster({ kind: "upgrade" }));
    expect(await cluster.settle(cluster.propose(leader, command))).toMatchObject({ code: "app-not-found" });
  });

  it("that this version does not know stops its nodes before they apply what follows, for good", async () => {
    const { cluster } = await world();
    const [leader] = await followers(cluster);
    const level = FEATURE_LEVEL_NEWEST + 1;
    cluster.propose(leader, { kind: "feature-level", level }).catch(() => undefined);
    await cluster.until(() => cluster.failures.length > 1, "a majority has stopped");
    expect(String(cluster.failures[0]?.cause)).toContain(`the cluster is at feature level ${level}`);
  });
});
