/** Following many streams in log order over real sockets: order, marks, credit, bounds, ends. */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { SYSTEM_CLOCK } from "../../log-server/system.ts";
import { decodeBatch } from "../../src/record/batch-codec.ts";
import { comparePlaces, type LogPlace } from "../../src/record/log-place.ts";
import type { Command, TransactionOperation } from "../../src/wire/command.ts";
import type { FollowRequest, FollowStart } from "../../src/wire/follow-frames.ts";
import type { Request } from "../../src/wire/request.ts";
import { type Answer, append, batch, close, create, FrameClient } from "./frame-client.ts";
import { startWsServer, type WsServer } from "./ws-server.ts";

const MUCH = 10_000_000;

let server: WsServer;
let client: FrameClient;

beforeAll(async () => {
  server = await startWsServer();
  client = await FrameClient.open(server.url);
});

afterAll(async () => {
  client.close();
  await server.close();
});

function start(
  stream: string,
  from: "start" | "now" | { offset: number; incarnation?: number } = "start",
): FollowStart {
  return typeof from === "string" ? { stream, from, offset: 0 } : { stream, from: "offset", ...from };
}

function follow(streams: readonly (string | FollowStart)[], more: Partial<FollowRequest> = {}): FollowRequest {
  return {
    kind: "follow",
    streams: streams.map((stream) => (typeof stream === "string" ? start(stream) : stream)),
    credit: MUCH,
    markEveryMs: 0,
    ...more,
  };
}

function transaction(...operations: readonly TransactionOperation[]): Request {
  return { kind: "command", command: { kind: "transaction", conditions: [], operations } };
}

function appendTo(stream: string, ...values: string[]): Extract<Command, { kind: "append" }> {
  return { kind: "append", stream, close: false, batch: batch(...values) };
}

type Received = LogPlace & { readonly stream: number; readonly offset: number; readonly value: string };

function recordsOf(answer: Answer): Received[] {
  if (answer.kind !== "follow-records") throw new Error(`records were expected, not "${answer.kind}"`);
  return answer.batches.flatMap(({ position, ordinal, stream, firstOffset, bytes }) => {
    const decoded = decodeBatch(bytes, { rawBytesMax: MUCH });
    if (!decoded.ok) throw new Error(decoded.error.message);
    return decoded.value.records.map(({ offsetDelta, record }) => ({
      position,
      ordinal,
      stream,
      offset: firstOffset + offsetDelta,
      value: new TextDecoder().decode(record.value ?? new Uint8Array()),
    }));
  });
}

/** Takes answers until so many records have come. */
async function take(id: number, count: number, from: FrameClient = client): Promise<Received[]> {
  const records: Received[] = [];
  while (records.length < count) records.push(...recordsOf(await from.next(id)));
  return records;
}

