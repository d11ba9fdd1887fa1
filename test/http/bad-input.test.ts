/**
 * Bad input: each kind gets its own status and code, changes nothing, and leaves the server serving. Real sockets, small
 * limits and short time-outs, so that every bound is reached.
 */
import { zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HTTP_LIMITS, type HttpLimits } from "../../log-server/http/limits.ts";
import { ERRORS, type ErrorCode } from "../../src/wire/errors.ts";
import { concat, utf8 } from "../../src/lib/bytes.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import { xxh64 } from "../../src/record/checksum.ts";
import { BATCH_HEADER_LENGTH, type BatchRef } from "../../src/record/batch.ts";
import type { Command } from "../../src/wire/command.ts";
import { encodeFrame, splitFrames } from "../../src/wire/frame.ts";
import { encodeRequest } from "../../src/wire/request.ts";
import { decodeResponse, type Response as FrameResponse } from "../../src/wire/response.ts";
import { parseAnswer, rawRequest, RawSocket } from "./raw-socket.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

const LIMITS: HttpLimits = {
  ...HTTP_LIMITS,
  headerBytesMax: 8 * 1024,
  urlBytesMax: 4 * 1024,
  bodyBytesMax: 64 * 1024,
  discardedBodyBytesMax: 128 * 1024,
  recordBytesMax: 16 * 1024,
  recordsPerBatchMax: 1_000,
  rawBatchBytesMax: 256 * 1024,
  headersTimeoutMs: 400,
  requestTimeoutMs: 800,
  timeoutCheckEveryMs: 50,
  connectionsMax: 4_000,
  framesMax: 64,
};
const TEXT = { "content-type": "text/plain" };
const JSON_TYPE = { "content-type": "application/json" };
const PRODUCER = { "producer-id": "p", "producer-epoch": "5", "producer-seq": "1" };

let server: TestServer;
/** Of the stream "text", far past its end. */
let beyond: string;

beforeAll(async () => {
  server = await startTestServer({ http: LIMITS });
  const text = await send("PUT", "/v1/stream/text", { headers: TEXT, body: "one" });
  beyond = `${text.headers.get("stream-next-offset")?.slice(0, 16)}_9999999999999999`;
  await send("PUT", "/v1/stream/json", { headers: JSON_TYPE, body: "[1]" });
  await send("PUT", "/v1/stream/closed", { headers: { ...TEXT, "stream-closed": "true" }, body: "end" });
  // Epoch 5, sequence 0: what follows is checked against it.
  await send("POST", "/v1/stream/text", { headers: { ...TEXT, ...PRODUCER, "producer-seq": "0" }, body: "two" });
  await send("POST", "/v1/stream/text", { headers: { ...TEXT, "stream-seq": "b" }, body: "three" });
});

afterAll(() => server.close());

type Sent = { readonly headers?: Record<string, string>; readonly body?: string | Uint8Array<ArrayBuffer> };

function send(method: string, path: string, { headers = {}, body }: Sent = {}): Promise<Response> {
  return fetch(server.url + path, { method, headers, ...(body !== undefined && { body }) });
}

/** Everything of the state that a client can see. */
function state(): unknown {
  const { machine } = server.node;
  return { streams: [...machine.streams()], subscriptions: [...machine.subscriptions()].map((view) => view.id) };
}

async function expectServing(): Promise<void> {
  const answer = await send("GET", "/v1/stream/text?offset=-1");
  expect(answer.status).toBe(200);
  expect(await answer.text()).toBe("onetwothree");
}

async function expectProblem(answer: Response, code: ErrorCode): Promise<void> {
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(await answer.json()).toMatchObject({ code, status: ERRORS[code].status, retryable: ERRORS[code].retryable });
  expect(answer.status).toBe(ERRORS[code].status);
}

