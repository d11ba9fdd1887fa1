/** What nodes ask of each other, over a network that loses, repeats and reorders; and how it looks as bytes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type NodeLimits, NODE_LIMITS } from "../../log-server/node/limits.ts";
import { NO_OBSERVER } from "../../log-server/node/observer.ts";
import { type CallError, PeerCalls } from "../../log-server/node/calls/peer-calls.ts";
import { answerHead, decodeCall, encodeRefusal, requestHead } from "../../log-server/node/calls/peer-call-codec.ts";
import { concat, text, utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { Result } from "../../src/lib/result.ts";
import type { Link } from "../../src/ports/link.ts";
import { SimClock } from "../../src/sim/clock.ts";
import { CALM, type NetworkFaults, SimNetwork } from "../../src/sim/network.ts";

const ROUGH: NetworkFaults = {
  ...CALM,
  delayMsMax: 20,
  lossChance: 0.1,
  duplicateChance: 0.3,
  reorderChance: 0.3,
  reorderMsMax: 200,
};
const TIMEOUT_MS = 1_000;

/** Nodes that answer with what they were asked; every request that was handled is written down. */
class World {
  readonly clock: SimClock = new SimClock();
  readonly network: SimNetwork;
  readonly handled: string[] = [];
  readonly #prng: Prng;
  readonly #limits: NodeLimits;
  /** Answers wait for this. */
  held: Promise<void> | undefined;

