/** Three nodes of one log: what is answered when, what outlives a leader, and what each node shows. */
import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import type { CommandResult, CreateCommand } from "../../src/wire/command.ts";
import { append, asAppended, create, readAll, streamOf } from "./sim-node.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";

const NAMES = ["n1", "n2", "n3"];

/** The names of the two that do not lead. */
function followers(cluster: SimCluster): [string, string] {
  const leader = cluster.leader?.name;
  return NAMES.filter((name) => name !== leader) as [string, string];
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const done = (): void => {
    settled = true;
  };
  promise.then(done, done);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  return settled;
}

/** What its nodes say of their leaders is in `told`. */
async function tellingCluster(): Promise<{ readonly cluster: SimCluster; readonly told: string[] }> {
  const told: string[] = [];
  const note = (line: string): void => void told.push(...(/ (n\d leader-.*)/.exec(line)?.slice(1) ?? []));
  return { cluster: await SimCluster.started({ note }), told };
}

function expectSameState(cluster: SimCluster): void {
  const digests = cluster.up.map(({ node }) => node?.machine.digest());
  expect(new Set(digests).size, "I4, I10").toBe(1);
}

describe("founding and appending", () => {
  it("elects one leader, whom all know (I1)", async () => {
    const cluster = await SimCluster.started();
    const leader = await cluster.elected();
    await cluster.agreed();
    for (const { node } of cluster.up) {
      expect(node?.phase).toBe("serving");
      expect(node?.status()).toMatchObject({ leader: leader.name, hasLeader: true, term: leader.node?.status().term });
    }
    expect(cluster.up.filter(({ node }) => node?.leads)).toHaveLength(1);
    const { followers: seen, lastIndex } = (leader.node as NonNullable<typeof leader.node>).status();
    await cluster.pass(200);
    expect(seen.map(({ id }) => id).sort()).toEqual(followers(cluster).sort());
    expect(leader.node?.status().followers.map(({ match }) => match)).toEqual([lastIndex, lastIndex]);
  });

  it("does not serve before it has met a majority", async () => {
    const cluster = new SimCluster();
    const alone = cluster.start("n1");
    await cluster.pass(30_000);
    expect(await isSettled(alone)).toBe(false);
    expect(cluster.node("n1").phase).toBe("recovering");
    await expect(cluster.barrier("n1")).rejects.toMatchObject({ code: "unavailable" });
    await cluster.settle(Promise.all([alone, cluster.start("n2")]));
    expect(cluster.node("n1").phase).toBe("serving");
  });

  it("takes a member whose very first start was cut short at any call of its disk (P33)", async () => {
    let crashes = 0;
    for (let calls = 1; crashes === calls - 1; calls += 1) {
      const cluster = new SimCluster({ seed: calls });
      // It ends with the power, whatever it was at.
      const first = cluster.start("n1").catch(() => undefined);
      cluster.killAt("n1", calls);
      await cluster.settle(Promise.all([cluster.start("n2"), cluster.start("n3")]));
      await cluster.pass(1_000);
      if (cluster.member("n1").node === undefined) {
        crashes += 1;
        await cluster.settle(cluster.start("n1"));
      } else cluster.killAt("n1", Number.POSITIVE_INFINITY);
      await first;
      await cluster.settle(cluster.propose((await cluster.elected()).name, create("a")));
      await cluster.agreed();
      expectSameState(cluster);
      expect(cluster.up).toHaveLength(3);
      expect(cluster.failures).toEqual([]);
    }
    expect(crashes).toBeGreaterThan(10);
  });

  it("answers once a majority has synced, and not before (I5)", async () => {
    const cluster = await SimCluster.started();
    const leader = await cluster.elected();
    await cluster.settle(cluster.propose(leader.name, create("a")));
    const [one, other] = followers(cluster);
    cluster.holdDisk(one);
    cluster.holdDisk(other);
    const answer = cluster.propose(leader.name, append("a", ["x"]));
    await cluster.pass(500);
    expect(await isSettled(answer)).toBe(false);
    cluster.releaseDisk(one);
    expect(asAppended(await cluster.settle(answer)).firstOffset).toBe(0);
    // A follower that has not synced it shows nothing of it.
    expect(streamOf(cluster.node(other), "a").nextOffset).toBe(0);
    cluster.releaseDisk(other);
    await cluster.agreed();
    expectSameState(cluster);
  });

  it("waits for its own sync as well, even if all others have theirs (I5)", async () => {
    const cluster = await SimCluster.started();
    const leader = await cluster.elected();
    await cluster.settle(cluster.propose(leader.name, create("a")));
    cluster.holdDisk(leader.name);
    const answer = cluster.propose(leader.name, append("a", ["x"]));
    await cluster.pass(300);
    expect(await isSettled(answer)).toBe(false);
    for (const name of followers(cluster)) expect(streamOf(cluster.node(name), "a").nextOffset).toBe(1);
    cluster.releaseDisk(leader.name);
    await cluster.settle(answer);
  });

  it("shows the same records on every node, and wakes those who wait there (I6)", async () => {
    const cluster = await SimCluster.started();
    const leader = await cluster.elected();
    await cluster.settle(cluster.propose(leader.name, create("a")));
    await cluster.agreed();
    const [one, other] = followers(cluster);
    const woken = cluster.node(one).changed(streamOf(cluster.node(one), "a").id, new AbortController().signal);
    const follower = cluster.node(other).follow([streamOf(cluster.node(other), "a").id]);
    const answers: Promise<CommandResult>[] = [];
    for (let place = 0; place < 100; place += 1)
      answers.push(cluster.propose(leader.name, append("a", [`record ${place}`])));
    await cluster.settle(Promise.all([...answers, woken, follower.wait(false)]));
    for (const { name } of cluster.members) {
      await cluster.settle(cluster.barrier(name));
      expect(await cluster.settle(readAll(cluster.node(name), "a"))).toEqual(
        Array.from({ length: 100 }, (_, place) => `record ${place}`),
      );
    }
  });
});