describe("requests that are refused", () => {
  const text = "/v1/stream/text";
  const cases: readonly (readonly [string, ErrorCode, () => Promise<Response>])[] = [
    ["an oversized body", "body-too-large", () => send("POST", text, { headers: TEXT, body: "x".repeat(65 * 1024) })],
    [
      "an oversized record",
      "record-too-large",
      () => send("POST", text, { headers: TEXT, body: "x".repeat(17 * 1024) }),
    ],
    [
      "an oversized JSON message",
      "record-too-large",
      () => send("POST", "/v1/stream/json", { headers: JSON_TYPE, body: `["${"x".repeat(17 * 1024)}"]` }),
    ],
    [
      "too many JSON messages",
      "too-many",
      () => send("POST", "/v1/stream/json", { headers: JSON_TYPE, body: `[${"1,".repeat(1_000)}1]` }),
    ],
    ["an oversized URL", "url-too-long", () => send("GET", `/v1/stream/text?x=${"x".repeat(4_096)}`)],
    ["an oversized name", "malformed-name", () => send("PUT", `/v1/stream/${"x".repeat(1_025)}`, { headers: TEXT })],
    [
      "a name with 1,000 segments",
      "malformed-name",
      () => send("PUT", `/v1/stream/a${"/a".repeat(999)}`, { headers: TEXT }),
    ],
    ["a name with NUL", "malformed-name", () => send("PUT", "/v1/stream/a%00b", { headers: TEXT })],
    ["a name with an encoded slash", "malformed-name", () => send("PUT", "/v1/stream/a%2Fb", { headers: TEXT })],
    ["a name that is not UTF-8", "malformed-name", () => send("PUT", "/v1/stream/a%C3%28", { headers: TEXT })],
    ["an empty name", "malformed-name", () => send("PUT", "/v1/stream/", { headers: TEXT })],
    ["a reserved name", "malformed-name", () => send("PUT", "/v1/stream/__ds", { headers: TEXT })],
    ["a bad percent-encoding", "malformed-name", () => send("PUT", "/v1/stream/a%zz", { headers: TEXT })],
    ["JSON cut short", "malformed-json", () => send("POST", "/v1/stream/json", { headers: JSON_TYPE, body: '{"a":' })],
    [
      "JSON that is not UTF-8",
      "malformed-json",
      () => send("POST", "/v1/stream/json", { headers: JSON_TYPE, body: new Uint8Array([0x22, 0xff, 0x22]) }),
    ],
    ["an empty array", "malformed-json", () => send("POST", "/v1/stream/json", { headers: JSON_TYPE, body: "[]" })],
    ["an empty body", "empty-body", () => send("POST", text, { headers: TEXT })],
    ["no content type", "malformed-header", () => send("POST", text, { body: new Uint8Array([1]) })],
    [
      "a content type that is none",
      "unsupported-media-type",
      () => send("POST", text, { headers: { "content-type": "text" }, body: "x" }),
    ],
    [
      "a compressed body",
      "unsupported-media-type",
      () => send("POST", text, { headers: { ...TEXT, "content-encoding": "gzip" }, body: "x" }),
    ],
    ["another content type", "content-type-mismatch", () => send("POST", text, { headers: JSON_TYPE, body: "1" })],
    ["a malformed offset", "malformed-offset", () => send("GET", `${text}?offset=12`)],
    ["an offset past the end", "malformed-offset", () => send("GET", `${text}?offset=${beyond}`)],
    ["a live read without an offset", "malformed-offset", () => send("GET", `${text}?live=sse`)],
    ["an unknown live mode", "malformed-url", () => send("GET", `${text}?offset=-1&live=radio`)],
    [
      "a producer without an epoch",
      "malformed-header",
      () => send("POST", text, { headers: { ...TEXT, "producer-id": "p" }, body: "x" }),
    ],
    [
      "a producer sequence with an exponent",
      "malformed-header",
      () => send("POST", text, { headers: { ...TEXT, ...PRODUCER, "producer-seq": "1e3" }, body: "x" }),
    ],
    [
      "an old epoch",
      "producer-fenced",
      () => send("POST", text, { headers: { ...TEXT, ...PRODUCER, "producer-epoch": "4" }, body: "x" }),
    ],
    [
      "a new epoch that does not begin at 0",
      "invalid-producer",
      () => send("POST", text, { headers: { ...TEXT, ...PRODUCER, "producer-epoch": "6" }, body: "x" }),
    ],
    [
      "a gap in the sequence",
      "sequence-gap",
      () => send("POST", text, { headers: { ...TEXT, ...PRODUCER, "producer-seq": "2" }, body: "x" }),
    ],
    [
      "a stream sequence that goes back",
      "stream-sequence-conflict",
      () => send("POST", text, { headers: { ...TEXT, "stream-seq": "a" }, body: "x" }),
    ],
    ["an unknown stream", "stream-not-found", () => send("POST", "/v1/stream/none", { headers: TEXT, body: "x" })],
    [
      "an append to a closed stream",
      "stream-closed",
      () => send("POST", "/v1/stream/closed", { headers: TEXT, body: "x" }),
    ],
    ["another configuration", "stream-exists", () => send("PUT", text, { headers: JSON_TYPE })],
    [
      "both kinds of expiry",
      "malformed-header",
      () =>
        send("PUT", "/v1/stream/new", {
          headers: { ...TEXT, "stream-ttl": "1", "stream-expires-at": "2030-01-01T00:00:00Z" },
        }),
    ],
    [
      "a time to live past all bounds",
      "malformed-header",
      () => send("PUT", "/v1/stream/new", { headers: { ...TEXT, "stream-ttl": "9007199254740993" } }),
    ],
    [
      "a fork of nothing",
      "stream-not-found",
      () => send("PUT", "/v1/stream/new", { headers: { "stream-forked-from": "/v1/stream/none" } }),
    ],
    [
      "a fork past the end",
      "invalid-fork",
      () => send("PUT", "/v1/stream/new", { headers: { "stream-forked-from": text, "stream-fork-offset": beyond } }),
    ],
    ["an unknown method", "method-not-allowed", () => send("PATCH", text)],
    ["an unknown path", "route-not-found", () => send("GET", "/v2/anything")],
    [
      "a foreign session token",
      "cluster-changed",
      () => send("GET", text, { headers: { "tidemark-session": "elsewhere.0.1" } }),
    ],
    [
      "a page from elsewhere",
      "forbidden-origin",
      () => send("POST", text, { headers: { ...TEXT, origin: "https://example.com" }, body: "x" }),
    ],
    [
      "a webhook to the local network",
      "webhook-forbidden",
      () => subscribe({ type: "webhook", pattern: "a/*", webhook: { url: "https://169.254.169.254/" } }),
    ],
    [
      "a subscription without streams",
      "invalid-subscription",
      () => subscribe({ type: "webhook", webhook: { url: "https://example.com/" } }),
    ],
    [
      "frames of another type",
      "unsupported-media-type",
      () => send("POST", "/v1/frames", { headers: TEXT, body: "x" }),
    ],
    ["no frames", "malformed-frame", () => sendFrames(new Uint8Array(0))],
    ["garbage for frames", "malformed-frame", () => sendFrames(new Uint8Array([4, 0, 0, 0, 1, 1, 0, 0]))],
    [
      "a frame that claims 4 GiB",
      "body-too-large",
      () => sendFrames(new Uint8Array([0xff, 0xff, 0xff, 0xff, 1, 1, 0, 0, 0, 0, 0, 0])),
    ],
    [
      "a frame cut short",
      "malformed-frame",
      () => sendFrames(encodeRequest({ kind: "describe", stream: "text" }, 1).slice(0, -1)),
    ],
    ["a frame of another version", "unsupported-version", () => sendFrames(encodeFrame(1, 1, []).with(4, 9))],
    [
      "too many frames",
      "malformed-frame",
      () =>
        sendFrames(
          concat(Array.from({ length: 65 }, (_, id) => encodeRequest({ kind: "describe", stream: "text" }, id))),
        ),
    ],
  ];

  function subscribe(body: unknown): Promise<Response> {
    return send("PUT", "/v1/stream/__ds/subscriptions/s", { headers: JSON_TYPE, body: JSON.stringify(body) });
  }

  it.each(cases)("%s: %s", async (_name, code, request) => {
    const before = state();
    await expectProblem(await request(), code);
    expect(state()).toEqual(before);
    await expectServing();
  });
});

