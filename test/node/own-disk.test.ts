/** A leader whose own disk hangs or is full: others commit what it cannot apply, and go on without it. */
import { expect, it } from "vitest";
import { append, asAppended, create, readAll } from "./sim-node.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";

it("hands over where its disk hangs, and what it took is answered once that is known", async () => {
  const cluster = await SimCluster.started();
  const old = await cluster.elected();
  await cluster.settle(cluster.propose(old.name, create("a")));
  cluster.holdDisk(old.name);
  const answer = cluster.propose(old.name, append("a", ["x"]));
  const next = await cluster.elected(old.name);
  expect(asAppended(await cluster.settle(cluster.propose(next.name, append("a", ["y"])), 1_000)).firstOffset).toBe(1);
  // It cannot vote or acknowledge, so it leads no more whatever happens.
  await cluster.pass(5_000);
  expect(cluster.leader?.name).not.toBe(old.name);
  cluster.releaseDisk(old.name);
  expect(asAppended(await cluster.settle(answer, 1_000)).firstOffset).toBe(0);
  await cluster.agreed();
  for (const { name } of cluster.members)
    expect(await cluster.settle(readAll(cluster.node(name), "a"))).toEqual(["x", "y"]);
});

it("hands over where its disk is full, and comes back when there is room", async () => {
  const cluster = await SimCluster.started();
  const old = await cluster.elected();
  await cluster.settle(cluster.propose(old.name, create("a")));
  for (let nth = 1; nth <= 40; nth += 1) old.disk.arm({ operation: "allocate", effect: "no-space", nth });
  const value = "x".repeat(4_000);
  // Until there is no room for what it has proposed; the others have room for it.
  for (let written = 0; !old.node?.status().diskFull; written += 1) {
    cluster.propose(old.name, append("a", [value])).catch(() => undefined);
    await cluster.pass(20);
    expect(written).toBeLessThan(100);
  }
  const next = await cluster.elected(old.name);
  await cluster.settle(cluster.propose(next.name, append("a", ["y"])), 1_000);
  expect(old.disk.faultsInjected.get("no-space")).toBeGreaterThan(0);
  await cluster.agreed();
  expect(new Set(cluster.up.map(({ node }) => node?.machine.digest())).size, "I4").toBe(1);
});
