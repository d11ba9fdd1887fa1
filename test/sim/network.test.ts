/** The simulated network: each fault happens when it is asked for and not otherwise, and a seed is a run. */
import { describe, expect, it } from "vitest";
import { TRANSFER_LIMITS } from "../../log-server/node/catch-up/transfer-limits.ts";
import { Transfers } from "../../log-server/node/catch-up/transfers.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { err, ok } from "../../src/lib/result.ts";
import type { Link } from "../../src/ports/link.ts";
import { SimClock } from "../../src/sim/clock.ts";
import { CALM, type NetworkFaults, SimNetwork } from "../../src/sim/network.ts";
import { Heard } from "../peer/heard.ts";
import { MemorySink, memorySource } from "../peer/memory-bytes.ts";

const ROUGH: NetworkFaults = {
  delayMsMin: 0.1,
  delayMsMax: 5,
  lossChance: 0.05,
  duplicateChance: 0.05,
  reorderChance: 0.1,
  reorderMsMax: 20,
  damageChance: 0.1,
  bytesPerSecond: 100_000_000,
};

class FullSink extends MemorySink {
  override write(): Promise<void> {
    return Promise.reject(new Error("the disk is full"));
  }
}

class WrongSink extends MemorySink {
  override finish(): Promise<string | undefined> {
    return Promise.resolve("its hash is another");
  }
}

class World {
  readonly clock = new SimClock();
  readonly network: SimNetwork;
  readonly links = new Map<string, Link>();
  readonly heard = new Map<string, Heard>();

  constructor(faults: NetworkFaults = CALM, seed = 1) {
    this.network = new SimNetwork({ clock: this.clock, prng: new Prng(seed), faults, silenceMs: 100, redialMs: 10 });
    for (const node of ["n1", "n2", "n3"]) this.start(node);
    this.clock.advance(1);
  }

  start(node: string): void {
    const link = this.network.join(node);
    const heard = new Heard();
    link.listen(heard);
    this.links.set(node, link);
    this.heard.set(node, heard);
  }

  send(from: string, to: string, text: string): boolean {
    return this.links.get(from)?.send(to, "control", [utf8(text)]) ?? false;
  }

  at(node: string): Heard {
    return this.heard.get(node) as Heard;
  }
}