describe("native requests that are refused", () => {
  const NDJSON = { "content-type": "application/x-ndjson" };
  const BATCH = { "content-type": "application/x-tidemark-batch" };
  const records = "/v1/records/text";
  const post = (
    path: string,
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = JSON_TYPE,
  ): Promise<Response> => send("POST", path, { headers, body });
  const json = (method: string, path: string, body: unknown): Promise<Response> =>
    send(method, path, { headers: JSON_TYPE, body: JSON.stringify(body) });

  const cases: readonly (readonly [string, ErrorCode, () => Promise<Response>])[] = [
    // Names and URLs.
    ["a name with an encoded slash", "malformed-name", () => send("GET", "/v1/records/a%2Fb")],
    ["a name that is not UTF-8", "malformed-name", () => post("/v1/records/a%C3%28", '"x"')],
    ["a bad percent-encoding", "malformed-name", () => send("GET", "/v1/streams/a%zz")],
    ["an empty name", "malformed-name", () => send("GET", "/v1/records/")],
    ["a reserved name", "malformed-name", () => json("PUT", "/v1/streams/__ds", {})],
    ["an oversized name", "malformed-name", () => json("PUT", `/v1/streams/${"x".repeat(1_025)}`, {})],
    ["an oversized URL", "url-too-long", () => send("GET", `/v1/records/${"x/".repeat(2_048)}x`)],
    ["a method that is not there", "method-not-allowed", () => send("DELETE", records)],
    ["a method without a body", "method-not-allowed", () => send("GET", "/v1/transactions")],
    ["a path beside them", "route-not-found", () => send("GET", "/v1/recordz/text")],
    // Queries.
    ["an unknown parameter", "malformed-url", () => send("GET", `${records}?ofset=1`)],
    ["a parameter that is given twice", "malformed-url", () => send("GET", `${records}?limit=1&limit=2`)],
    ["a limit of none", "malformed-url", () => send("GET", `${records}?limit=0`)],
    ["a limit with an exponent", "malformed-url", () => send("GET", `${records}?limit=1e3`)],
    ["a limit past the integers", "malformed-url", () => send("GET", `${records}?limit=9007199254740993`)],
    ["a negative wait", "malformed-url", () => send("GET", `${records}?wait=-1`)],
    ["an offset and a time", "malformed-url", () => send("GET", `${records}?offset=0&time=5`)],
    ["a parameter named like what all objects have", "malformed-url", () => send("GET", `${records}?__proto__=1`)],
    ["a malformed offset", "malformed-offset", () => send("GET", `${records}?offset=1.5`)],
    ["an offset past the end", "malformed-offset", () => send("GET", `${records}?offset=99`)],
    ["a token past the end", "malformed-offset", () => send("GET", `${records}?offset=${beyond}`)],
    [
      "a token of another stream",
      "stream-gone",
      () => send("GET", `${records}?offset=0000000000000001_0000000000000000`),
    ],
    ["a time that is none", "malformed-request", () => send("GET", `${records}?time=yesterday`)],
    ["a time before 1970", "malformed-request", () => send("GET", `${records}?time=1960-01-01T00:00:00Z`)],
    ["an unknown stream", "stream-not-found", () => send("GET", "/v1/records/none")],
    ["a long prefix", "malformed-url", () => send("GET", `/v1/streams?prefix=${"x".repeat(1_025)}`)],
    ["a page of none", "malformed-url", () => send("GET", "/v1/streams?limit=0")],
    // Headers.
    ["a form that is not served", "not-acceptable", () => send("GET", records, { headers: { accept: "image/png" } })],
    ["no form at all", "not-acceptable", () => send("GET", records, { headers: { accept: "*/*;q=0" } })],
    [
      "a limit on events",
      "malformed-url",
      () => send("GET", `${records}?limit=1`, { headers: { accept: "text/event-stream" } }),
    ],
    [
      "events behind an id that is none",
      "malformed-offset",
      () => send("GET", records, { headers: { "accept": "text/event-stream", "last-event-id": "x" } }),
    ],
    [
      "events behind the end",
      "malformed-offset",
      () => send("GET", records, { headers: { "accept": "text/event-stream", "last-event-id": beyond } }),
    ],
    ["a tag without quotes", "malformed-header", () => post(records, '"x"', { ...JSON_TYPE, "if-match": "3" })],
    ["a weak tag", "malformed-header", () => post(records, '"x"', { ...JSON_TYPE, "if-match": 'W/"3"' })],
    ["two tags", "malformed-header", () => post(records, '"x"', { ...JSON_TYPE, "if-match": '"3", "4"' })],
    ["a tag that is no token", "malformed-offset", () => post(records, '"x"', { ...JSON_TYPE, "if-match": '"_"' })],
    ["a tag past the end", "offset-mismatch", () => post(records, '"x"', { ...JSON_TYPE, "if-match": `"${beyond}"` })],
    ["half a producer", "malformed-header", () => post(records, '"x"', { ...JSON_TYPE, "producer-id": "p" })],
    ["half a producer in the query", "malformed-url", () => post(`${records}?producer=p`, '"x"')],
    [
      "two producers",
      "malformed-url",
      () => post(`${records}?producer=p&epoch=5&sequence=1`, '"x"', { ...JSON_TYPE, ...PRODUCER }),
    ],
    ["a close that is neither", "malformed-url", () => post(`${records}?close=yes`, '"x"')],
    // Bodies of records.
    ["no records", "empty-body", () => send("POST", records, { headers: JSON_TYPE })],
    ["an empty array", "empty-body", () => post(records, "[]")],
    ["empty lines", "empty-body", () => post(records, "\n \n", NDJSON)],
    ["JSON cut short", "malformed-json", () => post(records, "[1,")],
    ["JSON that is not UTF-8", "malformed-json", () => post(records, new Uint8Array([0x22, 0xff, 0x22]))],
    ["JSON with a byte order mark", "malformed-json", () => post(records, "\ufeff1")],
    ["a line that is cut short", "malformed-json", () => post(records, '"a"\n{"b"', NDJSON)],
    ["nesting past all bounds", "malformed-json", () => post(records, "[".repeat(30_000) + "]".repeat(30_000))],
    ["an integer past 2^53", "malformed-json", () => post("/v1/records/json", "[9007199254740993]")],
    ["a number past all doubles", "malformed-json", () => post("/v1/records/json", '[{"value":{"n":1e999}}]')],
    ["a record with a slip", "malformed-request", () => post(records, '[{"valu":1}]')],
    ["a record that is a prototype", "malformed-request", () => post(records, '[{"value":1,"__proto__":{}}]')],
    ["too many records", "too-many", () => post(records, `[${"1,".repeat(1_000)}1]`)],
    ["too many lines", "too-many", () => post(records, "1\n".repeat(1_001), NDJSON)],
    ["a record that is too large", "record-too-large", () => post(records, `["${"x".repeat(17 * 1024)}"]`)],
    ["a body that is too large", "body-too-large", () => post(records, "x".repeat(65 * 1024))],
    ["another type", "unsupported-media-type", () => post(records, "x", TEXT)],
    ["a body without a type", "unsupported-media-type", () => send("POST", records, { body: new Uint8Array([1]) })],
    ["records for nobody", "stream-not-found", () => post("/v1/records/none", '"x"')],
    ["records behind the end", "stream-closed", () => post("/v1/records/closed", '"x"')],
    ["no batch", "malformed-batch", () => post(records, "x", BATCH)],
    [
      "a batch and more",
      "malformed-batch",
      () => post(records, new Uint8Array([...encodeBatch([{ value: null }]), 0]), BATCH),
    ],
    [
      "a batch with a wrong checksum",
      "checksum-mismatch",
      () => post(records, new Uint8Array(encodeBatch([{ value: utf8("x") }])).with(38, 0), BATCH),
    ],
    ["a batch that is a bomb", "batch-too-large", () => post(records, new Uint8Array(bomb()), BATCH)],
    ["no JSON in a stream of it", "malformed-json", () => post("/v1/records/json", '[{"base64":"/w=="}]')],
    // Settings, trims, transactions, cursors.
    [
      "a create in another type",
      "unsupported-media-type",
      () => send("PUT", "/v1/streams/n", { headers: TEXT, body: "x" }),
    ],
    ["a create that is a list", "malformed-request", () => json("PUT", "/v1/streams/n", [])],
    ["a create with a slip", "malformed-request", () => json("PUT", "/v1/streams/n", { contenttype: "text/plain" })],
    ["a create of no media type", "malformed-command", () => json("PUT", "/v1/streams/n", { contentType: "text" })],
    ["a life of no time", "malformed-request", () => json("PUT", "/v1/streams/n", { ttlSeconds: 0 })],
    [
      "an end in the past",
      "malformed-request",
      () => json("PUT", "/v1/streams/n", { expiresAt: "2020-01-01T00:00:00Z" }),
    ],
    ["both kinds of expiry", "malformed-request", () => json("PUT", "/v1/streams/n", { ttlSeconds: 1, expiresAt: 2 })],
    [
      "a time to live past all bounds",
      "malformed-request",
      () => json("PUT", "/v1/streams/n", { ttlSeconds: 2 ** 50 }),
    ],
    ["an end that is no time", "malformed-request", () => json("PUT", "/v1/streams/n", { expiresAt: "soon" })],
    [
      "a retention past the integers",
      "malformed-request",
      () => json("PATCH", "/v1/streams/text", { retention: { maxAgeMs: 1e300 } }),
    ],
    [
      "a retention of a fraction",
      "malformed-request",
      () => json("PATCH", "/v1/streams/text", { retention: { maxBytes: 1.5 } }),
    ],
    [
      "a retention that is not known",
      "malformed-request",
      () => json("PATCH", "/v1/streams/text", { retention: { max: 1 } }),
    ],
    ["settings of nothing", "malformed-request", () => send("PATCH", "/v1/streams/text")],
    ["a trim to nowhere", "malformed-request", () => json("POST", "/v1/trim/text", {})],
    ["a trim to two places", "malformed-request", () => json("POST", "/v1/trim/text", { before: 1, beforeTime: 1 })],
    ["a trim to a text", "malformed-request", () => json("POST", "/v1/trim/text", { before: "all" })],
    ["a trim past the end", "malformed-offset", () => json("POST", "/v1/trim/text", { before: 99 })],
    ["a transaction cut short", "malformed-json", () => post("/v1/transactions", '{"operations":[')],
    [
      "a transaction that is deep",
      "malformed-json",
      () => post("/v1/transactions", `{"operations":${"[".repeat(60_000)}`),
    ],
    [
      "a transaction of prototypes",
      "malformed-request",
      () => post("/v1/transactions", '{"operations":[{"delete":"x"}],"__proto__":[]}'),
    ],
    ...["%ff", "%C3%28", "%zz", "%", "%ED%A0%80"].map(
      (prefix) =>
        [
          `a listing of names that begin with ${prefix}`,
          "malformed-url",
          () => send("GET", `/v1/streams?prefix=${prefix}`),
        ] as const,
    ),
    ["a listing behind a name that is not UTF-8", "malformed-url", () => send("GET", "/v1/streams?after=%ff")],
    ["groups behind an id that is not UTF-8", "malformed-url", () => send("GET", "/v1/groups?after=%ff")],
    ["groups by a prefix that is not UTF-8", "malformed-url", () => send("GET", "/v1/groups?prefix=%ff")],
    [
      "a producer whose id is not UTF-8",
      "malformed-url",
      () => post(`${records}?producer=%ff&epoch=0&sequence=0`, "[1]"),
    ],
    ["a time that is not UTF-8", "malformed-url", () => send("GET", `${records}?time=%ff`)],
    ...(["application/json; charset=latin1", 'application/json; Charset="UTF-16"'] as const).flatMap((type) => {
      const headers = { "content-type": type };
      const cases = [
        ["a stream", () => send("POST", "/v1/stream/json", { headers, body: "[1]" })],
        ["a new stream", () => send("PUT", "/v1/stream/new", { headers })],
        ["a new stream by its settings", () => json("PUT", "/v1/streams/new", { contentType: type })],
        ["records", () => send("POST", records, { headers, body: "[1]" })],
        ["a trim", () => send("POST", "/v1/trim/text", { headers, body: '{"before":0}' })],
        ["a transaction", () => send("POST", "/v1/transactions", { headers, body: '{"operations":[{"delete":"x"}]}' })],
      ] as const;
      return cases.map(
        ([what, request]) =>
          [`JSON of another encoding (${type}): ${what}`, "unsupported-media-type", request] as const,
      );
    }),
    [
      "lines of another encoding",
      "unsupported-media-type",
      () => send("POST", records, { headers: { "content-type": "application/x-ndjson; charset=latin1" }, body: "1" }),
    ],
    ["a start as Durable Streams has it", "malformed-offset", () => send("GET", `${records}?offset=-1`)],
    ["a cursor without a name", "malformed-name", () => send("GET", "/v1/cursors/")],
    ["a cursor's name that is not UTF-8", "malformed-url", () => send("GET", "/v1/cursors/%C3%28")],
    [
      "a cursor's name that is too long",
      "malformed-name",
      () => send("PUT", `/v1/cursors/${"x".repeat(1_025)}`, { body: "v" }),
    ],
  ];

  it.each(cases)("%s: %s", async (_name, code, request) => {
    const before = state();
    await expectProblem(await request(), code);
    expect(state()).toEqual(before);
    await expectServing();
  });
});

