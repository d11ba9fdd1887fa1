/** What every link promises, held over loopback sockets and over the simulated network. */
import { afterEach, describe, expect, it } from "vitest";
import { TRANSFER_LIMITS } from "../../log-server/node/catch-up/transfer-limits.ts";
import { Transfers } from "../../log-server/node/catch-up/transfers.ts";
import { SYSTEM_CLOCK } from "../../log-server/system.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { ok } from "../../src/lib/result.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Lane, Link } from "../../src/ports/link.ts";
import { SimClock } from "../../src/sim/clock.ts";
import { SimNetwork } from "../../src/sim/network.ts";
import { Heard } from "./heard.ts";
import { MemorySink, memorySource } from "./memory-bytes.ts";
import { connectAll, TestPeer } from "./test-peers.ts";

/** Two nodes, "a" and "b", connected. */
type Two = {
  readonly clock: Clock;
  readonly links: Readonly<Record<"a" | "b", Link>>;
  readonly heard: Readonly<Record<"a" | "b", Heard>>;
  readonly until: (condition: () => boolean) => Promise<void>;
  /** b is gone. */
  kill(): Promise<void>;
  close(): Promise<void>;
};

async function overSockets(): Promise<Two> {
  const [a, b] = [new TestPeer({ node: "a" }), new TestPeer({ node: "b" })];
  await connectAll(a, b);
  return {
    clock: SYSTEM_CLOCK,
    links: { a: a.peers, b: b.peers },
    heard: { a: a.heard, b: b.heard },
    until: async (condition) => {
      while (!condition()) await new Promise((resolve) => setImmediate(resolve));
    },
    kill: () => b.peers.close(),
    close: async () => {
      await Promise.all([a.peers.close(), b.peers.close()]);
    },
  };
}

async function simulated(): Promise<Two> {
  const clock = new SimClock();
  const network = new SimNetwork({ clock, prng: new Prng(1) });
  const links = { a: network.join("a"), b: network.join("b") };
  const heard = { a: new Heard(), b: new Heard() };
  links.a.listen(heard.a);
  links.b.listen(heard.b);
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) {
      if (!clock.advanceToNext()) await Promise.resolve();
      for (let turn = 0; turn < 16; turn += 1) await Promise.resolve();
    }
  };
  await until(() => heard.a.reaches("b") && heard.b.reaches("a"));
  return { clock, links, heard, until, kill: () => links.b.close(), close: () => Promise.resolve() };
}

describe.each([
  ["over sockets", overSockets],
  ["simulated", simulated],
])("a link %s", (_name, make) => {
  let two: Two | undefined;

  afterEach(async () => {
    await two?.close();
    two = undefined;
  });

  it.each(["control", "entries", "requests", "bulk"] as const)(
    "carries what is sent by %s, whole and in order",
    async (lane) => {
      two = await make();
      const { links, heard, until } = two;
      const texts = Array.from({ length: 50 }, (_, at) => `${at}`);
      for (const text of texts) expect(links.a.send("b", lane, [utf8(text), utf8("!"), new Uint8Array(0)])).toBe(true);
      await until(() => heard.b.messages.length >= texts.length);
      expect(heard.b.texts(lane)).toEqual(texts.map((text) => `${text}!`));
      expect(heard.b.messages.every(({ from }) => from === "a")).toBe(true);
    },
  );

  it.each([
    ["of which nothing proves itself", 0],
    ["of which the end proves itself", 0.9],
    ["of which all proves itself", 1],
  ])("carries messages of any length, empty ones too, %s", async (_what, share) => {
    two = await make();
    const { links, heard, until } = two;
    const prng = new Prng(7);
    const sent = [0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_003].map((length) => prng.bytes(length));
    for (const bytes of sent) {
      const proven = Math.floor(bytes.length * share);
      links.a.send("b", "entries", [bytes.subarray(0, 10), bytes.subarray(10)], proven);
    }
    await until(() => heard.b.messages.length === sent.length);
    expect(heard.b.messages.map(({ bytes }) => Buffer.from(bytes))).toEqual(sent.map((bytes) => Buffer.from(bytes)));
  });

  it("says when a peer is gone, and then refuses", async () => {
    two = await make();
    const { links, heard, until } = two;
    await two.kill();
    await until(() => !heard.a.reaches("b"));
    for (const lane of ["control", "entries", "requests", "bulk"] as Lane[]) {
      expect(links.a.send("b", lane, [utf8("x")])).toBe(false);
    }
    expect(links.a.send("nobody", "control", [utf8("x")])).toBe(false);
  });

  it("refuses bulk that is too much, loses none of what it took, and says when there is room", async () => {
    two = await make();
    const { links, heard, until } = two;
    let taken = 0;
    while (links.a.send("b", "bulk", [new Uint8Array(512 * 1024)])) {
      taken += 1;
      // The bound of the queue, and what one system holds for another.
      expect(taken).toBeLessThan(200);
    }
    await until(() => heard.a.events.includes("~b"));
    await until(() => heard.b.messages.length === taken);
    expect(links.a.send("b", "bulk", [utf8("more")])).toBe(true);
  });

  it("carries a transfer, from where the receiver is", async () => {
    two = await make();
    const { links, heard, until, clock } = two;
    const bytes = new Prng(3).bytes(3_000_000);
    const sink = new MemorySink(bytes.slice(0, 1_000_000));
    const options = { clock, firstId: 1, limits: { ...TRANSFER_LIMITS, bytesPerSecond: 1_000_000_000 } };
    const receiver = new Transfers({ ...options, link: links.b, accept: () => Promise.resolve(ok(sink)) });
    const sender = new Transfers({ ...options, link: links.a, accept: () => Promise.reject(new Error("none")) });
    heard.a.onBulk = (from, message) => sender.message(from, message);
    heard.b.onBulk = (from, message) => receiver.message(from, message);
    heard.a.onRoom = (peer) => sender.room(peer);
    let result: unknown;
    void sender.send("b", memorySource("s1", bytes)).then((settled) => (result = settled));
    await until(() => result !== undefined);
    expect(result).toEqual(ok(undefined));
    expect(sink.finished).toBe(true);
    expect(Buffer.compare(sink.bytes, bytes)).toBe(0);
    expect(sink.writtenBytes).toBe(2_000_000);
    await Promise.all([sender.close(), receiver.close()]);
  });
});