describe("losing a leader", () => {
  it("is told by all who lose it, and so is who comes next, each once", async () => {
    const { cluster, told } = await tellingCluster();
    const first = (await cluster.elected()).name;
    await cluster.agreed();
    const [one, other] = followers(cluster);
    const term = cluster.node(first).status().term;
    const elected = (name: string, leader: string, at: number): string =>
      `${name} leader-elected ${JSON.stringify({ leader, term: at })}`;
    expect(told.sort()).toEqual(NAMES.map((name) => elected(name, first, term)));
    told.length = 0;
    cluster.kill(first);
    await cluster.until(() => cluster.leader !== undefined && cluster.leader.name !== first, "another leads");
    await cluster.agreed();
    const next = cluster.leader?.name ?? "";
    const nextTerm = cluster.node(next).status().term;
    const lost = `leader-lost ${JSON.stringify({ leader: first, term })}`;
    expect(told.sort()).toEqual(
      [one, other].flatMap((name) => [elected(name, next, nextTerm), `${name} ${lost}`]).sort(),
    );
  });

  it("is no election where it is heard again after a while", async () => {
    const { cluster, told } = await tellingCluster();
    const leader = (await cluster.elected()).name;
    await cluster.agreed();
    const { term } = cluster.node(leader).status();
    const [cut] = followers(cluster);
    told.length = 0;
    cluster.isolate(cut);
    await cluster.until(() => !cluster.node(cut).status().hasLeader, "it hears no leader");
    cluster.network.healAll();
    await cluster.until(() => cluster.node(cut).status().hasLeader, "it hears one");
    const facts = JSON.stringify({ leader, term });
    expect(told).toEqual([`${cut} leader-lost ${facts}`, `${cut} leader-regained ${facts}`]);
  });

  it("is shown by followers soon, though the log is idle behind it (R110)", async () => {
    const cluster = await SimCluster.started();
    const leader = await cluster.elected();
    await cluster.settle(cluster.propose(leader.name, create("a")));
    // More often than there are heartbeats, which tell it, too.
    for (let count = 1; count <= 4; count += 1) {
      await cluster.settle(cluster.propose(leader.name, append("a", ["x"])));
      await cluster.pass(20);
      for (const name of followers(cluster)) expect(streamOf(cluster.node(name), "a").nextOffset).toBe(count);
    }
  });

  it("goes on with what was acknowledged, and cuts what the old leader alone had (I3, I4)", async () => {
    const cluster = await SimCluster.started();
    const old = await cluster.elected();
    await cluster.settle(cluster.propose(old.name, create("a")));
    await cluster.settle(cluster.propose(old.name, append("a", ["kept"])));
    await cluster.agreed();
    cluster.isolate(old.name);
    const lost = ["lost 1", "lost 2", "lost 3"].map((value) => cluster.propose(old.name, append("a", [value])));
    for (const answer of lost) answer.catch(() => undefined);
    await cluster.pass(100);
    expect(cluster.node(old.name).status().lastIndex).toBeGreaterThan(cluster.node(old.name).status().commitIndex);
    cluster.kill(old.name, { kind: "all" });
    for (const answer of lost) await expect(answer).rejects.toThrow("was killed");
    const next = await cluster.elected(old.name);
    for (let place = 0; place < 5; place += 1)
      await cluster.settle(cluster.propose(next.name, append("a", [`new ${place}`])));
    cluster.network.healAll();
    await cluster.settle(cluster.start(old.name));
    await cluster.agreed();
    expectSameState(cluster);
    const expected = ["kept", ...Array.from({ length: 5 }, (_, place) => `new ${place}`)];
    for (const { name } of cluster.members)
      expect(await cluster.settle(readAll(cluster.node(name), "a"))).toEqual(expected);
    // And it is so on its disk, not only in its memory.
    cluster.kill(old.name);
    await cluster.settle(cluster.start(old.name));
    expect(await cluster.settle(readAll(cluster.node(old.name), "a"))).toEqual(expected);
  });

  it("tells who waits at a leader that is cut off: refused if not proposed, else unknown, within bounds", async () => {
    const cluster = await SimCluster.started({ limits: { unsettledMsMax: 3_000 } });
    const old = await cluster.elected();
    await cluster.settle(cluster.propose(old.name, create("a")));
    cluster.isolate(old.name);
    const proposed = cluster.propose(old.name, append("a", ["x"]));
    await cluster.pass(10);
    cluster.holdDisk(old.name);
    const writing = cluster.propose(old.name, append("a", ["y"]));
    await cluster.pass(10);
    const waiting = cluster.propose(old.name, append("a", ["z"]));
    const outcomes = Promise.allSettled([proposed, writing, waiting]);
    const results = await cluster.settle(outcomes, 9_000);
    expect(
      results.map((result) => (result.status === "rejected" ? (result.reason as { code: string }).code : "")),
    ).toEqual(["outcome-unknown", "outcome-unknown", "unavailable"]);
    await expect(cluster.settle(cluster.propose(old.name, append("a", ["w"])))).rejects.toMatchObject({
      code: "unavailable",
    });
    await expect(cluster.settle(cluster.barrier(old.name))).rejects.toMatchObject({ code: "unavailable" });
    cluster.releaseDisk(old.name);
    cluster.network.healAll();
    await cluster.elected();
    await cluster.agreed();
    expectSameState(cluster);
  });

  it("settles what was proposed when another's entry takes its place", async () => {
    const cluster = await SimCluster.started();
    const old = await cluster.elected();
    await cluster.settle(cluster.propose(old.name, create("a")));
    cluster.isolate(old.name);
    const answer = cluster.propose(old.name, append("a", ["x"]));
    answer.catch(() => undefined);
    const next = await cluster.elected(old.name);
    await cluster.settle(cluster.propose(next.name, append("a", ["y"])));
    cluster.network.healAll();
    await expect(cluster.settle(answer, 5_000)).rejects.toMatchObject({ code: "outcome-unknown" });
    await cluster.agreed();
    expect(await cluster.settle(readAll(cluster.node(old.name), "a"))).toEqual(["y"]);
  });

  it("answers what another leader committed of it, with the right answer", async () => {
    const cluster = await SimCluster.started();
    const old = await cluster.elected();
    await cluster.settle(cluster.propose(old.name, create("a")));
    const [one, other] = followers(cluster);
    // The followers take the entry, and their answers are lost.
    cluster.network.cut(one, old.name);
    cluster.network.cut(other, old.name);
    const answer = cluster.propose(old.name, append("a", ["x"]));
    await cluster.pass(100);
    expect(await isSettled(answer)).toBe(false);
    cluster.isolate(old.name);
    await cluster.elected(old.name);
    cluster.network.healAll();
    expect(asAppended(await cluster.settle(answer, 5_000))).toMatchObject({ firstOffset: 0, duplicate: false });
  });

  it("gives a producer's retry at the new leader its first answer (I8)", async () => {
    const cluster = await SimCluster.started();
    const old = await cluster.elected();
    await cluster.settle(cluster.propose(old.name, create("a")));
    const producer = { id: "p", epoch: 0, sequence: 0 };
    const first = asAppended(await cluster.settle(cluster.propose(old.name, append("a", ["x", "y"], { producer }))));
    await cluster.settle(cluster.propose(old.name, append("a", ["z"])));
    cluster.kill(old.name);
    const next = await cluster.elected(old.name);
    const retry = asAppended(await cluster.settle(cluster.propose(next.name, append("a", ["x", "y"], { producer }))));
    expect(retry).toMatchObject({ duplicate: true, firstOffset: first.firstOffset, nextOffset: first.nextOffset });
    expect(await cluster.settle(readAll(cluster.node(next.name), "a"))).toEqual(["x", "y", "z"]);
  });

  it("keeps log time from going back, whatever the clocks say", async () => {
    const cluster = await SimCluster.started();
    const old = await cluster.elected();
    old.aheadMs = 3_600_000;
    await cluster.settle(cluster.propose(old.name, create("a")));
    await cluster.settle(cluster.propose(old.name, append("a", ["x"])));
    const before = cluster.node(old.name).machine.logTime;
    // Not applied by the next leader before it leads: its disk is slow.
    cluster.kill(old.name);
    const next = await cluster.elected(old.name);
    await cluster.settle(cluster.propose(next.name, append("a", ["y"])));
    expect(cluster.node(next.name).machine.logTime).toBeGreaterThanOrEqual(before);
    const read = await cluster.settle(
      cluster.node(next.name).read(streamOf(cluster.node(next.name), "a"), 0, { maxBytes: 10_000 }),
    );
    const times = read.ok ? read.value.batches.map(({ logTime }) => logTime) : [];
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times).toHaveLength(2);
  });

  it("hands over when it stops: nobody waits for an election", async () => {
    const cluster = await SimCluster.started();
    const old = await cluster.elected();
    await cluster.settle(cluster.propose(old.name, create("a")));
    const answer = cluster.propose(old.name, append("a", ["x"]));
    const from = cluster.clock.monotonic();
    await cluster.settle(Promise.all([answer, cluster.node(old.name).stop()]));
    const next = await cluster.elected(old.name);
    // Sooner than any follower could have missed its leader.
    expect(cluster.clock.monotonic() - from).toBeLessThan(1_000);
    expect(streamOf(cluster.node(next.name), "a").nextOffset).toBe(1);
  });
});