function sendFrames(body: Uint8Array): Promise<Response> {
  return send("POST", "/v1/frames", {
    headers: { "content-type": "application/x-tidemark-frames" },
    body: new Uint8Array(body),
  });
}

async function answerOf(frame: Uint8Array): Promise<FrameResponse> {
  const answer = await sendFrames(frame);
  expect(answer.status).toBe(200);
  const frames = splitFrames(new Uint8Array(await answer.arrayBuffer()), 1 << 20, 10);
  if (!frames.ok) throw new Error(frames.error.message);
  const response = decodeResponse(frames.value[0] ?? { kind: 0, requestId: 0, body: new Uint8Array(0) });
  if (!response.ok) throw new Error(response.error.message);
  return response.value;
}

function refOf(bytes: Uint8Array, span = 1): BatchRef {
  return { hash: 0n, length: bytes.length, span, bytes };
}

function append(stream: string, bytes: Uint8Array, span = 1): Uint8Array {
  return encodeRequest(
    { kind: "command", command: { kind: "append", stream, close: false, batch: refOf(bytes, span) } },
    7,
  );
}

/** The batch with some bytes changed, and a checksum that fits them. */
function forged(batch: Uint8Array, change: (data: DataView) => void): Uint8Array {
  const copy = batch.slice();
  const data = new DataView(copy.buffer);
  change(data);
  data.setBigUint64(0, xxh64(copy.subarray(8)), true);
  return copy;
}