describe("the simulated network", () => {
  it("unwelcome: who is refused at the handshake tries again, and who is connected stays so until one hangs up", () => {
    const clock = new SimClock();
    const refused = new Set(["n1 n2"]);
    const admits = (one: string, other: string): boolean => !refused.has(`${one} ${other}`);
    const network = new SimNetwork({ clock, prng: new Prng(1), admits, redialMs: 10, unwelcomeRedialMs: 100 });
    const heard = new Heard();
    network.join("n1").listen(heard);
    network.join("n2");
    clock.advance(250);
    expect([network.connected("n1", "n2"), heard.events, network.counts.unwelcome]).toEqual([false, [], 3]);
    refused.clear();
    clock.advance(100);
    expect(network.connected("n1", "n2")).toBe(true);
    refused.add("n1 n2");
    clock.advance(1_000);
    expect(network.connected("n1", "n2")).toBe(true);
    network.hangUp("n1", "n2");
    clock.advance(1_000);
    expect(network.connected("n1", "n2")).toBe(false);
  });

  it("calm: everything arrives, once, in order", () => {
    const world = new World();
    for (let count = 0; count < 100; count += 1) world.send("n1", "n2", `${count}`);
    world.clock.advance(10);
    expect(world.at("n2").texts("control")).toEqual(Array.from({ length: 100 }, (_, at) => `${at}`));
    expect(world.at("n3").messages).toEqual([]);
    expect(world.network.counts).toMatchObject({ sent: 100, delivered: 100, lost: 0, duplicated: 0, reordered: 0 });
  });

  it("rough: loses, repeats and reorders, and counts what it did", () => {
    const world = new World(ROUGH);
    for (let count = 0; count < 1_000; count += 1) {
      world.send("n1", "n2", `${count}`);
      world.clock.advance(1);
    }
    world.clock.advance(1_000);
    const { counts } = world.network;
    expect(counts.delivered + counts.lost).toBe(counts.sent + counts.duplicated);
    expect(Math.min(counts.lost, counts.duplicated, counts.reordered)).toBeGreaterThan(10);
    const seen = world.at("n2").texts("control").map(Number);
    expect(seen).toHaveLength(counts.delivered);
    expect(seen.some((each, at) => at > 0 && each < (seen[at - 1] as number))).toBe(true);
    expect(new Set(seen).size).toBeLessThan(seen.length);
  });

  it("rough: of a message no bit is wrong but where it proves itself, and that is counted", () => {
    const world = new World(ROUGH);
    const sent = new Uint8Array(20);
    for (let count = 0; count < 1_000; count += 1) {
      world.links.get("n1")?.send("n2", "entries", [sent.subarray(0, 5), sent.subarray(5)], 15);
      world.send("n1", "n2", "x");
      world.clock.advance(1);
    }
    world.clock.advance(1_000);
    const heard = world.at("n2").messages.filter(({ lane }) => lane === "entries");
    const wrong = heard.filter(({ bytes }) => bytes.some((byte) => byte !== 0));
    expect(wrong.length).toBeGreaterThan(50);
    expect(world.network.counts.damaged).toBeGreaterThan(50);
    for (const { bytes } of wrong) {
      expect(bytes.subarray(0, 5)).toEqual(sent.subarray(0, 5));
      expect(bytes.filter((byte) => byte !== 0)).toHaveLength(1);
    }
    expect(new Set(world.at("n2").texts("control"))).toEqual(new Set(["x"]));
    expect(
      sent.every((byte) => byte === 0),
      "what was sent stays as it was",
    ).toBe(true);
  });

  it("the same seed is the same run, another is another", () => {
    const run = (seed: number): string[] => {
      const world = new World(ROUGH, seed);
      for (let count = 0; count < 300; count += 1) {
        world.send("n1", "n2", `${count}`);
        if (count % 100 === 50) world.network.reset("n1", "n2");
        world.clock.advance(1);
      }
      return [...world.at("n2").texts("control"), ...world.at("n2").events];
    };
    expect(run(5)).toEqual(run(5));
    expect(run(5)).not.toEqual(run(6));
  });

  it("cuts one direction only, until both notice; healing connects again", () => {
    const world = new World();
    world.network.cut("n1", "n2");
    world.send("n1", "n2", "lost");
    world.send("n2", "n1", "heard");
    world.clock.advance(50);
    expect(world.at("n2").messages).toEqual([]);
    expect(world.at("n1").texts("control")).toEqual(["heard"]);
    world.clock.advance(100);
    expect(world.at("n1").reaches("n2")).toBe(false);
    expect(world.at("n2").reaches("n1")).toBe(false);
    expect(world.send("n2", "n1", "too late")).toBe(false);
    expect(world.at("n1").reaches("n3")).toBe(true);
    world.network.healAll();
    world.clock.advance(50);
    expect(world.at("n2").reaches("n1")).toBe(true);
    expect(world.network.counts.cut).toBe(1);
  });

  it("a short cut loses messages, but not the connection", () => {
    const world = new World();
    world.network.cut("n1", "n2");
    world.send("n1", "n2", "1");
    world.clock.advance(50);
    world.network.heal("n1", "n2");
    world.send("n1", "n2", "2");
    world.clock.advance(500);
    expect(world.at("n2").texts("control")).toEqual(["2"]);
    expect(world.at("n2").events).toEqual(["+n1", "+n3"]);
  });

  it("a reset loses what is under way, and both hear of it", () => {
    const world = new World();
    world.send("n1", "n2", "under way");
    world.network.reset("n1", "n2");
    world.clock.advance(100);
    expect(world.at("n2").messages).toEqual([]);
    expect(world.at("n2").events).toEqual(["+n1", "+n3", "-n1", "+n1"]);
    expect(world.network.counts).toMatchObject({ resets: 1, lost: 1 });
  });

  it("a node that starts anew hears nothing that was for its earlier life", () => {
    const world = new World();
    world.send("n1", "n2", "for the old one");
    const old = world.links.get("n2");
    world.start("n2");
    world.clock.advance(100);
    expect(world.at("n2").messages).toEqual([]);
    expect(world.at("n2").reaches("n1")).toBe(true);
    expect(old?.send("n1", "control", [utf8("from the dead")])).toBe(false);
  });

  it("what is under way when a line becomes faster goes on as fast, in order", () => {
    const world = new World({ ...CALM, bytesPerSecond: 10 });
    for (const text of ["one", "two", "six"]) world.send("n1", "n2", text);
    world.clock.advance(310);
    world.network.setFaults("n1", "n2", CALM);
    world.send("n1", "n2", "ten");
    world.clock.advance(2);
    const heard = (): string[] => world.at("n2").messages.map(({ bytes }) => Buffer.from(bytes).toString());
    expect(heard()).toEqual(["one", "two", "six", "ten"]);
    world.network.setFaults("n1", "n2", { ...CALM, bytesPerSecond: 10 });
    world.send("n1", "n2", "far");
    world.clock.advance(200);
    expect(heard()).toHaveLength(4);
    world.clock.advance(200);
    expect(heard()).toHaveLength(5);
  });

  it("bandwidth bounds what arrives", () => {
    const world = new World({ ...CALM, bytesPerSecond: 1_000_000 });
    for (let count = 0; count < 20; count += 1) {
      world.links.get("n1")?.send("n2", "entries", [new Uint8Array(100_000)]);
    }
    world.clock.advance(1_001);
    expect(world.at("n2").messages).toHaveLength(10);
  });

  it.each([1, 2, 3, 4, 5])("a transfer ends whole through everything at once, seed %s", async (seed) => {
    const world = new World(ROUGH, seed);
    const prng = new Prng(seed);
    const bytes = prng.bytes(2_000_000);
    const sink = new MemorySink();
    const limits = { ...TRANSFER_LIMITS, stallMs: 100, chunkBytes: 32 * 1024 };
    const { clock } = world;
    const [from, to] = [world.links.get("n1") as Link, world.links.get("n2") as Link];
    const sender = new Transfers({ link: from, clock, firstId: 1, limits, accept: () => Promise.reject(new Error()) });
    const receiver = new Transfers({ link: to, clock, firstId: 1, limits, accept: () => Promise.resolve(ok(sink)) });
    world.at("n1").onBulk = (peer, message) => sender.message(peer, message);
    world.at("n1").onRoom = (peer) => sender.room(peer);
    world.at("n1").onReachable = (peer) => sender.reachable(peer);
    world.at("n2").onBulk = (peer, message) => receiver.message(peer, message);
    let result: unknown;
    void sender.send("n2", memorySource("snapshot", bytes)).then((settled) => (result = settled));
    for (let step = 0; result === undefined && step < 200_000; step += 1) {
      if (step === 300 || step === 700) world.network.reset("n1", "n2");
      if (step === 500) world.network.cut("n2", "n1");
      if (step === 600) world.network.healAll();
      clock.advanceToNext();
      for (let turn = 0; turn < 16; turn += 1) await Promise.resolve();
    }
    expect(result).toEqual(ok(undefined));
    expect(Buffer.compare(sink.bytes, bytes)).toBe(0);
    // Each byte reached the sink once, whatever came twice.
    expect(sink.writtenBytes).toBe(bytes.length);
    expect(world.network.counts.resets).toBeGreaterThan(0);
  });

  it.each([
    ["is not wanted", () => Promise.resolve(err("no room here")), "no room here"],
    ["cannot be asked for", () => Promise.reject(new Error("the folder is gone")), "the folder is gone"],
    ["cannot be kept", () => Promise.resolve(ok(new FullSink())), "the disk is full"],
    ["proves wrong", () => Promise.resolve(ok(new WrongSink())), "its hash is another"],
  ] as const)("a transfer that %s fails with the reason", async (_what, accept, reason) => {
    const world = new World();
    const { clock } = world;
    const [from, to] = [world.links.get("n1") as Link, world.links.get("n2") as Link];
    const sender = new Transfers({ link: from, clock, firstId: 1, accept: () => Promise.reject(new Error()) });
    const receiver = new Transfers({ link: to, clock, firstId: 1, accept });
    world.at("n1").onBulk = (peer, message) => sender.message(peer, message);
    world.at("n2").onBulk = (peer, message) => receiver.message(peer, message);
    let result: unknown;
    void sender.send("n2", memorySource("s", new Uint8Array(100_000))).then((settled) => (result = settled));
    for (let step = 0; result === undefined && step < 1_000; step += 1) {
      clock.advanceToNext();
      for (let turn = 0; turn < 16; turn += 1) await Promise.resolve();
    }
    expect(result).toEqual(err(reason));
  });

  it("a transfer to nobody fails in the end", async () => {
    const world = new World();
    const { clock } = world;
    const options = { clock, firstId: 1, accept: () => Promise.reject(new Error()) };
    const sender = new Transfers({ ...options, link: world.links.get("n1") as Link });
    let result: unknown;
    void sender.send("n9", memorySource("s", new Uint8Array(10))).then((settled) => (result = settled));
    for (let step = 0; result === undefined && step < 1_000; step += 1) {
      clock.advanceToNext();
      for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
    }
    expect(result).toMatchObject({ ok: false, error: "no progress for 60000 ms" });
  });
});