describe("reads", () => {
  it("are linearizable on every node (P12–P14)", async () => {
    const cluster = await SimCluster.started({ diskMsMax: 3 });
    const leader = await cluster.elected();
    await cluster.settle(cluster.propose(leader.name, create("a")));
    for (let place = 0; place < 20; place += 1) {
      await cluster.settle(cluster.propose(leader.name, append("a", [`${place}`])));
      for (const name of NAMES) {
        await cluster.settle(cluster.barrier(name));
        expect(streamOf(cluster.node(name), "a").nextOffset).toBe(place + 1);
      }
    }
  });

  it("see what others decided while a leader stood still, before it does anything else (P43)", async () => {
    const cluster = await SimCluster.started();
    const old = await cluster.elected();
    await cluster.settle(cluster.propose(old.name, create("a")));
    cluster.pause(old.name);
    const next = await cluster.elected(old.name);
    await cluster.settle(cluster.propose(next.name, append("a", ["new"])));
    cluster.resume(old.name);
    // Requests that waited in its sockets.
    const barrier = cluster.barrier(old.name);
    const proposal = cluster.propose(old.name, append("a", ["late"]));
    await cluster.settle(barrier);
    expect(streamOf(cluster.node(old.name), "a").nextOffset).toBeGreaterThan(0);
    expect(asAppended(await cluster.settle(proposal)).firstOffset).toBe(1);
    expect(await cluster.settle(readAll(cluster.node(old.name), "a"))).toEqual(["new", "late"]);
  });

  it("past a deadline wait for the leader's clock, at followers too, but not for long (I14)", async () => {
    const cluster = await SimCluster.started();
    const leader = await cluster.elected();
    const expiry = { kind: "sliding", ttlSeconds: 5 } as const;
    await cluster.settle(cluster.propose(leader.name, create("a", { expiry })));
    await cluster.agreed();
    const [ahead, farAhead] = followers(cluster);
    const isThere = (name: string): boolean => cluster.node(name).machine.stream("a") !== undefined;
    cluster.member(ahead).aheadMs = 200;
    cluster.member(farAhead).aheadMs = 3_600_000;
    await cluster.pass(4_800);
    expect(NAMES.map(isThere)).toEqual([true, true, true]);
    await cluster.settle(Promise.all([cluster.barrier(ahead), cluster.barrier(leader.name)]), 500);
    expect(isThere(ahead)).toBe(false);
    await cluster.settle(cluster.propose(leader.name, create("b", { expiry })));
    await cluster.settle(cluster.barrier(farAhead), 1_500);
    expect(cluster.node(farAhead).machine.stream("b")).toBeDefined();
  });
});