/** A batch of a few hundred bytes whose records decompress to ten megabytes. */
function bomb(): Uint8Array {
  const packed = zstdCompressSync(Buffer.alloc(10 * 1024 * 1024));
  const whole = concat([encodeBatch([{ value: null }]).subarray(0, BATCH_HEADER_LENGTH), packed]);
  return forged(whole, (data) => {
    data.setUint32(8, whole.length, true);
    data.setUint8(13, 1);
    data.setUint32(24, 10 * 1024 * 1024, true);
  });
}

describe("commands in frames that are refused", () => {
  const batch = encodeBatch([{ value: utf8("x") }]);
  const cases: readonly (readonly [string, ErrorCode, () => Uint8Array])[] = [
    ["a batch with a wrong checksum", "checksum-mismatch", () => append("text", batch.with(38, 0))],
    ["a batch cut short", "malformed-batch", () => append("text", batch.slice(0, 20))],
    [
      "a batch that claims another length",
      "malformed-batch",
      () =>
        append(
          "text",
          forged(batch, (data) => data.setUint32(8, 4_000_000_000, true)),
        ),
    ],
    [
      "a batch that claims more records",
      "malformed-batch",
      () =>
        append(
          "text",
          forged(batch, (data) => data.setUint32(16, 4_000_000_000, true)),
        ),
    ],
    [
      "a batch of another version",
      "unsupported-version",
      () =>
        append(
          "text",
          forged(batch, (data) => data.setUint8(12, 9)),
        ),
    ],
    ["a zstd bomb", "batch-too-large", () => append("text", bomb())],
    [
      "a zstd bomb that lies about its size",
      "malformed-batch",
      () =>
        append(
          "text",
          forged(bomb(), (data) => data.setUint32(24, 1_000, true)),
        ),
    ],
    [
      "an oversized record",
      "record-too-large",
      () => append("text", encodeBatch([{ value: new Uint8Array(17 * 1024) }])),
    ],
    [
      "too many records",
      "too-many",
      () => append("text", encodeBatch(Array.from({ length: 1_001 }, () => ({ value: null }))), 1_001),
    ],
    ["a record that is no JSON", "malformed-json", () => append("json", batch)],
    ["an unknown stream", "stream-not-found", () => append("none", batch)],
    ["a name with ..", "malformed-name", () => append("a/../b", batch)],
    ["a reserved name", "malformed-name", () => append("__ds/x", batch)],
    ["an unknown kind", "malformed-frame", () => encodeFrame(99, 7, [])],
    ["a command cut short", "malformed-command", () => encodeFrame(1, 7, [new Uint8Array([2, 1, 2, 0])])],
    ["a command for servers only", "malformed-command", () => command({ kind: "tick" })],
    ["a subscription around the rules for webhooks", "malformed-command", () => command(subscription)],
    [
      "a read past the end",
      "malformed-offset",
      () => encodeRequest({ kind: "read", stream: "text", from: "offset", offset: 99, maxBytes: 1, waitMs: 0 }, 7),
    ],
  ];
  const subscription: Command = {
    kind: "subscription-create",
    id: "s",
    delivery: { kind: "webhook", url: "http://10.0.0.1/" },
    pattern: "*",
    streams: [],
    leaseMs: 1_000,
  };

  function command(given: Command): Uint8Array {
    return encodeRequest({ kind: "command", command: given }, 7);
  }

  it.each(cases)("%s: %s", async (_name, code, frame) => {
    const before = state();
    expect(await answerOf(frame())).toMatchObject({ kind: "error", code });
    expect(state()).toEqual(before);
    await expectServing();
  });
});

