/** Frames over HTTP: order, grouping, bounds, and what each kind of failure says of the outcome. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { Addresses } from "../../client/addresses.ts";
import { Session } from "../../client/transport/session.ts";
import { connect } from "../../client/client.ts";
import { TidemarkError } from "../../client/error.ts";
import type { Stream } from "../../client/stream.ts";
import type { TokenSource } from "../../client/transport/http-exchange.ts";
import { HttpTransport } from "../../client/transport/http-transport.ts";
import { CLIENT_LIMITS } from "../../client/limits.ts";
import { concat } from "../../src/lib/bytes.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import { splitFrames } from "../../src/wire/frame.ts";
import { decodeRequest, type Request } from "../../src/wire/request.ts";
import { encodeResponse } from "../../src/wire/response.ts";
import { FakeServer } from "./fake-server.ts";
import { turn, virtualTime, type VirtualTime } from "./virtual-time.ts";

type Exchange = {
  readonly url: string;
  readonly headers: Headers;
  readonly requests: readonly Request[];
  readonly answer: (response?: globalThis.Response) => void;
  readonly fail: (error: unknown) => void;
};

const LIMITS = { batchBytesMax: 1 << 24, rawBytesMax: 1 << 26 };
const NEVER = new AbortController().signal;

class FakeFetch {
  readonly server = new FakeServer();
  readonly exchanges: Exchange[] = [];
  held = false;

  readonly fetch: typeof fetch = (input, init) => {
    const body = new Uint8Array(init?.body as ArrayBuffer);
    const frames = splitFrames(body, body.length + 1, 10_000);
    if (!frames.ok) throw new Error(frames.error.message);
    const requests = frames.value.map((frame) => {
      const request = decodeRequest(frame, LIMITS);
      if (!request.ok) throw new Error(request.error.message);
      return request.value;
    });
    const answered = (): globalThis.Response =>
      new Response(
        concat(
          requests.map((request, at) => encodeResponse(this.server.handle(request), frames.value[at]?.requestId ?? 0)),
        ) as Uint8Array<ArrayBuffer>,
      );
    return new Promise((resolve, reject) => {
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason as Error));
      this.exchanges.push({
        url: input as string,
        headers: new Headers(init?.headers),
        requests,
        answer: (response) => resolve(response ?? answered()),
        fail: reject,
      });
      if (!this.held) resolve(answered());
    });
  };
}

type Bench = { readonly time: VirtualTime; readonly http: FakeFetch; readonly transport: HttpTransport };

function bench(token?: TokenSource): Bench {
  const time = virtualTime();
  const http = new FakeFetch();
  http.server.create("s");
  const { clock } = time.environment;
  return {
    time,
    http,
    transport: new HttpTransport({
      addresses: new Addresses([new URL("http://node:1/base")]),
      session: new Session(),
      token,
      fetch: http.fetch,
      clock,
    }),
  };
}

function append(value: string | Uint8Array): Request {
  const bytes = encodeBatch([{ value: typeof value === "string" ? new TextEncoder().encode(value) : value }]);
  const hash = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const batch: BatchRef = { hash, length: bytes.length, span: 1, bytes };
  return { kind: "command", command: { kind: "append", stream: "s", close: false, batch } };
}

const DESCRIBE: Request = { kind: "describe", stream: "s" };

async function failure(promise: Promise<unknown>): Promise<TidemarkError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(TidemarkError);
  return thrown as TidemarkError;
}

function refusedAt(address: string): Error {
  return Object.assign(new Error(`connect ECONNREFUSED ${address}:1`), { code: "ECONNREFUSED", syscall: "connect" });
}

describe("http transport", () => {
  it("posts what is asked together together, and one POST of commands at a time", async () => {
    const { http, transport } = bench();
    http.held = true;
    const answers = ["a", "b"].map((value) => transport.request(append(value), NEVER));
    await turn();
    for (const value of ["c", "d", "e"]) answers.push(transport.request(append(value), NEVER));
    await turn();
    expect(http.exchanges.map(({ requests }) => requests.length)).toEqual([2]);
    http.exchanges[0]?.answer();
    await turn();
    expect(http.exchanges.map(({ requests }) => requests.length)).toEqual([2, 3]);
    http.exchanges[1]?.answer();
    const offsets = (await Promise.all(answers)).map((answer) =>
      answer.kind === "result" && answer.result.kind === "appended" ? answer.result.firstOffset : "?",
    );
    expect(offsets).toEqual([0, 1, 2, 3, 4]);
    expect(http.server.contents("s")).toEqual(["a", "b", "c", "d", "e"]);
    expect(http.exchanges[0]?.url).toBe("http://node:1/base/v1/frames");
    expect(http.exchanges[0]?.headers.get("content-type")).toBe("application/x-tidemark-frames");
    expect(http.exchanges[0]?.headers.has("authorization")).toBe(false);
  });

  it("bounds a POST by bytes, and lets a larger command travel alone", async () => {
    const { http, transport } = bench();
    const size = CLIENT_LIMITS.postBytesMax / 4;
    const sizes = [1, 1, 1, 1, 5, 1];
    await Promise.all(sizes.map((each) => transport.request(append(new Uint8Array(each * size)), NEVER)));
    expect(http.exchanges.map(({ requests }) => requests.length)).toEqual([3, 1, 1, 1]);
  });

  it("is bounded by what waits", async () => {
    const { http, transport } = bench();
    http.held = true;
    const size = CLIENT_LIMITS.queuedBytesMax / 4;
    const fit = Array.from({ length: 3 }, () => failure(transport.request(append(new Uint8Array(size)), NEVER)));
    expect(await failure(transport.request(append(new Uint8Array(size)), NEVER))).toMatchObject({
      code: "overloaded",
      outcome: "not-applied",
    });
    await transport.close();
    await Promise.all(fit);
  });

  it("reads pass commands by", async () => {
    const { http, transport } = bench();
    http.held = true;
    void transport.request(append("a"), NEVER);
    const describes = [transport.request(DESCRIBE, NEVER), transport.request(DESCRIBE, NEVER)];
    await turn();
    expect(http.exchanges).toHaveLength(3);
    for (const exchange of http.exchanges) exchange.answer();
    expect((await Promise.all(describes)).map(({ kind }) => kind)).toEqual(["description", "description"]);
  });

  it("carries the token, asked for each time", async () => {
    let count = 0;
    const { http, transport } = bench(() => Promise.resolve(`t${(count += 1)}`));
    await transport.request(DESCRIBE, NEVER);
    await transport.request(append("a"), NEVER);
    expect(http.exchanges.map(({ headers }) => headers.get("authorization"))).toEqual(["Bearer t1", "Bearer t2"]);
  });

  it("a token that cannot be had, in time or at all: nothing was sent", async () => {
    const broken = bench(() => Promise.reject(new Error("no keys")));
    expect(await failure(broken.transport.request(append("a"), NEVER))).toMatchObject({
      code: "unauthorized",
      outcome: "not-applied",
    });
    const slow = bench(() => new Promise(() => undefined));
    const pending = failure(slow.transport.request(append("a"), NEVER));
    await turn();
    slow.time.clock.advance(CLIENT_LIMITS.attemptTimeoutMs);
    expect(await pending).toMatchObject({ code: "connection-lost", outcome: "not-applied" });
    expect([...broken.http.exchanges, ...slow.http.exchanges]).toEqual([]);
  });

  it("a connection that was refused carried nothing; one that broke may have", async () => {
    const { http, transport } = bench();
    http.held = true;
    const refused = failure(transport.request(append("a"), NEVER));
    await turn();
    http.exchanges[0]?.fail(
      new TypeError("fetch failed", { cause: Object.assign(new Error(), { code: "ECONNREFUSED" }) }),
    );
    expect(await refused).toMatchObject({ code: "connection-failed", outcome: "not-applied", retryable: true });
    const reset = failure(transport.request(append("a"), NEVER));
    await turn();
    http.exchanges[1]?.fail(
      new TypeError("fetch failed", { cause: Object.assign(new Error(), { code: "ECONNRESET" }) }),
    );
    expect(await reset).toMatchObject({ code: "connection-lost", outcome: "unknown", retryable: true });
  });

  it.each([
    [
      "a time-out of connecting",
      Object.assign(new Error("t"), { code: "ETIMEDOUT", syscall: "connect" }),
      "not-applied",
    ],
    ["a time-out of a connection", Object.assign(new Error("t"), { code: "ETIMEDOUT", syscall: "read" }), "unknown"],
    ["a host with two addresses", new AggregateError([refusedAt("::1"), refusedAt("127.0.0.1")]), "not-applied"],
    ["one address that broke later", new AggregateError([refusedAt("::1"), new Error("reset")]), "unknown"],
    ["what nobody knows", new Error("other side closed"), "unknown"],
  ])("a failure before anything was sent is told from one after: %s", async (_, cause, outcome) => {
    const { http, transport } = bench();
    http.held = true;
    const error = failure(transport.request(append("a"), NEVER));
    await turn();
    http.exchanges[0]?.fail(new TypeError("fetch failed", { cause }));
    const code = outcome === "unknown" ? "connection-lost" : "connection-failed";
    expect(await error).toMatchObject({ code, outcome, retryable: true });
  });

  it("a port that fetch connects to for nobody was never connected to", async () => {
    const { clock } = virtualTime().environment;
    const baseUrl = new URL("http://127.0.0.1:1");
    const transport = new HttpTransport({
      addresses: new Addresses([baseUrl]),
      session: new Session(),
      token: undefined,
      fetch: globalThis.fetch,
      clock,
    });
    const error = await failure(transport.request(append("a"), NEVER));
    expect(error).toMatchObject({ code: "connection-failed", outcome: "not-applied", retryable: true });
    expect(error.message).toContain("bad port");
  });

  it.each<[string, (stream: Stream) => Promise<unknown>]>([
    ["a retention before now", (stream) => stream.settings({ maxAgeMs: -1 })],
    ["a retention of no number", (stream) => stream.settings({ maxBytes: Number.NaN })],
    ["no retention at all", (stream) => stream.settings(null as never)],
    ["a content type that is no text", (stream) => stream.create({ contentType: "a/b\ud800" })],
  ])("what has no encoding is the caller's mistake, and nothing is sent: %s", async (_, call) => {
    const { time, http, transport } = bench();
    const client = connect("http://node:1", { transport, environment: time.environment });
    const error = await failure(call(client.stream("s")));
    expect(error).toMatchObject({ code: "invalid-argument", outcome: "not-applied", retryable: false });
    expect(error.message).not.toMatch(/I\d+:/);
    expect(http.exchanges).toEqual([]);
    await client.close();
  });

  it("TLS that a server does not speak never came about", async () => {
    const plain = createServer().listen(0, "127.0.0.1");
    await once(plain, "listening");
    const baseUrl = new URL(`https://127.0.0.1:${(plain.address() as AddressInfo).port}`);
    const { clock } = virtualTime().environment;
    const transport = new HttpTransport({
      addresses: new Addresses([baseUrl]),
      session: new Session(),
      token: undefined,
      fetch: globalThis.fetch,
      clock,
    });
    const error = await failure(transport.request(append("a"), NEVER));
    expect(error).toMatchObject({ code: "connection-failed", outcome: "not-applied" });
    plain.close();
  });

  it("an answer that stops short leaves the rest unknown", async () => {
    const { http, transport } = bench();
    http.held = true;
    const first = transport.request(append("a"), NEVER);
    const second = failure(transport.request(append("b"), NEVER));
    await turn();
    const position = 1;
    http.exchanges[0]?.answer(
      new Response(
        encodeResponse({ kind: "result", position, result: { kind: "done" } }, 0) as Uint8Array<ArrayBuffer>,
      ),
    );
    expect(await first).toMatchObject({ kind: "result" });
    expect(await second).toMatchObject({ code: "connection-lost", outcome: "unknown" });
  });

  it.each([
    ["garbage", new Uint8Array(100).fill(7)],
    ["a frame that claims 4 GiB", new Uint8Array([255, 255, 255, 255, 1, 129, 0, 0, 0, 0, 0, 0])],
  ])("%s is a protocol error, its outcome unknown", async (_, bytes) => {
    const { http, transport } = bench();
    http.held = true;
    const error = failure(transport.request(append("a"), NEVER));
    await turn();
    http.exchanges[0]?.answer(new Response(bytes));
    expect(await error).toMatchObject({ code: "protocol-error", outcome: "unknown" });
  });

  it.each([
    [
      503,
      { code: "unavailable", detail: "starting" },
      { code: "unavailable", outcome: "not-applied", retryable: true, message: "starting", retryAfterMs: 2_000 },
    ],
    [401, { code: "unauthorized" }, { code: "unauthorized", outcome: "not-applied", retryable: false }],
    [504, { code: "outcome-unknown" }, { code: "outcome-unknown", outcome: "unknown", retryable: true }],
    [502, "<html>", { code: "unavailable", outcome: "unknown", retryable: true }],
    [401, "", { code: "unauthorized", outcome: "not-applied" }],
    [404, "not here", { code: "protocol-error", outcome: "unknown", retryable: false }],
  ])("status %i with %j", async (status, body, expected) => {
    const { http, transport } = bench();
    http.held = true;
    const error = failure(transport.request(append("a"), NEVER));
    await turn();
    const text = typeof body === "string" ? body : JSON.stringify(body);
    http.exchanges[0]?.answer(new Response(text, { status, headers: { "retry-after": "2" } }));
    expect(await error).toMatchObject(expected);
  });

  it("an abort in the queue takes the command back; in flight it does not", async () => {
    const { http, transport } = bench();
    http.held = true;
    const [sent, queued] = [new AbortController(), new AbortController()];
    const first = failure(transport.request(append("a"), sent.signal));
    await turn();
    const second = failure(transport.request(append("b"), queued.signal));
    const third = transport.request(append("c"), NEVER);
    sent.abort(new TidemarkError("aborted"));
    queued.abort(new TidemarkError("aborted"));
    expect(await first).toMatchObject({ code: "aborted", outcome: "unknown" });
    expect(await second).toMatchObject({ code: "aborted", outcome: "not-applied" });
    http.exchanges[0]?.answer();
    await turn();
    http.exchanges[1]?.answer();
    await third;
    expect(http.server.contents("s")).toEqual(["a", "c"]);
  });

  it("an aborted read ends its request", async () => {
    const { http, transport } = bench();
    http.held = true;
    const controller = new AbortController();
    const read = failure(transport.request(DESCRIBE, controller.signal));
    await turn();
    controller.abort(new TidemarkError("aborted"));
    expect(await read).toMatchObject({ code: "aborted" });
  });

  it("a server that never answers is given up, so that the next attempt can be made", async () => {
    const { time, http, transport } = bench();
    http.held = true;
    const hanging = failure(transport.request(append("a"), NEVER));
    await turn();
    time.clock.advance(CLIENT_LIMITS.attemptTimeoutMs);
    expect(await hanging).toMatchObject({ code: "connection-lost", outcome: "unknown", retryable: true });
    const poll = failure(
      transport.request({ kind: "read", stream: "s", from: "offset", offset: 0, maxBytes: 1, waitMs: 25_000 }, NEVER),
    );
    await turn();
    time.clock.advance(25_000 + CLIENT_LIMITS.attemptTimeoutMs - 1);
    expect(http.exchanges).toHaveLength(2);
    time.clock.advance(1);
    expect(await poll).toMatchObject({ code: "connection-lost" });
  });

  it("close() ends all: what waits is not applied, what was sent is unknown", async () => {
    const { http, transport } = bench();
    http.held = true;
    const sent = failure(transport.request(append("a"), NEVER));
    await turn();
    const queued = failure(transport.request(append("b"), NEVER));
    const read = failure(transport.request(DESCRIBE, NEVER));
    await transport.close();
    expect(await sent).toMatchObject({ code: "client-closed", outcome: "unknown" });
    expect(await queued).toMatchObject({ code: "client-closed", outcome: "not-applied" });
    expect(await read).toMatchObject({ code: "client-closed" });
    expect(await failure(transport.request(DESCRIBE, NEVER))).toMatchObject({ code: "client-closed" });
  });
});
