/** Minorities that lose power while others stand still, so that each majority is another one (P28, NATS #7567). */
import { describe, expect, it } from "vitest";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";
import { append, asAppended, create, readAll } from "./sim-node.ts";

const ALL = ["n1", "n2", "n3", "n4", "n5"];

describe("power that fails while others stand still (P28)", () => {
  // Whoever leads, and whichever of the majority loses its power.
  it.each([
    { loses: "the leader", pick: (leader: string, _others: readonly string[]) => leader },
    { loses: "a follower", pick: (_leader: string, others: readonly string[]) => others[0] as string },
  ])("takes nothing back that was answered: $loses loses it (I3, I5)", async ({ pick }) => {
    const cluster = await SimCluster.started({ nodes: 5 });
    const first = (await cluster.elected()).name;
    await cluster.settle(cluster.propose(first, create("a")));
    await cluster.agreed();

    const [late1, late2, ...awake] = ALL.filter((name) => name !== first) as [string, string, string, string];
    for (const late of [late1, late2]) {
      // For so long that nothing waits for them in a socket's buffer.
      cluster.isolate(late);
      cluster.pause(late);
    }
    const answers = [];
    for (let value = 0; value < 20; value += 1) answers.push(cluster.propose(first, append("a", [`before ${value}`])));
    for (const answer of answers) asAppended(await cluster.settle(answer));

    // What one of those three had in memory only is gone, and it is all that the two majorities share.
    const cut = pick(first, awake);
    cluster.kill(cut);
    for (const name of [first, ...awake]) if (name !== cut) cluster.pause(name);
    cluster.network.healAll();
    for (const late of [late1, late2]) cluster.resume(late);
    await cluster.settle(cluster.start(cut));
    await cluster.until(() => [cut, late1, late2].some((name) => cluster.node(name).leads), "a new majority elects");
    const leader = [cut, late1, late2].find((name) => cluster.node(name).leads) as string;
    expect(asAppended(await cluster.settle(cluster.propose(leader, append("a", ["after"])))).firstOffset).toBe(20);

    // The old majority's others come to, and believe what they believed.
    for (const name of ALL) if (cluster.member(name).life.paused) cluster.resume(name);
    await cluster.agreed();
    const expected = [...Array.from({ length: 20 }, (_, value) => `before ${value}`), "after"];
    for (const name of ALL) expect(await cluster.settle(readAll(cluster.node(name), "a"))).toEqual(expected);
    expect(new Set(ALL.map((name) => cluster.node(name).machine.digest())).size, "I4, I10").toBe(1);
    expect(cluster.failures).toEqual([]);
  });
});