describe("connections that misbehave", () => {
  const head = (path: string, length: number): string =>
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n`;

  async function expectRawProblem(bytes: string | Uint8Array, code: ErrorCode): Promise<void> {
    const before = state();
    const answer = await rawRequest(server.url, bytes);
    expect(answer.status).toBe(ERRORS[code].status);
    expect(JSON.parse(answer.body)).toMatchObject({ code });
    expect(state()).toEqual(before);
    await expectServing();
  }

  it("garbage: malformed-request", () =>
    expectRawProblem("\x16\x03\x01\x02\x00\x01garbage\r\n\r\n", "malformed-request"));
  it("an oversized header: headers-too-large", () =>
    expectRawProblem(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(9_000)}\r\n\r\n`, "headers-too-large"));
  it("a slow body: request-timeout", () => expectRawProblem(`${head("/v1/stream/text", 10)}abc`, "request-timeout"));
  it("slow headers: request-timeout", () =>
    expectRawProblem("POST /v1/stream/text HTTP/1.1\r\nHost:", "request-timeout"));
  it("an idle connection: request-timeout", () => expectRawProblem("", "request-timeout"));
  it("a name with .. as it stands: malformed-name", () =>
    expectRawProblem(
      "PUT /v1/stream/a/../b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      "malformed-name",
    ));
  it("a body that claims terabytes: body-too-large", () =>
    expectRawProblem(head("/v1/stream/text", 2 ** 42), "body-too-large"));

  it("a half-open socket, its body cut short, changes nothing", async () => {
    const before = state();
    const socket = await RawSocket.open(server.url);
    socket.send(`${head("/v1/stream/text", 10)}abc`);
    socket.halfClose();
    await socket.ended();
    expect(state()).toEqual(before);
    await expectServing();
  });

  it("a client that vanishes in the middle of its body changes nothing", async () => {
    const before = state();
    const socket = await RawSocket.open(server.url);
    socket.send(`${head("/v1/stream/text", 10)}abc`);
    socket.destroy();
    await socket.ended();
    await expectServing();
    expect(state()).toEqual(before);
  });

  it("1,000 idle connections keep nobody else from being served, and are closed in the end", async () => {
    const idle = await Promise.all(Array.from({ length: 1_000 }, () => RawSocket.open(server.url)));
    await expectServing();
    const ended = await Promise.all(idle.map(async (socket) => parseAnswer(await socket.ended())));
    expect(ended.every(({ status }) => status === 408)).toBe(true);
    await expectServing();
  });
});

