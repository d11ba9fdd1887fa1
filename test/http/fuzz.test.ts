/** Requests with random damage, seeded: whatever arrives, the server answers or hangs up, never fails, and goes on serving. */
import { expect, it } from "vitest";
import { HTTP_LIMITS } from "../../log-server/http/limits.ts";
import { concat, utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import { encodeRequest } from "../../src/wire/request.ts";
import { parseAnswer, RawSocket } from "./raw-socket.ts";
import { startTestServer } from "./test-server.ts";

const REQUESTS = 1_000;
const AT_ONCE = 8;

function request(
  method: string,
  path: string,
  headers: readonly string[] = [],
  body: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const lines = [`${method} ${path} HTTP/1.1`, "Host: localhost", `Content-Length: ${body.length}`, ...headers];
  return concat([utf8(`${lines.join("\r\n")}\r\n\r\n`), body]);
}

const bytes = encodeBatch([{ value: utf8("value"), key: utf8("k"), timestamp: 5 }]);
const FRAME = encodeRequest(
  {
    kind: "command",
    command: { kind: "append", stream: "s", close: false, batch: { hash: 0n, length: bytes.length, span: 1, bytes } },
  },
  1,
);
const SEEDS: readonly Uint8Array[] = [
  request("PUT", "/v1/stream/s", ["Content-Type: application/json", "Stream-TTL: 100"], utf8('[{"a": [1, "x"]}, 2]')),
  request(
    "POST",
    "/v1/stream/s",
    ["Content-Type: application/json", "Producer-Id: p", "Producer-Epoch: 0", "Producer-Seq: 0"],
    utf8('{"n": 1}'),
  ),
  request("GET", "/v1/stream/s?offset=0000000000000000_0000000000000000&cursor=5&live=long-poll", [
    'If-None-Match: "x"',
  ]),
  request("GET", "/v1/stream/s?offset=-1&live=sse"),
  request("PUT", "/v1/stream/f", [
    "Stream-Forked-From: /v1/stream/s",
    "Stream-Fork-Offset: 0000000000000000_0000000000000000",
    "Stream-Fork-Sub-Offset: 1",
  ]),
  request(
    "PUT",
    "/v1/stream/__ds/subscriptions/x",
    ["Content-Type: application/json"],
    utf8('{"type":"webhook","pattern":"a/*","webhook":{"url":"http://127.0.0.1:9/"}}'),
  ),
  request(
    "POST",
    "/v1/stream/__ds/subscriptions/x/ack",
    ["Authorization: Bearer a.b.c"],
    utf8('{"wake_id":"w","generation":1,"acks":[]}'),
  ),
  request("POST", "/v1/frames", ["Content-Type: application/x-tidemark-frames"], FRAME),
  request(
    "POST",
    "/v1/records/s?producer=p&epoch=0&sequence=0",
    ["Content-Type: application/json", 'If-Match: "0"'],
    utf8('[{"key":"k","value":{"a":1},"headers":{"h":"v"},"timestamp":5},"x",{"base64":"AP8="}]'),
  ),
  request("POST", "/v1/records/s", ["Content-Type: application/x-ndjson"], utf8('{"value":1}\n"x"\n\n[3]')),
  request("POST", "/v1/records/s", ["Content-Type: application/x-tidemark-batch"], bytes),
  request("GET", "/v1/records/s?offset=0&limit=2&maxBytes=100&wait=5", [
    "Accept: application/x-ndjson, application/json;q=0.5",
  ]),
  request("GET", "/v1/records/s?time=2026-01-01T00:00:00Z", ["Accept: application/x-tidemark-batch"]),
  request("GET", "/v1/records/s", ["Accept: text/event-stream", "Last-Event-ID: 0"]),
  request("GET", "/v1/streams?prefix=s&after=a&limit=5"),
  request(
    "PUT",
    "/v1/streams/s",
    ["Content-Type: application/json"],
    utf8(
      '{"contentType":"application/json","ttlSeconds":9,"retention":{"maxBytes":5},"fork":{"source":"s","offset":0}}',
    ),
  ),
  request(
    "PATCH",
    "/v1/streams/s",
    ["Content-Type: application/json"],
    utf8('{"retention":{"compaction":{"tombstoneMs":5}}}'),
  ),
  request(
    "POST",
    "/v1/trim/s",
    ["Content-Type: application/json"],
    utf8('{"before":"0000000000000000_0000000000000000"}'),
  ),
  request(
    "POST",
    "/v1/transactions",
    ["Content-Type: application/json"],
    utf8(
      '{"conditions":[{"stream":"s","exists":true},{"cursor":"c","value":null}],"operations":[{"append":"s","records":[1]},{"cursor":"c","value":"x"}]}',
    ),
  ),
  request(
    "PUT",
    "/v1/groups/q",
    ["Content-Type: application/json"],
    utf8('{"mode":"queue","streams":["s"],"pattern":"a/*","leaseMs":1000,"attemptsMax":3,"deadLetter":"d"}'),
  ),
  request("POST", "/v1/groups/q/take", ["Content-Type: application/json"], utf8('{"member":"m","count":2,"waitMs":5}')),
  request(
    "POST",
    "/v1/groups/q/settle",
    ["Content-Type: application/json"],
    utf8('{"settlements":[{"stream":"s","offset":0,"generation":1,"outcome":"nack","delayMs":0,"reason":"r"}]}'),
  ),
  request("POST", "/v1/groups/q/reset", ["Content-Type: application/json"], utf8('{"to":"start","force":true}')),
  request(
    "POST",
    "/v1/groups/p/ack",
    ["Content-Type: application/json"],
    utf8('{"member":"m","session":1,"acks":[{"stream":"s","generation":1,"offset":1}]}'),
  ),
  request("GET", "/v1/groups?prefix=q&after=a&limit=5"),
  request("PUT", "/v1/cursors/c%20d", ['If-Match: "1.1"', "Content-Type: text/plain"], utf8("value")),
];

function damaged(seed: Uint8Array, prng: Prng): Uint8Array {
  let current = seed;
  for (let change = prng.below(4); change >= 0; change -= 1) {
    const place = prng.below(current.length);
    const length = prng.below(8);
    switch (prng.below(4)) {
      case 0:
        current = current.with(place, prng.below(256));
        break;
      case 1:
        current = concat([current.subarray(0, place), prng.bytes(length), current.subarray(place)]);
        break;
      case 2:
        current = concat([current.subarray(0, place), current.subarray(place + length)]);
        break;
      default:
        current = concat([current.subarray(0, place), current.subarray(prng.below(current.length))]);
    }
    if (current.length === 0) return seed;
  }
  return current;
}

it("survives damaged requests", async () => {
  const failures: unknown[] = [];
  const server = await startTestServer({
    http: {
      ...HTTP_LIMITS,
      longPollMs: 20,
      sseMs: 20,
      headersTimeoutMs: 200,
      requestTimeoutMs: 300,
      timeoutCheckEveryMs: 20,
    },
    observer: { event: (code, detail) => (code === "request-failed" ? failures.push(detail) : undefined) },
  });
  try {
    const prng = new Prng(20_261_121);
    const statuses = new Map<number, number>();
    const work = async (): Promise<void> => {
      for (let round = 0; round < REQUESTS / AT_ONCE; round += 1) {
        const socket = await RawSocket.open(server.url);
        socket.send(damaged(prng.pick(SEEDS), prng));
        socket.halfClose();
        const { status } = parseAnswer(await socket.ended());
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    expect(failures).toEqual([]);
    expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([]);
    // Not all stopped at the door: some requests were still good, some were understood and refused.
    expect(statuses.size).toBeGreaterThan(4);
    const after = await fetch(`${server.url}/v1/stream/after`, {
      method: "PUT",
      headers: { "content-type": "text/plain" },
      body: "x",
    });
    expect(after.status).toBe(201);
  } finally {
    await server.close();
  }
});
