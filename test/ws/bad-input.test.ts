/** What a WebSocket peer must not do, and what it is told: by a close code with a reason, or by an error frame. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { concat, utf8 } from "../../src/lib/bytes.ts";
import { encodeSparseBatch } from "../../src/record/batch-codec.ts";
import { encodeRequest } from "../../src/wire/request.ts";
import { append, batch, create, encode, FrameClient, rawFrame, subscribe } from "./frame-client.ts";
import { handshake, OPCODE, RawPeer, rawMessage } from "./raw-peer.ts";
import { startWsServer, type WsServer } from "./ws-server.ts";

const LIMITS = {
  messageBytesMax: 100_000,
  textBytesMax: 10_000,
  framesPerMessageMax: 20,
  subscriptionsMax: 3,
  queriesUnderWayMax: 3,
  connectionsMax: 5,
};

let server: WsServer;

beforeAll(async () => {
  server = await startWsServer(LIMITS);
});

afterAll(async () => {
  await server.close();
});

const ping = encode({ kind: "ping" }, 1);
const NOTHING = new Uint8Array();

describe("messages that end the connection", () => {
  it.each<[string, number, RegExp, Uint8Array]>([
    ["W62: a frame shorter than its header", 1002, /malformed-frame/, rawFrame(7, 1, NOTHING, 7)],
    ["W60: a frame cut short", 1002, /cut short/, ping.subarray(0, 9)],
    ["W60: a frame across two messages", 1002, /cut short/, concat([ping, ping.subarray(0, 3)])],
    ["W61: a frame that claims 4 GiB", 1009, /body-too-large/, rawFrame(7, 1, NOTHING, 0xffff_ffff)],
    ["W63: another version", 1002, /unsupported-version/, ping.with(4, 2)],
    ["W63: a flag", 1002, /malformed-frame/, ping.with(6, 1)],
    ["too many frames in one message", 1002, /more than 20/, concat(Array.from({ length: 21 }, () => ping))],
    [
      "W100: a number that is in use",
      1002,
      /number 1 is under way/,
      concat([encode(subscribe("x", 1), 1), encode(subscribe("x", 1), 1)]),
    ],
  ])("%s", async (_what, code, reason, message) => {
    const client = await FrameClient.open(server.url);
    client.sendBytes(message);
    const closed = await client.closed;
    expect(closed.code).toBe(code);
    expect(closed.reason).toMatch(reason);
  });

  it.each<[string, number, Uint8Array]>([
    ["an unmasked frame", 1002, rawMessage(OPCODE.binary, ping, { masked: false })],
    ["a reserved opcode", 1002, rawMessage(3, ping)],
    ["a reserved bit: deflate is off", 1002, rawMessage(OPCODE.binary, ping, { rsv: 4 })],
    ["a continuation of nothing", 1002, rawMessage(0, ping)],
    ["a ping that is too long", 1002, rawMessage(OPCODE.ping, new Uint8Array(126))],
    ["a ping in pieces", 1002, rawMessage(OPCODE.ping, NOTHING, { fin: false })],
    ["a text that is not UTF-8", 1007, rawMessage(OPCODE.text, Uint8Array.of(0xc0, 0xaf))],
    ["a message over the bound", 1009, rawMessage(OPCODE.binary, new Uint8Array(100_001))],
    ["a message that claims 2^62 bytes", 1009, rawMessage(OPCODE.binary, NOTHING, { claim: 2n ** 62n })],
    ["a text over the bound", 1009, rawMessage(OPCODE.text, new Uint8Array(10_001).fill(32))],
    ["a close code that nobody may send", 1002, rawMessage(OPCODE.close, Uint8Array.of(3, 237))],
  ])("%s", async (_what, code, bytes) => {
    const peer = await RawPeer.open(server.url);
    peer.write(bytes);
    expect(await peer.closing()).toMatchObject({ code });
    await peer.closed;
  });

  it("pieces of one message are put together", async () => {
    const peer = await RawPeer.open(server.url);
    peer.write(rawMessage(OPCODE.binary, ping.subarray(0, 5), { fin: false }));
    peer.write(rawMessage(OPCODE.ping, utf8("?")));
    peer.write(rawMessage(0, ping.subarray(5)));
    expect((await peer.next())?.opcode).toBe(OPCODE.pong);
    expect((await peer.next())?.opcode).toBe(OPCODE.binary);
    peer.socket.destroy();
  });
});

describe("frames that spoil only their own request", () => {
  it.each<[string, string, Uint8Array]>([
    ["W6: a kind that is not known", "malformed-frame", rawFrame(99, 5, NOTHING)],
    ["W66: a response", "malformed-frame", rawFrame(132, 5, NOTHING)],
    ["an empty body", "malformed-frame", rawFrame(1, 5, NOTHING)],
    ["W100: a subscribe cut short", "malformed-frame", rawFrame(4, 5, utf8("\u0001a"))],
    ["W72: a name that is none", "malformed-name", encodeRequest({ kind: "describe", stream: "../x" }, 5)],
    ["W21: a flipped bit in a batch", "checksum-mismatch", flipped(encode(append("x", "abc"), 5))],
    [
      "W43: a command that clients may not send",
      "malformed-command",
      encodeRequest({ kind: "command", command: { kind: "tick" } }, 5),
    ],
    ["W44: a name in a command", "malformed-name", encode(append("a//b", "x"), 5)],
    ["W31: a sparse batch", "malformed-batch", sparseAppend()],
  ])("%s", async (_what, code, frame) => {
    const client = await FrameClient.open(server.url);
    client.sendBytes(frame);
    expect(await client.next(5)).toMatchObject({ kind: "error", code });
    expect(await client.ask(6, { kind: "ping" })).toMatchObject({ kind: "pong" });
    client.close();
    await client.closed;
  });
});

describe("bounds", () => {
  it("subscriptions, reads and connections beyond their bounds are told to come later", async () => {
    const client = await FrameClient.open(server.url);
    await client.ask(1, create("bound"));
    for (let id = 10; id < 13; id += 1)
      expect(await client.ask(id, subscribe("bound", 1))).toMatchObject({ kind: "subscribed" });
    expect(await client.ask(13, subscribe("bound", 1))).toMatchObject({
      kind: "error",
      code: "overloaded",
      retryAfterSeconds: 1,
    });
    expect(server.readers()).toBe(3);
    client.send(10, { kind: "unsubscribe" });
    expect(await client.next(10)).toMatchObject({ kind: "end" });
    expect(await client.ask(13, subscribe("bound", 1))).toMatchObject({ kind: "subscribed" });
    const wait = { kind: "read", stream: "bound", from: "now", offset: 0, maxBytes: 1, waitMs: 30_000 } as const;
    for (let id = 20; id < 23; id += 1) client.send(id, wait);
    expect(await client.ask(23, wait)).toMatchObject({ kind: "error", code: "overloaded" });
    const others: FrameClient[] = [];
    for (let count = 1; count < LIMITS.connectionsMax; count += 1) others.push(await FrameClient.open(server.url));
    expect(await (await FrameClient.open(server.url)).closed).toMatchObject({ code: 1013 });
    for (const other of [client, ...others]) {
      other.close();
      await other.closed;
    }
    while (server.readers() > 0) await new Promise((resolve) => setImmediate(resolve));
    const again = await FrameClient.open(server.url);
    again.close();
    await again.closed;
  });

  it("credit beyond any sense is only much", async () => {
    const client = await FrameClient.open(server.url);
    await client.ask(1, create("credit"));
    client.send(2, subscribe("credit", Number.MAX_SAFE_INTEGER), { kind: "credit", bytes: Number.MAX_SAFE_INTEGER });
    expect(await client.next(2)).toMatchObject({ kind: "subscribed" });
    client.send(3, append("credit", "x"));
    expect(await client.next(2)).toMatchObject({ kind: "records" });
    client.close();
    await client.closed;
  });
});

describe("the opening", () => {
  it.each<[string, number, Record<string, string | undefined>, string?]>([
    ["no key", 400, { "Sec-WebSocket-Key": undefined }],
    ["a key that is none", 400, { "Sec-WebSocket-Key": "short" }],
    ["an old version", 400, { "Sec-WebSocket-Version": "7" }],
    ["an upgrade to something else", 400, { Upgrade: "h2c" }],
    ["a page from elsewhere", 403, { Origin: "https://evil.example" }],
    ["a foreign name", 403, { Host: "evil.example" }],
    ["no upgrade at all", 426, { Upgrade: undefined, Connection: "close" }],
    ["a path that takes none", 404, {}, "/v1/elsewhere"],
  ])("%s", async (_what, status, headers, path) => {
    const answer = await handshake(server.url, headers, path);
    expect(answer.status).toBe(status);
    answer.socket.destroy();
  });

  it("a refused one ends, so that it holds nothing", async () => {
    const { socket, body } = await handshake(server.url, { Origin: "https://evil.example" });
    expect(JSON.parse(body)).toMatchObject({ code: "forbidden-origin" });
    await new Promise((resolve) => {
      socket.once("close", resolve);
    });
  });

  it("a page from this machine is welcome", async () => {
    const { status, socket } = await handshake(server.url, { Origin: "http://localhost:3000" });
    expect(status).toBe(101);
    socket.destroy();
  });

  it("an upgrade elsewhere is a wish that is not granted", async () => {
    const { status, socket } = await handshake(server.url, { Upgrade: "h2c" }, "/v1/stream/none");
    expect(status).toBe(404);
    socket.destroy();
  });
});

describe("W103: tokens", () => {
  const token = "a-token/that+is-long-enough~";

  it("in a header or as a subprotocol, but never repeated", async () => {
    const guarded = await startWsServer({}, { kind: "token", token });
    const encoded = `bearer.${encodeURIComponent(token)}`;
    const attempts: [number, Record<string, string | undefined>][] = [
      [401, {}],
      [401, { Authorization: "Bearer wrong" }],
      [401, { "Sec-WebSocket-Protocol": "tidemark.v1" }],
      [401, { "Sec-WebSocket-Protocol": "tidemark.v1, bearer.wrong" }],
      [401, { "Sec-WebSocket-Protocol": "bearer.%zz" }],
      [101, { Authorization: `Bearer ${token}` }],
      [101, { "Sec-WebSocket-Protocol": `tidemark.v1, ${encoded}` }],
      // Anyone may ask, wherever their page is from: it is the token that counts.
      [101, { "Sec-WebSocket-Protocol": `${encoded}, tidemark.v1`, "Origin": "https://app.example" }],
    ];
    for (const [status, headers] of attempts) {
      const answer = await handshake(guarded.url, headers);
      expect([answer.status, headers]).toEqual([status, headers]);
      expect(answer.head).not.toContain(encoded);
      answer.socket.destroy();
    }
    const client = await FrameClient.open(guarded.url, ["tidemark.v1", encoded]);
    expect(client.socket.protocol).toBe("tidemark.v1");
    client.close();
    // The subprotocol is for opening a WebSocket only.
    const plain = await fetch(`${guarded.url}/v1/stream/x`, { headers: { "Sec-WebSocket-Protocol": encoded } });
    expect(plain.status).toBe(401);
    await guarded.close();
  });
});

function flipped(frame: Uint8Array): Uint8Array {
  return frame.with(frame.length - 1, (frame.at(-1) as number) ^ 1);
}

function sparseAppend(): Uint8Array {
  const bytes = encodeSparseBatch([{ offsetDelta: 0, record: { value: utf8("x") } }], 1);
  const hash = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const sparse = { ...batch("x"), hash, length: bytes.length, bytes };
  return encodeRequest({ kind: "command", command: { kind: "append", stream: "x", close: false, batch: sparse } }, 5);
}