  constructor(faults: NetworkFaults = CALM, limits: Partial<NodeLimits> = {}, seed = 1) {
    this.#prng = new Prng(seed);
    this.#limits = { ...NODE_LIMITS, ...limits };
    this.network = new SimNetwork({ clock: this.clock, prng: this.#prng.fork("network"), faults });
  }

  /** A new life of the node. */
  start(logNode: string, handles = true): PeerCalls {
    const link = this.network.join(logNode);
    const calls = this.callsOver(link);
    link.listen({
      message: (from, _lane, bytes) => calls.message(from, bytes),
      reachable: () => undefined,
      unreachable: (peer) => calls.unreachable(peer),
      room: () => undefined,
    });
    if (handles)
      calls.handle("forward", async (from, body) => {
        this.handled.push(`${from}: ${text(body)}`);
        await this.held;
        if (text(body) === "fail") throw new Error("it failed");
        return [utf8("re: "), body];
      });
    this.clock.advance(1);
    return calls;
  }

  callsOver(link: Link): PeerCalls {
    const entropy = { bytes: (length: number) => this.#prng.bytes(length) };
    return new PeerCalls({
      link,
      logId: 0,
      clock: this.clock,
      entropy,
      limits: this.#limits,
      observer: NO_OBSERVER,
    });
  }

  async settle<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    void promise.then(() => (settled = true));
    for (;;) {
      for (let turn = 0; turn < 16; turn += 1) await Promise.resolve();
      if (settled) return promise;
      if (!this.clock.advanceToNext()) throw new Error("nothing can happen any more");
    }
  }
}

function ask(calls: PeerCalls, what: string, to = "n2"): Promise<Result<Uint8Array, CallError>> {
  return calls.call(to, "forward", [utf8(what)], TIMEOUT_MS);
}

function said(result: Result<Uint8Array, CallError>): string | undefined {
  return result.ok ? text(result.value) : result.error;
}

describe("a call", () => {
  it("is answered by the other's handler", async () => {
    const world = new World();
    const one = world.start("n1");
    world.start("n2");
    const answers = await world.settle(Promise.all([ask(one, "a"), ask(one, "b")]));
    expect(answers.map(said)).toEqual(["re: a", "re: b"]);
    expect(one.underWay).toBe(0);
  });

  it("that cannot be sent, or is not known there, has certainly done nothing", async () => {
    const world = new World();
    const one = world.start("n1");
    expect(said(await ask(one, "nobody is there"))).toBe("unreachable");
    world.start("n2", false);
    expect(said(await world.settle(ask(one, "an old version")))).toBe("unsupported");
    expect(world.handled).toEqual([]);
  });

  it("is lost with its connection, with its time, and where the other fails: perhaps it was done", async () => {
    const world = new World();
    const one = world.start("n1");
    world.start("n2");
    expect(said(await world.settle(ask(one, "fail")))).toBe("lost");
    world.held = new Promise(() => undefined);
    const slow = ask(one, "slow");
    const before = world.clock.monotonic();
    expect(said(await world.settle(slow))).toBe("lost");
    expect(world.clock.monotonic() - before).toBe(TIMEOUT_MS);
    const cutOff = ask(one, "cut off");
    world.clock.advance(1);
    world.network.leave("n2");
    expect(said(await cutOff)).toBe("lost");
    expect(world.handled).toEqual(["n1: fail", "n1: slow", "n1: cut off"]);
    expect(one.underWay).toBe(0);
  });

  it("of an earlier life is not answered to a later one, though their ids are the same", async () => {
    const world = new World();
    let answer = (): void => undefined;
    world.held = new Promise((resolve) => (answer = resolve));
    world.start("n2");
    const earlier = ask(world.start("n1"), "earlier");
    world.clock.advance(1);
    const later = ask(world.start("n1"), "later");
    // Over the new connection, as nothing else could be.
    answer();
    expect(said(await world.settle(later))).toBe("re: later");
    expect(said(await world.settle(earlier))).toBe("lost");
  });

  it("of nobody here is passed over", async () => {
    const world = new World();
    const one = world.start("n1");
    world.start("n2");
    const link = world.network.join("n3");
    world.clock.advance(1);
    world.held = new Promise(() => undefined);
    const call = ask(one, "waits");
    // From a node that was not asked, and with a life that is another's.
    const guess = { log: 0, life: 0n, id: 1 };
    link.send("n1", "requests", [answerHead(guess), utf8("no")]);
    link.send("n1", "requests", [encodeRefusal(guess, "overloaded")]);
    expect(said(await world.settle(call))).toBe("lost");
    link.send("n1", "requests", [answerHead({ ...guess, log: 1 })]);
    link.send("n1", "requests", [Uint8Array.of(9)]);
    world.clock.advance(1);
    expect(one.refused).toBe(2);
  });

  it("beyond what may be under way is refused, on either side (I15)", async () => {
    const world = new World(CALM, { callsMax: 3, callsBytesMax: 200, callsHandledMax: 2 });
    world.held = new Promise(() => undefined);
    const one = world.start("n1");
    world.start("n2");
    const calls = ["a", "b", "c"].map((what) => ask(one, what));
    expect(said(await ask(one, "too many here"))).toBe("overloaded");
    expect(said(await world.settle(calls[2] as (typeof calls)[number]))).toBe("overloaded");
    expect(said(await one.call("n2", "forward", [new Uint8Array(200)], TIMEOUT_MS))).toBe("overloaded");
    expect(world.handled).toEqual(["n1: a", "n1: b"]);
    one.stop();
    expect((await Promise.all(calls)).map(said)).toEqual(["lost", "lost", "overloaded"]);
    expect(said(await ask(one, "stopped"))).toBe("unreachable");
  });

  it.each([1, 2, 3, 4, 5, 6])(
    "is handled once at most, and told truly, whatever the network does, seed %s",
    async (seed) => {
      const world = new World(ROUGH, {}, seed);
      const one = world.start("n1");
      world.start("n2");
      world.clock.advance(50);
      const results = await world.settle(
        Promise.all(
          Array.from({ length: 200 }, async (_, at) => {
            await new Promise<void>((resolve) => void world.clock.schedule(at * 7, resolve));
            if (at % 50 === 49) world.network.reset("n1", "n2");
            return said(await ask(one, `${at}`));
          }),
        ),
      );
      expect(new Set(world.handled).size).toBe(world.handled.length);
      results.forEach((result, at) => {
        const handled = world.handled.includes(`n1: ${at}`);
        if (result === "unreachable") expect(handled).toBe(false);
        else if (result !== "lost") expect([result, handled]).toEqual([`re: ${at}`, true]);
      });
      const { counts } = world.network;
      expect(Math.min(counts.lost, counts.duplicated, counts.reordered, counts.resets)).toBeGreaterThan(0);
      expect(results.filter((result) => result?.startsWith("re: ") === true).length).toBeGreaterThan(100);
    },
  );

  it("that comes again behind all that are remembered is not handled again", async () => {
    const world = new World(CALM, { callIdsKept: 4 });
    const sent: (readonly Uint8Array[])[] = [];
    const link = world.network.join("n1");
    world.start("n2");
    const recording: Link = {
      listen: (listener) => link.listen(listener),
      close: () => link.close(),
      send: (to, lane, pieces) => {
        sent.push(pieces);
        return link.send(to, lane, pieces);
      },
    };
    const one = world.callsOver(recording);
    for (let at = 0; at < 10; at += 1) void ask(one, `${at}`);
    world.clock.advance(1);
    for (const pieces of sent) link.send("n2", "requests", pieces);
    world.clock.advance(1);
    expect(world.handled).toHaveLength(10);
  });
});

describe("a call as bytes", () => {
  const call = { log: 3, life: 0x0807060504030201n, id: 300 };
  const head = [1, 2, 3, 4, 5, 6, 7, 8, 0xac, 0x02];

  it("has these", () => {
    expect([...requestHead(call, "forward")]).toEqual([1, 1, 3, ...head, 1]);
    expect([...answerHead(call)]).toEqual([1, 2, 3, ...head]);
    expect([...encodeRefusal(call, "overloaded")]).toEqual([1, 3, 3, ...head, 1]);
  });

  it("comes back as it was; a newer version's kind is told apart, its reason says the least", () => {
    const body = utf8("body");
    expect(decodeCall(concat([requestHead(call, "forward"), body]))).toEqual({
      ok: true,
      value: { ...call, what: "request", kind: "forward", body },
    });
    expect(decodeCall(concat([answerHead(call), body]))).toEqual({
      ok: true,
      value: { ...call, what: "answer", body },
    });
    for (const reason of ["overloaded", "unsupported", "failed"] as const)
      expect(decodeCall(encodeRefusal(call, reason))).toEqual({
        ok: true,
        value: { ...call, what: "refusal", reason },
      });
    expect(decodeCall(Uint8Array.of(1, 1, 3, ...head, 99))).toMatchObject({ ok: true, value: { kind: undefined } });
    expect(decodeCall(Uint8Array.of(1, 3, 3, ...head, 99))).toMatchObject({ ok: true, value: { reason: "failed" } });
    expect(decodeCall(Uint8Array.of(2, 1, 3, ...head, 1))).toEqual({ ok: false, error: "unsupported-version" });
  });

  it("that is cut short or anything else is an error or another call, never an exception", () => {
    const whole = requestHead(call, "forward");
    for (let length = 0; length < whole.length; length += 1)
      expect(decodeCall(whole.subarray(0, length))).toEqual({ ok: false, error: "malformed" });
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (noise) => void decodeCall(noise)));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (noise) => void decodeCall(concat([whole, noise]))));
  });
});
