/** Frames over real sockets: commands in order, reads, and many streams on one connection. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningNode, startNode } from "../../log-server/start-node.ts";
import { concat } from "../../src/lib/bytes.ts";
import type { Command } from "../../src/wire/command.ts";
import type { Request } from "../../src/wire/request.ts";
import { append, close, create, encode, FrameClient, subscribe, valuesOf } from "./frame-client.ts";

const MUCH = 1_000_000;

let node: RunningNode;
let client: FrameClient;

beforeAll(async () => {
  node = await startNode();
  client = await FrameClient.open(node.url);
});

afterAll(async () => {
  client.close();
  await node.close();
});

function read(stream: string, offset: number, waitMs = 0): Request {
  return { kind: "read", stream, from: "offset", offset, maxBytes: MUCH, waitMs };
}

describe("W106: commands", () => {
  it("are pipelined, and acknowledged in order with their offsets", async () => {
    const count = 1_000;
    const messages = Array.from({ length: count }, (_, at) => encode(append("c/order", `${at}`), at + 1));
    client.send(0, create("c/order"));
    // Some alone, some many in one message.
    for (let at = 0; at < count; at += 1 + (at % 7)) client.sendBytes(concat(messages.slice(at, at + 1 + (at % 7))));
    for (let at = 0; at < count; at += 1)
      expect(await client.next(at + 1)).toMatchObject({
        kind: "result",
        result: { kind: "appended", firstOffset: at },
      });
    expect(client.arrived).toEqual(client.arrived.toSorted((a, b) => a - b));
    expect(valuesOf(await client.ask(1, read("c/order", 0)))).toEqual(messages.map((_, at) => `${at}`));
  });

  it("an answer that is known early waits for those before it", async () => {
    client.send(20, create("c/early", "application/json"));
    client.send(21, append("c/early", "1"));
    client.send(22, append("c/early", "{not json"));
    client.send(23, append("c/early", "3"));
    expect(await client.next(22)).toMatchObject({ kind: "error", code: "malformed-json" });
    await client.next(23);
    expect(client.arrived.slice(-4)).toEqual([20, 21, 22, 23]);
    expect(valuesOf(await client.ask(24, read("c/early", 0)))).toEqual(["1", "3"]);
  });

  it("a stream that is created just before takes what follows at once", async () => {
    const names = Array.from({ length: 50 }, (_, at) => `c/new/${at}`);
    names.forEach((name, at) => {
      client.send(100 + at, create(name));
      client.send(200 + at, append(name, "x"));
    });
    for (let at = 0; at < names.length; at += 1)
      expect(await client.next(200 + at)).toMatchObject({ kind: "result", result: { firstOffset: 0 } });
  });

  it("what the state machine or the door refuses is told, and the connection goes on", async () => {
    expect(await client.ask(30, append("c/none", "x"))).toMatchObject({ kind: "error", code: "stream-not-found" });
    await client.ask(31, create("c/closed"));
    await client.ask(32, close("c/closed"));
    expect(await client.ask(33, append("c/closed", "x"))).toMatchObject({ result: { code: "stream-closed" } });
    expect(await client.ask(34, { kind: "command", command: { kind: "tick" } })).toMatchObject({
      kind: "error",
      code: "malformed-command",
    });
    expect(
      await client.ask(35, { kind: "command", command: { kind: "append", stream: "c/closed", close: false } }),
    ).toMatchObject({ kind: "error", code: "empty-body" });
    expect(await client.ask(36, { kind: "ping" })).toMatchObject({ kind: "pong" });
  });
});

it("W219: what a deployed app writes itself nobody else appends to, or trims", async () => {
  const stream = "apps/kept/commits/0.0";
  const tasks = [{ task: "0.0", inputs: ["in"] }];
  const command = (sent: Command): Request => ({ kind: "command", command: sent });
  await client.ask(10, create(stream));
  const put = { kind: "app-put", app: "kept", version: 1, tasks, description: "", options: "", shape: [] } as const;
  expect(await client.ask(11, command(put))).toMatchObject({ kind: "result" });
  const refused = { kind: "result", result: { kind: "rejected", code: "app-needs" } };
  expect(await client.ask(12, append(stream, "forged"))).toMatchObject(refused);
  expect(await client.ask(13, command({ kind: "trim", stream, before: 0 }))).toMatchObject(refused);
});

describe("reads", () => {
  it("describe, read, and wait at the tail", async () => {
    await client.ask(40, create("r/one"));
    expect(await client.ask(41, { kind: "describe", stream: "r/one" })).toMatchObject({ kind: "description", tail: 0 });
    client.send(42, read("r/one", 0, 20_000));
    client.send(43, append("r/one", "a", "b"));
    expect(valuesOf(await client.next(42))).toEqual(["a", "b"]);
    expect(await client.ask(44, read("r/one", 9))).toMatchObject({ kind: "error", code: "malformed-offset" });
    expect(await client.ask(45, read("r/none", 0))).toMatchObject({ kind: "error", code: "stream-not-found" });
  });
});

describe("W100: subscriptions", () => {
  it("catch up, go on live, and end with the stream", async () => {
    await client.ask(50, create("s/live"));
    await client.ask(51, append("s/live", "a", "b"));
    client.send(52, subscribe("s/live", MUCH));
    expect(await client.next(52)).toMatchObject({ kind: "subscribed", offset: 0, tail: 2, contentType: "text/plain" });
    const first = await client.next(52);
    expect(valuesOf(first)).toEqual(["a", "b"]);
    expect(first).toMatchObject({ nextOffset: 2, upToDate: true });
    client.send(53, append("s/live", "c"));
    expect(valuesOf(await client.next(52))).toEqual(["c"]);
    client.send(54, close("s/live"));
    expect(await client.next(52)).toMatchObject({ kind: "end", reason: "closed", nextOffset: 3 });
    // Its number is free again.
    client.send(52, subscribe("s/live", MUCH, { offset: 1 }));
    expect(await client.next(52)).toMatchObject({ kind: "subscribed", offset: 1 });
    expect(valuesOf(await client.next(52), 1)).toEqual(["b", "c"]);
  });

  it("begin at the tail, or inside a batch", async () => {
    await client.ask(60, create("s/from"));
    await client.ask(61, append("s/from", "a", "b", "c"));
    client.send(62, subscribe("s/from", MUCH, "now"));
    expect(await client.next(62)).toMatchObject({ kind: "subscribed", offset: 3 });
    client.send(63, subscribe("s/from", MUCH, { offset: 1 }));
    expect(await client.next(63)).toMatchObject({ kind: "subscribed", offset: 1 });
    expect(valuesOf(await client.next(63), 1)).toEqual(["b", "c"]);
    client.send(64, append("s/from", "d"));
    for (const id of [62, 63]) expect(valuesOf(await client.next(id))).toEqual(["d"]);
    client.send(62, { kind: "unsubscribe" });
    expect(await client.next(62)).toMatchObject({ kind: "end", reason: "unsubscribed", nextOffset: 4 });
    // One that is not there may have ended meanwhile.
    client.send(999, { kind: "unsubscribe" }, { kind: "credit", bytes: 5 });
    expect(await client.ask(65, { kind: "ping" })).toMatchObject({ kind: "pong" });
  });

  it("W101: nothing is sent without credit, and at most one batch beyond it", async () => {
    await client.ask(70, create("s/credit"));
    for (let at = 0; at < 10; at += 1) await client.ask(71, append("s/credit", `${at}`));
    client.send(72, subscribe("s/credit", 0));
    expect(await client.next(72)).toMatchObject({ kind: "subscribed", tail: 10 });
    await client.ask(73, { kind: "ping" });
    expect(client.held(72)).toEqual([]);
    for (let at = 0; at < 10; at += 1) {
      client.send(72, { kind: "credit", bytes: 1 });
      expect(valuesOf(await client.next(72))).toEqual([`${at}`]);
      await client.ask(73, { kind: "ping" });
      expect(client.held(72)).toEqual([]);
      // The batch went beyond the credit, and that is owed first.
      client.send(72, { kind: "credit", bytes: 10 });
      await client.ask(73, { kind: "ping" });
      expect(client.held(72)).toEqual([]);
      client.send(72, { kind: "credit", bytes: 28 });
    }
  });

  it("W104: what retention removed is told as a gap, at the start and on the way", async () => {
    await client.ask(80, create("s/gap"));
    for (const value of ["a", "b", "c", "d"]) await client.ask(81, append("s/gap", value));
    const trim = (before: number): Request => ({ kind: "command", command: { kind: "trim", stream: "s/gap", before } });
    await client.ask(82, trim(1));
    client.send(83, subscribe("s/gap", 1, { offset: 0 }));
    expect(await client.next(83)).toMatchObject({ kind: "subscribed", offset: 0, firstOffset: 1 });
    expect(await client.next(83)).toMatchObject({ kind: "gap", from: 0, to: 1 });
    expect(valuesOf(await client.next(83))).toEqual(["b"]);
    await client.ask(84, trim(3));
    client.send(83, { kind: "credit", bytes: MUCH });
    expect(await client.next(83)).toMatchObject({ kind: "gap", from: 2, to: 3 });
    expect(valuesOf(await client.next(83))).toEqual(["d"]);
    client.send(85, subscribe("s/gap", MUCH));
    expect(await client.next(85)).toMatchObject({ kind: "subscribed", offset: 3 });
  });

  it("end with an error where the stream is not, or goes, or is another", async () => {
    expect(await client.ask(90, subscribe("s/none", MUCH))).toMatchObject({ kind: "error", code: "stream-not-found" });
    await client.ask(91, create("s/gone"));
    expect(await client.ask(92, subscribe("s/gone", MUCH, { offset: 5 }))).toMatchObject({ code: "malformed-offset" });
    client.send(93, subscribe("s/gone", MUCH));
    const begun = await client.next(93);
    client.send(94, { kind: "command", command: { kind: "delete", stream: "s/gone" } });
    expect(await client.next(93)).toMatchObject({ kind: "error", code: "stream-not-found" });
    await client.ask(95, create("s/gone"));
    const incarnation = "incarnation" in begun ? begun.incarnation : 0;
    expect(await client.ask(96, subscribe("s/gone", MUCH, { offset: 0, incarnation }))).toMatchObject({
      code: "stream-gone",
    });
  });

  it("many streams, each record once and in order", async () => {
    const other = await FrameClient.open(node.url);
    const streams = Array.from({ length: 30 }, (_, at) => `s/many/${at}`);
    const each = 40;
    for (const [at, stream] of streams.entries()) other.send(at, create(stream));
    for (const at of streams.keys()) await other.next(at);
    for (const [at, stream] of streams.entries()) client.send(1_000 + at, subscribe(stream, 200));
    for (let round = 0; round < each; round += 1) {
      for (const [at, stream] of streams.entries()) other.send(at, append(stream, `${stream} ${round}`));
    }
    await Promise.all(
      streams.map(async (stream, at) => {
        const seen: string[] = [];
        while (seen.length < each) {
          const answer = await client.next(1_000 + at);
          if (answer.kind !== "records") continue;
          seen.push(...valuesOf(answer));
          client.send(1_000 + at, {
            kind: "credit",
            bytes: answer.batches.reduce((sum, { bytes }) => sum + bytes.length, 0),
          });
        }
        expect(seen).toEqual(Array.from({ length: each }, (_, round) => `${stream} ${round}`));
      }),
    );
    other.close();
  });
});
