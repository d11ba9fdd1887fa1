/** Commands at nodes that do not lead: done once, in order, told truly, and shown where they were given. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeForward,
  decodeForwardAnswer,
  encodeForward,
  encodeForwardAnswer,
} from "../../log-server/node/calls/forward-codec.ts";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import { NodeError } from "../../log-server/node/node-error.ts";
import { concat } from "../../src/lib/bytes.ts";
import { err, ok } from "../../src/lib/result.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import { append, asAppended, batchOf, create, readAll, streamOf } from "./sim-node.ts";
import { SimCluster, type SimClusterOptions } from "../../log-server/sim/sim-cluster.ts";

type World = { readonly cluster: SimCluster; readonly leader: string; readonly one: string; readonly other: string };

/** A cluster with a stream "a" that all know. */
async function world(options: SimClusterOptions = {}): Promise<World> {
  const cluster = await SimCluster.started(options);
  const { name: leader } = await cluster.elected();
  const [one, other] = cluster.members.map(({ name }) => name).filter((name) => name !== leader) as [string, string];
  await cluster.settle(cluster.propose(leader, create("a")));
  await cluster.agreed();
  return { cluster, leader, one, other };
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, place) => `${place}`);
}

function byProducer(value: string, sequence: number): Command {
  return append("a", [value], { producer: { id: "p", epoch: 0, sequence } });
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "done",
    (error: unknown) => (error instanceof NodeError ? error.code : String(error)),
  );
}

describe("a command at a follower", () => {
  it("is done by the leader, and shown at this very node once it is answered", async () => {
    const { cluster, one, other } = await world();
    for (const [place, name] of [one, other, one].entries()) {
      const result = asAppended(await cluster.settle(cluster.propose(name, append("a", [`${place}`]))));
      expect(result.firstOffset).toBe(place);
      expect(streamOf(cluster.node(name), "a").nextOffset).toBe(place + 1);
    }
    await cluster.agreed();
    expect(new Set(cluster.up.map(({ node }) => node?.machine.digest())).size, "I10").toBe(1);
  });

  it("is refused as the leader's are: what applying it answers, and what is never proposed", async () => {
    const { cluster, one } = await world({ limits: { batchBytesMax: 1_000 } });
    expect(await cluster.settle(cluster.propose(one, append("none", ["x"])))).toMatchObject({
      kind: "rejected",
      code: "stream-not-found",
    });
    expect(await codeOf(cluster.propose(one, append("a", ["x".repeat(2_000)])))).toBe("batch-too-large");
  });

  it("travels with the others of its turn, and shares their entry", async () => {
    const { cluster, leader, one } = await world();
    const { lastIndex } = cluster.node(leader).status();
    const sent = cluster.network.counts.sent;
    const values = numbered(1_000);
    const results = await cluster.settle(
      Promise.all(values.map((value) => cluster.propose(one, append("a", [value])))),
    );
    expect(results.map((result) => asAppended(result).firstOffset)).toEqual(values.map(Number));
    expect(cluster.node(leader).status().lastIndex - lastIndex).toBeLessThan(4);
    expect(cluster.network.counts.sent - sent).toBeLessThan(40);
  });

  it("overtakes none that came before it", async () => {
    const { cluster, one } = await world({ diskMsMax: 5, limits: { entryBytesMax: 2_000, forwardsMax: 4 } });
    const answers: Promise<CommandResult>[] = [];
    for (const place of numbered(300)) {
      answers.push(cluster.propose(one, append("a", [place])));
      if (Number(place) % 7 === 0) await cluster.pass(0.3);
    }
    await cluster.settle(Promise.all(answers));
    expect(await cluster.settle(readAll(cluster.node(one), "a"))).toEqual(numbered(300));
  });

  it("waits for a leader, for a while; then nothing was done", async () => {
    const { cluster, leader, one, other } = await world();
    cluster.kill(leader);
    const waiting = cluster.propose(one, append("a", ["waited"]));
    expect(asAppended(await cluster.settle(waiting)).firstOffset).toBe(0);
    cluster.kill(other);
    await cluster.until(() => cluster.node(one).status().leader === undefined, "nobody leads");
    const before = cluster.clock.monotonic();
    expect(await cluster.settle(codeOf(cluster.propose(one, append("a", ["refused"]))))).toBe("unavailable");
    expect(cluster.clock.monotonic() - before).toBeLessThan(NODE_LIMITS.leaderWaitMsMax + 500);
    await cluster.settle(Promise.all([cluster.start(leader), cluster.start(other)]));
    await cluster.agreed();
    expect(await cluster.settle(readAll(cluster.node(one), "a"))).toEqual(["waited"]);
  });

  it("beyond what may wait is refused (I15)", async () => {
    const { cluster, leader, one } = await world({ limits: { proposalsMax: 10 } });
    cluster.kill(leader);
    const codes = numbered(12).map((value) => codeOf(cluster.propose(one, byProducer(value, Number(value)))));
    expect(await Promise.all(codes.slice(10))).toEqual(["overloaded", "overloaded"]);
    expect(await cluster.settle(Promise.all(codes))).toEqual([
      ...Array<string>(10).fill("done"),
      "overloaded",
      "overloaded",
    ]);
  });

  it("gets the leader's time, whatever this node's clock says", async () => {
    const { cluster, one } = await world();
    const before = cluster.node(one).machine.logTime;
    cluster.member(one).aheadMs = 3_600_000;
    await cluster.settle(cluster.propose(one, append("a", ["x"])));
    expect(cluster.node(one).machine.logTime - before).toBeLessThan(60_000);
  });
});