describe("what is due", () => {
  it("has expired behind a barrier, also where a tick from before is still under way (I14)", async () => {
    const cluster = await SimCluster.started();
    const leader = await cluster.elected();
    const startsAt = Math.floor(cluster.clock.now());
    const expiring = (afterMs: number): CreateCommand =>
      create(`after ${afterMs}`, { expiry: { kind: "absolute", atMs: startsAt + afterMs } });
    for (const afterMs of [5_000, 5_020]) await cluster.settle(cluster.propose(leader.name, expiring(afterMs)));
    for (const name of followers(cluster)) cluster.holdDisk(name);
    // The tick for the first is stamped, and not committed, when the second is due as well.
    await cluster.pass(startsAt + 5_025 - cluster.clock.now());
    const isThere = (afterMs: number): boolean => leader.node?.machine.stream(`after ${afterMs}`) !== undefined;
    expect([isThere(5_000), isThere(5_020)]).toEqual([true, true]);
    const seen = cluster.barrier(leader.name).then(() => [isThere(5_000), isThere(5_020)]);
    await cluster.pass(20);
    for (const name of followers(cluster)) cluster.releaseDisk(name);
    expect(await cluster.settle(seen)).toEqual([false, false]);
  });
});

describe("catching up", () => {
  it("from the leader's disk, what its memory no longer has", async () => {
    const cluster = await SimCluster.started();
    const leader = await cluster.elected();
    await cluster.settle(cluster.propose(leader.name, create("a")));
    const [late, other] = followers(cluster);
    cluster.kill(late);
    for (let place = 0; place < 200; place += 1)
      await cluster.settle(cluster.propose(leader.name, append("a", [`${place} ${"x".repeat(200)}`])));
    cluster.kill(leader.name);
    cluster.kill(other);
    await cluster.settle(Promise.all([cluster.start(leader.name), cluster.start(other)]));
    await cluster.settle(cluster.start(late));
    await cluster.agreed();
    expectSameState(cluster);
    expect((await cluster.settle(readAll(cluster.node(late), "a"))).length).toBe(200);
  });

  it("does not let a node go on leading that cannot apply its log, nor begin to if that is known (I13, R32)", async () => {
    let led = 0;
    for (let seed = 1; seed <= 6; seed += 1) {
      if (await leadsWhileDamaged(seed, "while it runs")) led += 1;
      expect(await leadsWhileDamaged(seed, "before its start")).toBe(false);
    }
    expect(led, "P46").toBeGreaterThan(0);
  });

  it("refuses messages that are damaged or for somebody else, counts them, and goes on", async () => {
    const cluster = await SimCluster.started();
    const leader = await cluster.elected();
    const [one, other] = followers(cluster);
    const { link } = cluster.member(one);
    link?.send(other, "control", [utf8("nonsense")]);
    link?.send(other, "entries", [new Uint8Array(0)]);
    await cluster.pass(10);
    expect(cluster.node(other).status().refusedMessages).toBe(2);
    await cluster.settle(cluster.propose(leader.name, create("a")));
    await cluster.agreed();
  });
});

