/** State digests between nodes: a node that a majority contradicts stops serving; without a majority it is an alarm (I10). */
import { describe, expect, it } from "vitest";
import { append, asAppended, create } from "./sim-node.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";

const NAMES = ["n1", "n2", "n3"];

async function cluster(nodes = 3): Promise<{ cluster: SimCluster; events: string[] }> {
  const events: string[] = [];
  const limits = { digestEveryEntries: 8, digestCompareMs: 200 };
  const started = await SimCluster.started({ nodes, limits, note: (line) => events.push(line) });
  const leader = (await started.elected()).name;
  await started.settle(started.propose(leader, create("s")));
  return { cluster: started, events };
}

async function appendSome(sim: SimCluster): Promise<void> {
  for (let at = 0; at < 20; at += 1) {
    await sim.until(() => sim.leader?.node?.phase === "serving", "there is a leader");
    asAppended(await sim.settle(sim.propose(sim.leader?.name as string, append("s", ["x"]))));
  }
}

/** From now on this node's state is another than the log's. */
function corrupt(sim: SimCluster, name: string, by: bigint): void {
  const { machine } = sim.node(name);
  const digest = machine.digest.bind(machine);
  Object.assign(machine, { digest: () => digest() + by });
}

describe("state digests", () => {
  it("agree, and say up to where", async () => {
    const { cluster: sim, events } = await cluster();
    await appendSome(sim);
    await sim.pass(2_000);
    for (const { node } of sim.up)
      expect(node?.status().digests).toMatchObject({
        agreedAt: expect.toSatisfy((at: number) => at >= 16) as number,
        differences: 0,
      });
    expect(events.some((line) => line.includes("state-differs"))).toBe(false);
  });

  it.each(["leader", "follower"])("of one node that differ end it, be it the %s", async (role) => {
    const { cluster: sim, events } = await cluster();
    const leader = (await sim.elected()).name;
    const name = role === "leader" ? leader : (NAMES.find((one) => one !== leader) as string);
    corrupt(sim, name, 1n);
    const node = sim.node(name);
    for (let at = 0; at < 12; at += 1) await sim.settle(sim.propose(leader, append("s", ["x"])).catch(() => undefined));
    await sim.until(() => node.phase === "failed", "it stops serving");
    await expect(node.propose(append("s", ["y"]))).rejects.toMatchObject({ code: "unavailable" });
    expect(sim.failures.map(String).join()).toContain(`${name} failed`);
    // The others go on.
    sim.kill(name);
    await appendSome(sim);
    expect(sim.up.map((one) => one.node?.phase)).toEqual(["serving", "serving"]);
    expect(events.some((line) => line.includes("state-differs"))).toBe(true);
  });

  it("that all differ, or of two nodes, are an alarm and end nobody", async () => {
    for (const nodes of [2, 3]) {
      const { cluster: sim, events } = await cluster(nodes);
      for (const [at, { name }] of sim.up.entries()) corrupt(sim, name, BigInt(at));
      await appendSome(sim);
      await sim.pass(2_000);
      expect(sim.up.map(({ node }) => node?.phase)).toEqual(sim.up.map(() => "serving"));
      expect(events.filter((line) => line.includes("state-differs")).length).toBeGreaterThan(0);
      for (const { node } of sim.up) expect(node?.status().digests?.differences).toBeGreaterThan(0);
    }
  });
});