describe("when the leader changes", () => {
  it("by handing over, nothing at a follower is refused, repeated or reordered", async () => {
    const { cluster, leader, one } = await world();
    const answers: Promise<CommandResult>[] = [];
    let stopped: Promise<void> | undefined;
    for (const place of numbered(400)) {
      answers.push(cluster.propose(one, append("a", [place])));
      if (Number(place) % 5 === 0) await cluster.pass(1);
      if (place === "150") stopped = cluster.node(leader).stop();
    }
    const results = await cluster.settle(Promise.all(answers));
    expect(results.map((result) => asAppended(result).firstOffset)).toEqual(numbered(400).map(Number));
    expect(await cluster.settle(readAll(cluster.node(one), "a"))).toEqual(numbered(400));
    await cluster.settle(stopped as Promise<void>);
    expect(cluster.leader?.name).not.toBe(leader);
  });

  it("by its death, a producer's commands are done once, with their first answers; of others the outcome is told (I8, P36)", async () => {
    const { cluster, leader, one } = await world({ diskMsMax: 3 });
    const tagged: Promise<CommandResult>[] = [];
    const plain: Promise<string>[] = [];
    for (const place of numbered(200)) {
      tagged.push(cluster.propose(one, byProducer(`p${place}`, Number(place))));
      plain.push(codeOf(cluster.propose(one, append("a", [`x${place}`]))));
      if (Number(place) % 4 === 0) await cluster.pass(1);
      if (place === "100") cluster.kill(leader);
    }
    const results = await cluster.settle(Promise.all(tagged));
    const codes = await cluster.settle(Promise.all(plain));
    const values = await cluster.settle(readAll(cluster.node(one), "a"));
    results.forEach((result, place) => expect(values[asAppended(result).firstOffset ?? -1]).toBe(`p${place}`));
    expect(values.filter((value) => value.startsWith("p"))).toEqual(numbered(200).map((place) => `p${place}`));
    codes.forEach((code, place) => {
      const times = values.filter((value) => value === `x${place}`).length;
      if (code === "done") expect(times).toBe(1);
      else if (code === "outcome-unknown") expect(times).toBeLessThan(2);
      else expect([code, times]).toEqual(["unavailable", 0]);
    });
    expect(codes).toContain("outcome-unknown");
    expect(cluster.node(one).status().forwards.repeated).toBeGreaterThan(0);
  });

  it("and this node leads next, what was on its way is proposed here, in order", async () => {
    const { cluster, leader, one, other } = await world();
    cluster.network.cut(leader, other);
    cluster.network.cut(other, leader);
    cluster.kill(leader);
    const answers = numbered(50).map((value) => cluster.propose(one, byProducer(value, Number(value))));
    cluster.pause(other);
    await cluster.pass(2_500);
    cluster.resume(other);
    await cluster.settle(Promise.all(answers));
    expect(await cluster.settle(readAll(cluster.node(one), "a"))).toEqual(numbered(50));
  });

  it("for a node that hears the old one no more, the new one gets what may be repeated, without a long wait", async () => {
    const { cluster, leader, one, other } = await world();
    await cluster.settle(cluster.propose(one, byProducer("first", 0)));
    // Heard by none, though it hears all: its connections stand for a while.
    for (const name of [one, other]) cluster.network.cut(leader, name);
    const before = cluster.clock.monotonic();
    const results = await cluster.settle(
      Promise.all([cluster.propose(one, byProducer("a", 1)), cluster.propose(one, byProducer("b", 2))]),
    );
    expect(results.map((result) => asAppended(result).firstOffset)).toEqual([1, 2]);
    expect(cluster.clock.monotonic() - before).toBeLessThan(NODE_LIMITS.forwardMsMax / 2);
    expect(await cluster.settle(readAll(cluster.node(one), "a"))).toEqual(["first", "a", "b"]);
  });

  it("because the old one stands still, what may be repeated is as soon as the new one leads", async () => {
    const { cluster, leader, one } = await world();
    await cluster.settle(cluster.propose(one, byProducer("first", 0)));
    cluster.pause(leader);
    let answered: CommandResult | undefined;
    void cluster.propose(one, byProducer("a", 1)).then((result) => {
      answered = result;
    });
    await cluster.elected(leader);
    // It was silent for an election timeout: that was patience enough.
    await cluster.pass(NODE_LIMITS.forwardCutMs / 4);
    expect(answered).toMatchObject({ kind: "appended", firstOffset: 1 });
    cluster.resume(leader);
    await cluster.agreed();
    expect(await cluster.settle(readAll(cluster.node(one), "a"))).toEqual(["first", "a"]);
  });
});

