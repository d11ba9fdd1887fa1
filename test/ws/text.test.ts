/** The text mode, as a person types it; and a seeded smoke of what a person might mistype. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningNode, startNode } from "../../log-server/start-node.ts";
import { parseTextRequest } from "../../log-server/ws/text-request.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { ERRORS } from "../../src/wire/errors.ts";
import { encodeRequest } from "../../src/wire/request.ts";
import { encodeSocketRequest } from "../../src/wire/socket-frames.ts";
import { mutate } from "../fuzz/mutate.ts";
import { append, create, FrameClient, subscribe } from "./frame-client.ts";

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

async function say(message: unknown): Promise<Record<string, unknown>> {
  client.say(message);
  return client.nextText();
}

describe("W110: requests", () => {
  it("create, append, read, describe, close, delete", async () => {
    expect(await say({ create: "t/one", contentType: "text/plain" })).toMatchObject({
      created: "t/one",
      existed: false,
      next: 0,
    });
    expect(await say({ id: "again", create: "t/one", contentType: "text/plain" })).toMatchObject({
      id: "again",
      existed: true,
    });
    expect(await say({ id: 7, append: "t/one", records: ["a", "b"] })).toMatchObject({
      id: 7,
      appended: "t/one",
      offset: 0,
      next: 2,
    });
    const full = { key: "k", value: { n: 1 }, headers: { h: "v" }, timestamp: 5 };
    const bytes = { base64: "AP8=" };
    expect(await say({ append: "t/one", records: [full, bytes, 3, null], close: true })).toMatchObject({
      offset: 2,
      next: 6,
      closed: true,
    });
    const read = await say({ read: "t/one", from: 1 });
    expect(read).toMatchObject({ read: "t/one", next: 6, upToDate: true, closed: true });
    expect(read["records"]).toMatchObject([
      { offset: 1, value: "b" },
      { offset: 2, value: '{"n":1}', key: "k", headers: [["h", "v"]], timestamp: 5 },
      { offset: 3, base64: "AP8=" },
      { offset: 4, value: "3" },
      { offset: 5, value: null },
    ]);
    expect(await say({ read: "t/one", from: read["token"] })).toMatchObject({ records: [], next: 6 });
    expect(await say({ describe: "t/one" })).toMatchObject({ described: "t/one", first: 0, next: 6, closed: true });
    expect(await say({ append: "t/one", records: ["late"] })).toMatchObject({
      error: { code: "stream-closed", tail: 6 },
    });
    expect(await say({ delete: "t/one" })).toEqual({ done: "t/one" });
    expect(await say({ describe: "t/one" })).toMatchObject({ error: { code: "stream-not-found", status: 404 } });
  });

  it("JSON streams hold the values as they are", async () => {
    client.say({ create: "t/json", contentType: "application/json" });
    client.say({ append: "t/json", records: ["text", 1, [true], { value: { deep: [1] } }] });
    await client.nextText();
    expect(await client.nextText()).toMatchObject({ offset: 0, next: 4 });
    expect((await say({ read: "t/json" }))["records"]).toMatchObject([
      { value: "text" },
      { value: 1 },
      { value: [true] },
      { value: { deep: [1] } },
    ]);
  });

  it("a producer's retry has its first answer, and conditions hold", async () => {
    await say({ create: "t/idem", contentType: "text/plain" });
    const producer = { id: "me", epoch: 0, sequence: 0 };
    expect(await say({ append: "t/idem", records: ["a"], producer })).toMatchObject({ offset: 0 });
    expect(await say({ append: "t/idem", records: ["a"], producer })).toMatchObject({ offset: 0, duplicate: true });
    expect(await say({ append: "t/idem", records: ["b"], expectedOffset: 5 })).toMatchObject({
      error: { code: "offset-mismatch" },
    });
    expect(await say({ ping: 1 })).toMatchObject({ pong: expect.any(Number) as number });
  });

  it("subscriptions are numbered, and go on until they end", async () => {
    await say({ create: "t/sub", contentType: "text/plain" });
    await say({ append: "t/sub", records: ["a", "b"] });
    const begun = await say({ id: "s", subscribe: "t/sub", from: 1 });
    expect(begun).toMatchObject({ id: "s", subscribed: "t/sub", offset: 1, tail: 2 });
    const number = begun["subscription"];
    expect(await client.nextText()).toMatchObject({
      subscription: number,
      records: [{ offset: 1, value: "b" }],
      next: 2,
    });
    client.say({ append: "t/sub", records: ["c"] });
    const both = [await client.nextText(), await client.nextText()];
    expect(both).toContainEqual(expect.objectContaining({ appended: "t/sub", offset: 2 }));
    expect(both).toContainEqual(expect.objectContaining({ subscription: number, next: 3 }));
    expect(await say({ unsubscribe: number })).toEqual({ subscription: number, end: "unsubscribed", next: 3 });
    expect(await say({ subscribe: "t/none" })).toMatchObject({ error: { code: "stream-not-found" } });
  });

  it("W101: with a credit of one's own, nothing beyond it", async () => {
    await say({ create: "t/credit", contentType: "text/plain" });
    const { subscription } = await say({ subscribe: "t/credit", credit: 1 });
    for (const value of ["a", "b"]) client.say({ append: "t/credit", records: [value] });
    for (let count = 0; count < 3; count += 1) await client.nextText();
    expect(await say({ ping: 1 })).toHaveProperty("pong");
    expect(await say({ credit: subscription, bytes: 1_000 })).toMatchObject({
      subscription,
      records: [{ value: "b" }],
    });
    expect(await say({ unsubscribe: subscription })).toMatchObject({ end: "unsubscribed", next: 2 });
  });
});

describe("what others appended", () => {
  it("is shown even where JSON cannot be nested as deeply", async () => {
    const deep = "[".repeat(50_000) + "]".repeat(50_000);
    await client.ask(1, create("t/deep", "application/json"));
    await client.ask(2, append("t/deep", deep, "1"));
    const shown = new RegExp(`"records":\\[\\{"offset":0,"value":\\[{50000}\\]{50000},.*\\{"offset":1,"value":1,`);
    client.say({ read: "t/deep" });
    expect(await client.nextRawText()).toMatch(shown);
    await say({ subscribe: "t/deep" });
    expect(await client.nextRawText()).toMatch(shown);
    expect(await say({ ping: 1 })).toHaveProperty("pong");
  });

  it("in a stream of JSON is shown to the letter, whoever asks (W125)", async () => {
    const written = '{"id": 12345678901234567890, "share": 1.10}';
    await client.ask(1, create("t/exact", "application/json"));
    await client.ask(2, append("t/exact", written));
    const shown = `"offset":0,"value":${written},"timestamp":`;
    client.say({ read: "t/exact" });
    expect(await client.nextRawText()).toContain(shown);
    await say({ subscribe: "t/exact" });
    expect(await client.nextRawText()).toContain(shown);
    await say({ follow: ["t/exact"] });
    expect(await client.nextRawText()).toContain(shown);
  });
});

describe("W111: what is wrong is answered", () => {
  it.each<[string, unknown, string]>([
    ["no JSON", "hello", "malformed-json"],
    ["no object", "[1]", "malformed-request"],
    ["nothing", {}, "malformed-request"],
    ["a verb that is not known", { shout: "x" }, "malformed-request"],
    ["a slip", { append: "x", record: ["a"] }, "malformed-request"],
    ["an id that is none", { ping: 1, id: {} }, "malformed-request"],
    ["a name that is none", { append: "../x", records: [] }, "malformed-name"],
    ["a name that is no text", { append: 5 }, "malformed-request"],
    ["records that are no list", { append: "x", records: "a" }, "malformed-request"],
    ["nothing to append", { append: "x" }, "empty-body"],
    ["no records to append", { append: "x", records: [] }, "empty-body"],
    ["a record without a value", { append: "x", records: [{ key: "k" }] }, "malformed-request"],
    ["a record with two", { append: "x", records: [{ value: 1, base64: "" }] }, "malformed-request"],
    ["a record with a slip", { append: "x", records: [{ value: 1, kye: "k" }] }, "malformed-request"],
    ["base64 that is none", { append: "x", records: [{ base64: "a" }] }, "malformed-request"],
    ["half a surrogate pair", '{"append":"x","records":[{"key":"\\ud800","value":1}]}', "malformed-request"],
    ["a timestamp past all dates", { append: "x", records: [{ value: 1, timestamp: 1e300 }] }, "malformed-request"],
    ["a negative offset", { read: "x", from: -1 }, "malformed-offset"],
    ["a token that is none", { read: "x", from: "later" }, "malformed-offset"],
    ["a credit for nothing", { credit: "x", bytes: 1 }, "malformed-request"],
    ["W101: a credit for a subscription that never was", { credit: 1_000, bytes: 1 }, "malformed-request"],
    ["W102: the end of a subscription that never was", { unsubscribe: 0 }, "malformed-request"],
    ["a stream that is not there", { append: "t/nowhere", records: ["a"] }, "stream-not-found"],
    ["a life of no time", { create: "t/bad", ttlSeconds: 0 }, "malformed-request"],
    ["a content type that is none", { create: "t/bad", contentType: "text" }, "malformed-command"],
    [
      "nesting without end",
      `{"append":"t/x","records":[${"[".repeat(100_000)}${"]".repeat(100_000)}]}`,
      "malformed-json",
    ],
  ])("%s", async (_what, message, code) => {
    const answer = await say(message);
    expect(answer).toMatchObject({ error: { code, retryable: false } });
    expect(await say({ ping: 1 })).toHaveProperty("pong");
  });
});

describe("W5: a smoke of fuzzing", () => {
  const SAMPLES = [
    { create: "s", contentType: "text/plain", ttlSeconds: 60 },
    {
      id: 1,
      append: "s",
      records: ["a", { key: "k", value: 1, headers: { h: "v" }, timestamp: 5 }, { base64: "AP8=" }],
    },
    { append: "s", close: true, expectedOffset: 5, producer: { id: "p", epoch: 1, sequence: 2 } },
    { read: "s", from: "0000000000000001_0000000000000002", maxBytes: 5 },
    { subscribe: "s", from: "now", credit: 5 },
    { credit: 1, bytes: 5 },
    { unsubscribe: 1 },
  ].map((sample) => utf8(JSON.stringify(sample)));

  it("the parser of texts gives a request or a known code", () => {
    const prng = new Prng(20_261_121);
    let [accepted, refused] = [0, 0];
    for (let run = 0; run < 20_000; run += 1) {
      const bytes = mutate(prng, SAMPLES);
      const parsed = parseTextRequest(text(bytes) ?? String.fromCharCode(...bytes));
      if (parsed.ok) accepted += 1;
      else {
        refused += 1;
        expect(Object.hasOwn(ERRORS, parsed.error.code)).toBe(true);
      }
    }
    expect(Math.min(accepted, refused)).toBeGreaterThan(100);
  });

  it("a server survives frames and texts that are almost right", async () => {
    const prng = new Prng(7);
    const frames = [
      encodeRequest(create("fuzz"), 1),
      encodeRequest(append("fuzz", "a", "b"), 2),
      encodeRequest({ kind: "read", stream: "fuzz", from: "start", offset: 0, maxBytes: 9, waitMs: 1 }, 3),
      encodeRequest({ kind: "describe", stream: "fuzz" }, 4),
      encodeSocketRequest(subscribe("fuzz", 100), 5),
      encodeSocketRequest({ kind: "credit", bytes: 9 }, 5),
      encodeSocketRequest({ kind: "unsubscribe" }, 5),
      encodeSocketRequest({ kind: "ping" }, 6),
    ];
    let victim = await FrameClient.open(node.url);
    for (let run = 0; run < 3_000; run += 1) {
      if (victim.socket.readyState !== WebSocket.OPEN) victim = await FrameClient.open(node.url);
      if (prng.chance(0.3)) victim.say(text(mutate(prng, SAMPLES)) ?? "");
      else victim.sendBytes(mutate(prng, frames));
      // Only now and then, so that much is on its way at once.
      if (run % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    victim.close();
    expect(await say({ ping: 1 })).toHaveProperty("pong");
  });
});