describe("W115: a follow", () => {
  it("catches up and goes on live, in the order of the log", async () => {
    for (const name of ["o/a", "o/b", "o/c"]) await client.ask(1, create(name));
    await client.ask(1, append("o/b", "1"));
    await client.ask(1, append("o/a", "2", "3"));
    await client.ask(1, append("o/c", "not followed"));
    await client.ask(1, transaction(appendTo("o/b", "4"), appendTo("o/a", "5"), appendTo("o/b", "6")));
    client.send(2, follow(["o/a", "o/b"]));
    expect(await client.next(2)).toMatchObject({
      kind: "following",
      streams: [
        { offset: 0, tail: 3, contentType: "text/plain" },
        { offset: 0, tail: 3 },
      ],
    });
    const caughtUp = await take(2, 6);
    expect(caughtUp.map(({ value }) => value)).toEqual(["1", "2", "3", "4", "5", "6"]);
    expect(caughtUp.slice(3).map(({ ordinal }) => ordinal)).toEqual([0, 1, 2]);
    for (let round = 0; round < 20; round += 1) {
      client.send(3, append("o/a", `a${round}`), append("o/c", "x"), append("o/b", `b${round}`));
    }
    const live = await take(2, 40);
    expect(live.map(({ value }) => value)).toEqual(Array.from({ length: 20 }, (_, at) => [`a${at}`, `b${at}`]).flat());
    expect(live).toEqual(live.toSorted((a, b) => comparePlaces(a, b)));
    client.send(2, { kind: "unsubscribe" });
    const end = await client.next(2);
    expect(end).toMatchObject({ kind: "follow-end", reason: "unsubscribed" });
    // W119: by place, it goes on where it ended.
    if (end.kind !== "follow-end") throw new Error("no end");
    await client.ask(3, append("o/b", "later"));
    client.send(2, follow(["o/a", "o/b"], { notBefore: end.next }));
    expect(await client.next(2)).toMatchObject({ kind: "following", streams: [{ offset: 23 }, { offset: 23 }] });
    expect((await take(2, 1)).map(({ value }) => value)).toEqual(["later"]);
    client.send(2, { kind: "unsubscribe" });
  });

  it("begins where each stream was asked to, now being one moment for all", async () => {
    for (const name of ["f/a", "f/b", "f/c"]) {
      await client.ask(10, create(name));
      await client.ask(10, append(name, "0", "1", "2"));
    }
    const incarnation = server.node.machine.stream("f/c")?.incarnation ?? 0;
    client.send(11, follow(["f/a", start("f/b", "now"), start("f/c", { offset: 2, incarnation })]));
    expect(await client.next(11)).toMatchObject({ streams: [{ offset: 0 }, { offset: 3 }, { offset: 2 }] });
    const first = await take(11, 6);
    // A first batch may begin earlier: its reader skips those records (W82).
    expect(first.map(({ stream, offset }) => [stream, offset])).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
      [2, 0],
      [2, 1],
      [2, 2],
    ]);
    await client.ask(10, append("f/b", "3"));
    expect(await take(11, 1)).toMatchObject([{ stream: 1, offset: 3 }]);
    client.send(11, { kind: "unsubscribe" });
  });

  it("W101: sends nothing without credit, and at most one batch beyond it", async () => {
    for (const name of ["c/a", "c/b"]) await client.ask(20, create(name));
    for (let at = 0; at < 6; at += 1) await client.ask(20, append(at % 2 === 0 ? "c/a" : "c/b", `${at}`));
    client.send(21, follow(["c/a", "c/b"], { credit: 0 }));
    expect(await client.next(21)).toMatchObject({ kind: "following" });
    await client.ask(22, { kind: "ping" });
    expect(client.held(21)).toEqual([]);
    const size = batch("0").length;
    for (let at = 0; at < 6; at += 1) {
      client.send(21, { kind: "credit", bytes: at === 0 ? 1 : size });
      expect((await take(21, 1)).map(({ value }) => value)).toEqual([`${at}`]);
    }
    client.send(21, { kind: "unsubscribe" });
  });
});

describe("W116: marks", () => {
  it("come while the streams are silent and the log goes on, and are true", async () => {
    for (const name of ["m/silent", "m/other"]) await client.ask(30, create(name));
    client.send(31, follow(["m/silent"], { markEveryMs: 1 }));
    expect(await client.next(31)).toMatchObject({ kind: "following" });
    for (let round = 0; round < 3; round += 1) {
      await client.ask(30, append("m/other", "x"));
      const { position } = server.node;
      for (;;) {
        const mark = await client.next(31);
        if (mark.kind !== "follow-records") throw new Error("no mark");
        expect(mark.batches).toEqual([]);
        expect(mark.next.ordinal).toBe(0);
        expect(mark.next.position).toBeLessThanOrEqual(server.node.position + 1);
        expect(mark.logTime).toBeLessThanOrEqual(server.node.machine.logTime);
        if (mark.next.position > position) break;
      }
    }
    client.send(31, { kind: "unsubscribe" });
  });
});