describe("a server without room", () => {
  it("refuses with Retry-After when its queue is full, and goes on", async () => {
    const small = await startTestServer({ http: LIMITS, node: { proposalBytesMax: 4_096 } });
    try {
      const put = (body: string): Promise<Response> =>
        fetch(`${small.url}/v1/stream/s`, { method: "PUT", headers: TEXT, body });
      const refused = await put("x".repeat(8_000));
      expect(refused.headers.get("retry-after")).toBe("1");
      await expectProblem(refused, "overloaded");
      expect([...small.node.machine.streams()]).toEqual([]);
      expect((await put("x")).status).toBe(201);
    } finally {
      await small.close();
    }
  });

  it("refuses what adds data when its disk is nearly full, and still reads and deletes", async () => {
    const full = await startTestServer({ http: LIMITS });
    try {
      const url = `${full.url}/v1/stream/s`;
      expect((await fetch(url, { method: "PUT", headers: TEXT, body: "kept" })).status).toBe(201);
      await full.fillDisk();
      await expectProblem(await fetch(url, { method: "POST", headers: TEXT, body: "x" }), "disk-full");
      expect(await (await fetch(url)).text()).toBe("kept");
      expect((await fetch(url, { method: "DELETE" })).status).toBe(204);
    } finally {
      await full.close();
    }
  });

  it("refuses live readers beyond its bound, and shows others the door when it closes", async () => {
    const busy = await startTestServer({ http: { ...LIMITS, liveResponsesMax: 1 } });
    const url = `${busy.url}/v1/stream/s`;
    await fetch(url, { method: "PUT", headers: TEXT, body: "x" });
    const live = await fetch(`${url}?offset=-1&live=sse`);
    await expectProblem(await fetch(`${url}?offset=now&live=long-poll`), "overloaded");
    const text = live.text();
    await busy.close();
    expect(await text).toContain('"upToDate":true');
  });
});