describe("when the answer is lost", () => {
  it("a producer's command is sent again and gets its first answer; of another the outcome is unknown (I8, P36)", async () => {
    const { cluster, leader, one } = await world();
    await cluster.settle(cluster.propose(one, byProducer("first", 0)));
    const tagged = cluster.propose(one, byProducer("tagged", 1));
    const plain = codeOf(cluster.propose(one, append("a", ["plain"])));
    // Sent, and with the leader; nothing comes back.
    await cluster.pass(0.3);
    cluster.network.reset(leader, one);
    expect(await cluster.settle(plain)).toBe("outcome-unknown");
    expect(asAppended(await cluster.settle(tagged))).toMatchObject({ firstOffset: 1, duplicate: true });
    await cluster.agreed();
    expect(await cluster.settle(readAll(cluster.node(one), "a"))).toEqual(["first", "tagged", "plain"]);
  });

  it("a run is sent again, and each of its appends gets its first answer (I8, W180)", async () => {
    const { cluster, leader, one } = await world();
    await cluster.settle(cluster.propose(one, byProducer("first", 0)));
    const run = cluster.propose(one, {
      kind: "append-run",
      stream: "a",
      producer: { id: "p", epoch: 0, sequence: 1 },
      batches: [batchOf("b"), batchOf("c", "d")],
    });
    await cluster.pass(0.3);
    cluster.network.reset(leader, one);
    expect(await cluster.settle(run)).toMatchObject({
      kind: "appended-run",
      parts: [{ count: 2, result: { firstOffset: 1, nextOffset: 4, duplicate: true } }],
    });
    await cluster.agreed();
    expect(await cluster.settle(readAll(cluster.node(one), "a"))).toEqual(["first", "b", "c", "d"]);
  });

  it("the first of a producer's appends is not sent again: answered as a duplicate it would look like another's (I8)", async () => {
    const { cluster, leader, one } = await world();
    const first = codeOf(cluster.propose(one, byProducer("first", 0)));
    await cluster.pass(0.3);
    cluster.network.reset(leader, one);
    expect(await cluster.settle(first)).toBe("outcome-unknown");
    await cluster.agreed();
    expect(await cluster.settle(readAll(cluster.node(one), "a"))).toEqual(["first"]);
  });

  it("because this node is too far behind, that is told, and not that nothing was done", async () => {
    const { cluster, one } = await world({ limits: { forwardApplyMsMax: 300 } });
    cluster.holdDisk(one);
    expect(await cluster.settle(codeOf(cluster.propose(one, append("a", ["x"]))))).toBe("outcome-unknown");
    cluster.releaseDisk(one);
    await cluster.agreed();
    expect(await cluster.settle(readAll(cluster.node(one), "a"))).toEqual(["x"]);
  });
});