describe("W117, W118: what becomes of a stream", () => {
  it("gaps, closure and deletion are told, and the follow goes on until all are over", async () => {
    for (const name of ["e/a", "e/b", "e/c"]) {
      await client.ask(40, create(name));
      for (let at = 0; at < 4; at += 1) await client.ask(40, append(name, `${at}`));
    }
    await client.ask(40, { kind: "command", command: { kind: "trim", stream: "e/a", before: 3 } });
    await client.ask(40, close("e/b"));
    client.send(41, follow([start("e/a", { offset: 1 }), "e/b", "e/c"]));
    expect(await client.next(41)).toMatchObject({
      kind: "following",
      streams: [{ offset: 1, firstOffset: 3 }, {}, {}],
    });
    const events: Answer[] = [];
    let records = 0;
    while (records < 9) {
      const answer = await client.next(41);
      if (answer.kind === "follow-records") records += recordsOf(answer).length;
      else events.push(answer);
    }
    expect(events).toMatchObject([
      { kind: "stream-event", stream: 0, event: { kind: "gap", from: 1, to: 3 } },
      { kind: "stream-event", stream: 1, event: { kind: "closed", nextOffset: 4 } },
    ]);
    const next = async (): Promise<Answer> => {
      for (;;) {
        const answer = await client.next(41);
        if (answer.kind !== "follow-records") return answer;
      }
    };
    await client.ask(40, { kind: "command", command: { kind: "delete", stream: "e/c" } });
    expect(await next()).toMatchObject({ stream: 2, event: { kind: "deleted", nextOffset: 4 } });
    await client.ask(40, append("e/a", "4"));
    expect((await take(41, 1)).map(({ value }) => value)).toEqual(["4"]);
    client.send(42, close("e/a"));
    expect(await next()).toMatchObject({ stream: 0, event: { kind: "closed", nextOffset: 5 } });
    expect(await next()).toMatchObject({ kind: "follow-end", reason: "closed" });
    // W114: a reader that comes back learns of the deletion.
    client.send(41, follow([start("e/c", { offset: 2, incarnation: 7 }), "e/a"]));
    expect(await client.next(41)).toMatchObject({ kind: "following", streams: [{ incarnation: 7, offset: 2 }, {}] });
    expect(await client.next(41)).toMatchObject({ stream: 0, event: { kind: "deleted", nextOffset: 2 } });
    expect((await take(41, 2)).map(({ stream, offset }) => [stream, offset])).toEqual([
      [1, 3],
      [1, 4],
    ]);
    expect(await next()).toMatchObject({ stream: 1, event: { kind: "closed", nextOffset: 5 } });
    expect(await next()).toMatchObject({ kind: "follow-end", reason: "closed" });
  });
});

describe("a stream that expires unless it is used", () => {
  it("is kept alive while it is followed, however long it lives", async () => {
    const touched = vi.spyOn(server.node, "touch");
    const scheduled = vi.spyOn(SYSTEM_CLOCK, "schedule");
    const expiry = { kind: "sliding", ttlSeconds: 100_000_000 } as const;
    const created: Command = { kind: "create", stream: "k/a", contentType: "text/plain", closed: false, expiry };
    await client.ask(45, { kind: "command", command: created });
    expect(await client.ask(46, follow(["k/a"]))).toMatchObject({ kind: "following" });
    await client.ask(45, { kind: "ping" });
    expect(touched).toHaveBeenCalledWith("k/a");
    // A platform's timers hold some 24 days.
    expect(scheduled.mock.calls.map(([delayMs]) => delayMs)).toContain(3_600_000);
    client.send(46, { kind: "unsubscribe" });
    vi.restoreAllMocks();
  });
});

