/** How connections end: peers that take nothing or say nothing, and a server that stops. */
import { afterEach, describe, expect, it } from "vitest";
import { splitFrames } from "../../src/wire/frame.ts";
import { decodeResponse } from "../../src/wire/response.ts";
import { decodeSocketResponse, isSocketResponse } from "../../src/wire/socket-frames.ts";
import { type Answer, append, create, encode, FrameClient, subscribe } from "./frame-client.ts";
import { OPCODE, RawPeer, rawMessage } from "./raw-peer.ts";
import { startWsServer, type WsServer } from "./ws-server.ts";

const MUCH = 1_000_000_000;

let server: WsServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function fill(url: string, stream: string, records: number, bytes: number): Promise<void> {
  const client = await FrameClient.open(url);
  await client.ask(1, create(stream));
  const value = "x".repeat(bytes);
  for (let at = 0; at < records; at += 1) client.send(2, append(stream, value));
  for (let at = 0; at < records; at += 1) await client.next(2);
  client.close();
  await client.closed;
}

/** All answers up to the end of the connection, and how it ended. */
async function drain(
  peer: RawPeer,
): Promise<{ readonly answers: readonly Answer[]; readonly code: number | undefined }> {
  const answers: Answer[] = [];
  for (let frame = await peer.next(); frame !== undefined; frame = await peer.next()) {
    if (frame.opcode === OPCODE.close) {
      peer.socket.end();
      return { answers, code: frame.payload.readUInt16BE(0) };
    }
    if (frame.opcode !== OPCODE.binary) continue;
    const frames = splitFrames(frame.payload, MUCH, MUCH);
    if (!frames.ok) throw new Error(frames.error.message);
    for (const each of frames.value) {
      const answer = isSocketResponse(each) ? decodeSocketResponse(each) : decodeResponse(each);
      if (!answer.ok) throw new Error(answer.error.message);
      answers.push(answer.value);
    }
  }
  return { answers, code: undefined };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("W108: a subscriber that does not read", () => {
  it("is bounded, then closed with the place to go on at", async () => {
    server = await startWsServer({
      stalledPeerMs: 400,
      checkEveryMs: 20,
      sendBufferBytes: 64 * 1024,
      closeGraceMs: 60_000,
    });
    const records = 200;
    await fill(server.url, "big", records, 100_000);
    const peer = await RawPeer.open(server.url);
    peer.socket.pause();
    peer.write(rawMessage(OPCODE.binary, encode(subscribe("big", MUCH), 1)));
    await until(() => (server as WsServer).dropped() === 1);
    expect(server.readers()).toBe(0);
    peer.socket.resume();
    const { answers, code } = await drain(peer);
    expect(code).toBe(1008);
    const end = answers.at(-1);
    expect(end).toMatchObject({ kind: "end", reason: "slow" });
    const sent = answers.filter((answer) => answer.kind === "records");
    const next = sent.at(-1)?.nextOffset ?? 0;
    // I7: everything before its place was sent, and no more than buffers hold.
    expect(end).toMatchObject({ nextOffset: next });
    expect(next).toBeLessThan(records);
    const client = await FrameClient.open(server.url);
    client.send(1, subscribe("big", MUCH, { offset: next }));
    let read = next;
    expect(await client.next(1)).toMatchObject({ kind: "subscribed", offset: next });
    while (read < records) {
      const answer = await client.next(1);
      if (answer.kind !== "records") throw new Error(answer.kind);
      expect(answer.batches[0]?.firstOffset).toBe(read);
      read = answer.nextOffset;
    }
    client.close();
  });

  it("of many streams is bounded, too, then closed with the place to go on at", async () => {
    server = await startWsServer({
      stalledPeerMs: 400,
      checkEveryMs: 20,
      sendBufferBytes: 64 * 1024,
      closeGraceMs: 60_000,
      releaseAfterMs: 50,
    });
    const records = 100;
    for (const name of ["a", "b"]) await fill(server.url, name, records, 100_000);
    const streams = ["a", "b"].map((stream) => ({ stream, from: "start", offset: 0 }) as const);
    const follow = { kind: "follow", streams, credit: MUCH, markEveryMs: 0 } as const;
    const peer = await RawPeer.open(server.url);
    peer.socket.pause();
    peer.write(rawMessage(OPCODE.binary, encode(follow, 1)));
    await until(() => (server as WsServer).dropped() === 1);
    expect(server.readers()).toBe(0);
    peer.socket.resume();
    const { answers, code } = await drain(peer);
    expect(code).toBe(1008);
    const end = answers.at(-1);
    if (end?.kind !== "follow-end") throw new Error(`the last answer is "${end?.kind}"`);
    expect(end.reason).toBe("slow");
    const sent = answers.flatMap((answer) => (answer.kind === "follow-records" ? answer.batches : []));
    expect(sent.length).toBeLessThan(2 * records);
    // W119: everything before its place was sent, and the rest is from there on.
    const client = await FrameClient.open(server.url);
    client.send(1, { ...follow, notBefore: end.next });
    expect(await client.next(1)).toMatchObject({ kind: "following" });
    const all = [...sent];
    while (all.length < 2 * records) {
      const answer = await client.next(1);
      if (answer.kind !== "follow-records") throw new Error(answer.kind);
      all.push(...answer.batches);
    }
    const places = all.map(({ stream, firstOffset }) => `${stream} ${firstOffset}`);
    expect(places).toEqual(
      [0, 1].flatMap((stream) => Array.from({ length: records }, (_, offset) => `${stream} ${offset}`)),
    );
    client.close();
  });

  it("is cut off if it does not take even its goodbye", async () => {
    server = await startWsServer({ stalledPeerMs: 30, checkEveryMs: 10, sendBufferBytes: 64 * 1024, closeGraceMs: 30 });
    await fill(server.url, "big", 200, 100_000);
    const peer = await RawPeer.open(server.url);
    peer.socket.pause();
    peer.write(rawMessage(OPCODE.binary, encode(subscribe("big", MUCH), 1)));
    await until(() => (server as WsServer).dropped() === 1);
    await server.close();
    server = undefined;
    peer.socket.resume();
    expect((await drain(peer)).code).not.toBe(1000);
  });

  it("one that sends and does not read its answers is not read from either", async () => {
    server = await startWsServer({ sendBufferBytes: 16 * 1024, stalledPeerMs: 60_000 });
    await fill(server.url, "big", 4, 100_000);
    const peer = await RawPeer.open(server.url);
    peer.socket.pause();
    const read = { kind: "read", stream: "big", from: "start", offset: 0, maxBytes: 1_000_000, waitMs: 0 } as const;
    const count = 300;
    for (let id = 0; id < count; id += 1) peer.write(rawMessage(OPCODE.binary, encode(read, id)));
    await until(() => server !== undefined && peer.socket.writableLength === 0);
    peer.socket.resume();
    let answered = 0;
    while (answered < count) {
      const frame = await peer.next();
      const frames = splitFrames(frame?.payload ?? new Uint8Array(), MUCH, MUCH);
      if (!frames.ok || frames.value.length === 0) throw new Error("the connection broke");
      answered += frames.value.length;
    }
    peer.socket.destroy();
  });
});

describe("W107: a peer that says nothing", () => {
  it("is pinged, and kept if it answers", async () => {
    server = await startWsServer({ silenceMs: 300, checkEveryMs: 20 });
    const peer = await RawPeer.open(server.url);
    for (let pings = 0; pings < 3; pings += 1) {
      const frame = await peer.next();
      expect(frame?.opcode).toBe(OPCODE.ping);
      peer.write(rawMessage(OPCODE.pong, frame?.payload ?? new Uint8Array()));
    }
    peer.socket.destroy();
  });

  it("is dropped if it does not", async () => {
    server = await startWsServer({ silenceMs: 20, checkEveryMs: 5, closeGraceMs: 20 });
    const peer = await RawPeer.open(server.url);
    expect(await peer.closing()).toMatchObject({ code: 1008 });
    await peer.closed;
  });
});

describe("W109: a server that stops", () => {
  it("answers what is under way, ends subscriptions with their places, and closes with 1001", async () => {
    server = await startWsServer();
    const client = await FrameClient.open(server.url);
    await client.ask(1, create("s"));
    client.send(2, subscribe("s", MUCH));
    await client.next(2);
    client.send(3, append("s", "a"));
    expect(await client.next(2)).toMatchObject({ kind: "records", nextOffset: 1 });
    const wait = { kind: "read", stream: "s", from: "now", offset: 0, maxBytes: 1, waitMs: 30_000 } as const;
    client.send(4, wait);
    client.send(5, append("s", "b"));
    await client.next(5);
    await client.next(4);
    client.send(4, { ...wait });
    await client.ask(6, { kind: "ping" });
    const stopped = server.close();
    server = undefined;
    expect(await client.next(2)).toMatchObject({ kind: "records", nextOffset: 2 });
    expect(await client.next(2)).toMatchObject({ kind: "end", reason: "stopping", nextOffset: 2 });
    expect(await client.next(4)).toMatchObject({ kind: "records", nextOffset: 2, batches: [] });
    expect(await client.closed).toMatchObject({ code: 1001, reason: "the server is stopping" });
    await stopped;
  });

  it("does not wait for a peer that never says goodbye", async () => {
    server = await startWsServer({ closeGraceMs: 20 });
    const peer = await RawPeer.open(server.url);
    await server.close();
    server = undefined;
    await peer.closed;
  });
});

describe("a peer that goes", () => {
  it("leaves nothing behind", async () => {
    server = await startWsServer();
    await fill(server.url, "s", 1, 10);
    for (let round = 0; round < 20; round += 1) {
      const peer = await RawPeer.open(server.url);
      peer.write(rawMessage(OPCODE.binary, encode(subscribe("s", 0), 1)));
      peer.write(rawMessage(OPCODE.binary, encode(subscribe("s", MUCH, "now"), 2)));
      if (round % 2 === 0) await until(() => (server as WsServer).readers() === 2);
      peer.socket.destroy();
      await until(() => (server as WsServer).readers() === 0);
    }
    expect(server.node.status().waitingReaders).toBe(0);
  });
});