/** Whether the damaged node led for a while. */
async function leadsWhileDamaged(seed: number, when: "before its start" | "while it runs"): Promise<boolean> {
  // What others would give it back is not asked for meanwhile.
  const cluster = await SimCluster.started({ seed, limits: { repairEveryMs: 1e9 } });
  const damaged = await cluster.elected();
  await cluster.settle(cluster.propose(damaged.name, create("a")));
  for (const value of ["one", "two", "three"])
    await cluster.settle(cluster.propose(damaged.name, append("a", [value])));
  await cluster.agreed();
  const [one, other] = followers(cluster);
  for (const name of NAMES) cluster.kill(name, { kind: "all" });
  const { disk } = damaged;
  const path = disk.files().find((name) => name.endsWith("1.log")) as string;
  const bytes = Buffer.from(disk.bytes(path));
  // In a head a stream's name stands behind its length; the one before the last is of the second append.
  const harm = (): void => disk.flip(path, bytes.lastIndexOf("\u0001a", bytes.lastIndexOf("\u0001a") - 1));
  if (when === "before its start") harm();
  // With one of the others it has a majority, and may well be elected.
  const started = Promise.all([cluster.start(damaged.name), cluster.start(one)]);
  await cluster.until(() => damaged.node !== undefined, "it has read its log");
  if (when === "while it runs") harm();
  let led = false;
  await cluster.until(() => {
    led ||= damaged.node?.status().role === "leader";
    return cluster.leader?.name === one;
  }, "the intact node leads");
  await cluster.settle(started);
  expect(cluster.node(damaged.name).tailKnown).toBe(false);
  await cluster.settle(cluster.propose(one, append("a", ["four"])));
  await cluster.settle(cluster.start(other));
  await cluster.settle(cluster.barrier(other));
  expect(await cluster.settle(readAll(cluster.node(other), "a"))).toEqual(["one", "two", "three", "four"]);
  await expect(cluster.barrier(damaged.name)).rejects.toMatchObject({ code: "repairing" });
  expect(await cluster.settle(readAll(cluster.node(damaged.name), "a"))).toEqual(["one"]);
  return led;
}
