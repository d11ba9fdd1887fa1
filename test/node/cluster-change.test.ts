/** What an operator asks of the cluster, on its way to the leader and back; and what becomes of it on simulated nodes. */
import { describe, expect, it } from "vitest";
import {
  type ClusterChange,
  decodeChange,
  encodeChange,
  encodeOutcome,
  takeOutcome,
} from "../../log-server/node/cluster/cluster-change.ts";
import { NodeError } from "../../log-server/node/node-error.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";

const ADDRESS = { host: "h", port: 4438 };

describe("changes as bytes", () => {
  it.each<ClusterChange>([
    { kind: "add", node: "n4", address: ADDRESS, votes: true },
    { kind: "add", node: "n4", address: ADDRESS, votes: false },
    { kind: "remove", node: "n4" },
    { kind: "replace", node: "n4", address: ADDRESS },
    { kind: "replace", node: "n4", address: undefined },
    { kind: "transfer", node: "n4" },
    { kind: "transfer", node: undefined },
    { kind: "drain", node: "n4", undo: false },
    { kind: "drain", node: "n4", undo: true },
    { kind: "upgrade" },
  ])("come back: %j", (change) => {
    const bytes = encodeChange(change);
    expect(decodeChange(bytes)).toEqual(change);
    for (let length = 0; length < bytes.length; length += 1)
      expect(decodeChange(bytes.subarray(0, length))).toBeUndefined();
  });

  it("tell the leader's refusal as it was", () => {
    expect(() => takeOutcome(encodeOutcome(undefined))).not.toThrow();
    const refusal = new NodeError("member-not-found", "n9 is no member");
    expect(() => takeOutcome(encodeOutcome(refusal))).toThrow(expect.objectContaining({ code: "member-not-found" }));
    expect(() => takeOutcome(Uint8Array.of(9))).toThrow(expect.objectContaining({ code: "outcome-unknown" }));
  });
});

async function refusal(cluster: SimCluster, at: string, change: ClusterChange): Promise<string> {
  const asked = cluster.node(at).changeCluster(change);
  return cluster.settle(
    asked.then(
      () => "done",
      (error: NodeError) => error.code,
    ),
  );
}

describe("changes", () => {
  it("are done by the leader, wherever they are asked for, and done twice do nothing more", async () => {
    const cluster = await SimCluster.started({ nodes: 5 });
    const { name: leader } = await cluster.elected();
    const [one, two] = cluster.members.map(({ name }) => name).filter((name) => name !== leader) as [string, string];
    expect(await refusal(cluster, one, { kind: "remove", node: two })).toBe("done");
    const shown = (name: string): string[] =>
      cluster
        .node(name)
        .clusterStatus()
        .members.map(({ node }) => node);
    const stay = cluster.members.map(({ name }) => name).filter((name) => name !== two);
    await cluster.until(() => stay.every((name) => shown(name).join() === stay.join()), "all that stay know it");
    expect(await refusal(cluster, one, { kind: "remove", node: two })).toBe("member-not-found");
    expect(await refusal(cluster, one, { kind: "add", node: two, address: ADDRESS, votes: true })).toBe("done");
    expect(await refusal(cluster, one, { kind: "add", node: two, address: ADDRESS, votes: true })).toBe("done");
    await cluster.until(
      () =>
        cluster
          .node(leader)
          .clusterStatus()
          .members.every(({ role }) => role === "voter"),
      "it votes again",
    );
    expect(cluster.node(one).clusterStatus().members).toHaveLength(5);
  });

  it("are kept: a node that starts anew from its image knows who votes (R91)", async () => {
    const cluster = await SimCluster.started({ nodes: 3, limits: { imageEveryMs: 100 } });
    const { name: leader } = await cluster.elected();
    const gone = cluster.members.map(({ name }) => name).find((name) => name !== leader) as string;
    expect(await refusal(cluster, leader, { kind: "remove", node: gone })).toBe("done");
    const stay = cluster.members.map(({ name }) => name).filter((name) => name !== gone);
    const shown = (name: string): string[] =>
      cluster
        .node(name)
        .clusterStatus()
        .members.map(({ node }) => node);
    await cluster.until(() => stay.every((name) => shown(name).join() === stay.join()), "those that stay know it");
    for (const { name } of cluster.members) await cluster.settle(cluster.node(name).stop());
    for (const { name } of cluster.members) cluster.kill(name);
    await cluster.settle(Promise.all(stay.map((name) => cluster.start(name))));
    for (const name of stay)
      expect(
        cluster
          .node(name)
          .clusterStatus()
          .members.map(({ node }) => node),
      ).toEqual([...stay].sort());
  });

  it("hand leadership to whom it is to go to, and are refused where they cannot be", async () => {
    const cluster = await SimCluster.started();
    const { name: leader } = await cluster.elected();
    const [one, two] = cluster.members.map(({ name }) => name).filter((name) => name !== leader) as [string, string];
    expect(await refusal(cluster, two, { kind: "transfer", node: one })).toBe("done");
    expect((await cluster.elected(leader)).name).toBe(one);
    expect(await refusal(cluster, two, { kind: "transfer", node: "n9" })).toBe("member-not-found");
    expect(await refusal(cluster, two, { kind: "remove", node: one })).toBe("cluster-conflict");
    expect(await refusal(cluster, two, { kind: "remove", node: "n9" })).toBe("member-not-found");
    expect(await refusal(cluster, two, { kind: "replace", node: "n9", address: undefined })).toBe("member-not-found");
  });

  it("that no majority confirms are not said to be done", async () => {
    const cluster = await SimCluster.started();
    const { name: leader } = await cluster.elected();
    for (const { name } of cluster.members) if (name !== leader) cluster.isolate(name);
    const code = await refusal(cluster, leader, { kind: "add", node: "n9", address: ADDRESS, votes: true });
    expect(["outcome-unknown", "not-leader", "unavailable"]).toContain(code);
  });
});