describe("reading at a follower", () => {
  it("keeps a stream from expiring, as reading at the leader does", async () => {
    const { cluster, leader, one } = await world();
    await cluster.settle(cluster.propose(leader, create("kept", { expiry: { kind: "sliding", ttlSeconds: 5 } })));
    await cluster.agreed();
    for (let round = 0; round < 4; round += 1) {
      await cluster.pass(3_000);
      cluster.node(one).touch("kept");
    }
    await cluster.settle(cluster.barrier(one));
    expect(cluster.node(one).machine.stream("kept")).toBeDefined();
    await cluster.pass(6_000);
    expect(cluster.node(one).machine.stream("kept")).toBeUndefined();
  });

  it("goes on over a change of the leader", async () => {
    const { cluster, leader, one } = await world();
    await cluster.settle(cluster.propose(leader, append("a", ["x"])));
    cluster.kill(leader);
    await cluster.settle(cluster.barrier(one));
    expect(streamOf(cluster.node(one), "a").nextOffset).toBe(1);
  });
});

describe("forwarded commands as bytes", () => {
  const place = { run: 300, sequence: 2 };
  const commands: Command[] = [
    { kind: "tick" },
    append("s", ["v", "w"], { producer: { id: "p", epoch: 1, sequence: 2 } }),
    { kind: "transaction", conditions: [], operations: [append("s", ["x"]), append("t", ["y"]), create("u")] },
    { kind: "touch", streams: ["a", "b"] },
  ];

  it("have these", () => {
    expect([...concat(encodeForward(place, [{ kind: "tick" }]))]).toEqual([0xac, 0x02, 2, 2, 1, 4, 0]);
    expect([...encodeForwardAnswer({ status: "not-leader" })]).toEqual([2]);
    expect([...encodeForwardAnswer({ status: "out-of-order" })]).toEqual([3]);
    expect([...encodeForwardAnswer({ status: "malformed" })]).toEqual([4]);
    const done = { status: "done", position: 300, outcomes: [ok({ kind: "done" } as const)] } as const;
    expect([...encodeForwardAnswer(done)]).toEqual([1, 0xac, 0x02, 1, 0, 1, 2]);
  });

  it("come back as they were", () => {
    expect(decodeForward(concat(encodeForward(place, commands)))).toEqual({ ...place, commands });
    const outcomes = [ok({ kind: "done" } as const), err(new NodeError("disk-full", "no room"))];
    const answer = { status: "done", position: 9, outcomes } as const;
    expect(decodeForwardAnswer(encodeForwardAnswer(answer))).toEqual(answer);
  });

  it("are refused where a bit of a batch is wrong (I13), and where they are cut short", () => {
    const whole = concat(encodeForward(place, [append("s", ["v", "w"])]));
    const { length } = batchOf("v", "w");
    for (let at = whole.length - length; at < whole.length; at += 1) {
      const damaged = whole.slice();
      damaged[at] = (damaged[at] as number) ^ 4;
      expect(decodeForward(damaged), `byte ${at}`).toBeUndefined();
    }
    for (let end = 0; end < whole.length; end += 1) expect(decodeForward(whole.subarray(0, end))).toBeUndefined();
  });

  it("of anybody are something or nothing, never an exception", () => {
    const whole = concat(encodeForward(place, commands));
    const answer = encodeForwardAnswer({
      status: "done",
      position: 1,
      outcomes: [err(new NodeError("internal", "x"))],
    });
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (at, change) => {
        for (const [bytes, decode] of [
          [whole, decodeForward],
          [answer, decodeForwardAnswer],
        ] as const) {
          const flipped = bytes.slice();
          flipped[at % bytes.length]! ^= change;
          decode(flipped);
        }
      }),
      { numRuns: 1_000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => void [decodeForward(noise), decodeForwardAnswer(noise)]),
    );
  });
});