describe("what is refused", () => {
  it("streams that are not there, places that are not yet, and too much", async () => {
    await client.ask(50, create("x/a"));
    const code = async (request: FollowRequest): Promise<unknown> => {
      const answer = await client.ask(51, request);
      return answer.kind === "error" ? answer.code : answer.kind;
    };
    expect(await code(follow(["x/a", "x/none"]))).toBe("stream-not-found");
    expect(await code(follow([start("x/a", { offset: 5 })]))).toBe("malformed-offset");
    const { position } = server.node;
    expect(await code(follow(["x/a"], { notBefore: { position: position + 2, ordinal: 0 } }))).toBe("malformed-offset");
    const few = await startWsServer({ followsMax: 1, followStreamsMax: 2 });
    const other = await FrameClient.open(few.url);
    for (const name of ["a", "b", "c"]) await other.ask(1, create(name));
    expect(await other.ask(2, follow(["a", "b", "c"]))).toMatchObject({ kind: "error", code: "too-many" });
    expect(await other.ask(3, follow(["a", "b"]))).toMatchObject({ kind: "following" });
    expect(await other.ask(4, follow(["a"]))).toMatchObject({ kind: "error", code: "overloaded" });
    expect(few.readers()).toBe(1);
    // The same number twice: nothing more can be believed.
    other.send(3, follow(["a"]));
    expect(await other.closed).toMatchObject({ code: 1002 });
    await few.close();
    expect(few.readers()).toBe(0);
  });
});

describe("W109, W119: a server that stops", () => {
  it("tells where to go on", async () => {
    const stopping = await startWsServer();
    const other = await FrameClient.open(stopping.url);
    for (const name of ["a", "b"]) await other.ask(1, create(name));
    await other.ask(1, append("a", "1"));
    other.send(2, follow(["a", "b"]));
    expect(await other.next(2)).toMatchObject({ kind: "following" });
    await take(2, 1, other);
    const { position } = stopping.node;
    await stopping.close();
    expect(await other.next(2)).toMatchObject({
      kind: "follow-end",
      reason: "stopping",
      next: { position: position + 1, ordinal: 0 },
    });
    await other.closed;
  });
});

describe("by hand", () => {
  it("W110: a follow shows each record with its stream and its place", async () => {
    for (const name of ["t/a", "t/b"]) await client.ask(60, create(name, "application/json"));
    await client.ask(60, append("t/a", "1"));
    await client.ask(60, append("t/b", '{"n": 2}', "3"));
    const { position } = server.node;
    client.say({ id: "f", follow: ["t/a", "t/b"], from: { "t/b": 1 } });
    expect(await client.nextText()).toMatchObject({
      id: "f",
      following: [
        { stream: "t/a", offset: 0, tail: 1 },
        { stream: "t/b", offset: 1, tail: 2 },
      ],
      subscription: 1,
    });
    expect(await client.nextText()).toMatchObject({
      subscription: 1,
      records: [
        { stream: "t/a", position: position - 1, ordinal: 0, offset: 0, value: 1 },
        { stream: "t/b", position, ordinal: 0, offset: 1, value: 3 },
      ],
      next: { position: position + 1, ordinal: 0 },
    });
    await client.ask(60, close("t/b"));
    expect(await client.nextText()).toEqual({ subscription: 1, stream: "t/b", end: "closed", next: 2 });
    client.say({ unsubscribe: 1 });
    let last = await client.nextText();
    while (last["end"] === undefined) last = await client.nextText();
    expect(last).toMatchObject({ subscription: 1, end: "unsubscribed" });
  });

  it.each<[string, unknown]>([
    ["nothing", { follow: [] }],
    ["no list", { follow: "a" }],
    ["a stream twice", { follow: ["a", "a"] }],
    ["an offset of no stream", { follow: ["a"], from: 5 }],
    ["a place of a stream that is not followed", { follow: ["a"], from: { b: 5 } }],
    ["half a place", { follow: ["a"], notBefore: { ordinal: 1 } }],
    ["a place that is none", { follow: ["a"], notBefore: 7 }],
    ["credit that is none", { follow: ["a"], credit: -1 }],
    ["what does not go with it", { follow: ["a"], maxBytes: 1 }],
  ])("W111: %s is refused", async (_what, message) => {
    client.say(message);
    expect(await client.nextText()).toMatchObject({ error: { code: "malformed-request" } });
  });
});
