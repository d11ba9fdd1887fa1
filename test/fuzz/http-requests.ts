/** Requests of every face, as they go over the wire: what is mutated before a real server gets it. */
import { concat, utf8 } from "../../src/lib/bytes.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import { encodeRequest } from "../../src/wire/request.ts";
import { batchOf } from "../wire/requests.ts";

const JSON_TYPE = "Content-Type: application/json";
const BATCH = encodeBatch([{ value: utf8("1"), key: utf8("k"), timestamp: 5 }]);
const FRAME = encodeRequest(
  { kind: "command", command: { kind: "append", stream: "s", close: false, batch: batchOf(BATCH) } },
  1,
);

export const HTTP_REQUESTS: readonly Uint8Array[] = [
  request("PUT", "/v1/stream/s", [JSON_TYPE, "Stream-TTL: 100"], '[{"a": [1, "x"]}, 2]'),
  request("POST", "/v1/stream/s", [JSON_TYPE, "Producer-Id: p", "Producer-Epoch: 0", "Producer-Seq: 0"], '{"n": 1}'),
  request("GET", "/v1/stream/s?offset=0000000000000000_0000000000000000&cursor=5&live=long-poll", [
    'If-None-Match: "x"',
  ]),
  request("GET", "/v1/stream/s?offset=-1&live=sse"),
  request("HEAD", "/v1/stream/s"),
  request("OPTIONS", "/v1/stream/s", ["Origin: http://a", "Access-Control-Request-Method: PUT"]),
  request("PUT", "/v1/stream/f", [
    "Stream-Forked-From: /v1/stream/s",
    "Stream-Fork-Offset: 0000000000000000_0000000000000000",
    "Stream-Fork-Sub-Offset: 1",
  ]),
  request(
    "PUT",
    "/v1/stream/__ds/subscriptions/x",
    [JSON_TYPE],
    '{"type":"webhook","pattern":"a/*","webhook":{"url":"http://127.0.0.1:9/"}}',
  ),
  request(
    "POST",
    "/v1/stream/__ds/subscriptions/x/ack",
    ["Authorization: Bearer a.b.c"],
    '{"wake_id":"w","generation":1,"acks":[]}',
  ),
  request("POST", "/v1/frames", ["Content-Type: application/x-tidemark-frames"], FRAME),
  request(
    "POST",
    "/v1/records/s?producer=p&epoch=0&sequence=0",
    [JSON_TYPE, 'If-Match: "0"'],
    '[{"key":"k","value":{"a":1},"headers":{"h":"v"},"timestamp":5},"x",{"base64":"MQ=="}]',
  ),
  request("POST", "/v1/records/s", ["Content-Type: application/x-ndjson"], '{"value":1}\n"x"\n\n[3]'),
  request("POST", "/v1/records/s", ["Content-Type: application/x-tidemark-batch"], BATCH),
  request("GET", "/v1/records/s?offset=0&limit=2&maxBytes=100&wait=5", [
    "Accept: application/x-ndjson, application/json;q=0.5",
  ]),
  request("GET", "/v1/records/s?time=2026-01-01T00:00:00Z", ["Accept: application/x-tidemark-batch"]),
  request("GET", "/v1/records/s", ["Accept: text/event-stream", "Last-Event-ID: 0"]),
  request("GET", "/v1/streams?prefix=s&after=a&limit=5", ["Tidemark-Session: test.0.3"]),
  request(
    "PUT",
    "/v1/streams/s",
    [JSON_TYPE],
    '{"contentType":"application/json","ttlSeconds":9,"retention":{"maxBytes":5},"fork":{"source":"s","offset":0}}',
  ),
  request("PATCH", "/v1/streams/s", [JSON_TYPE], '{"retention":{"compaction":{"tombstoneMs":5}}}'),
  request("DELETE", "/v1/stream/f"),
  request("POST", "/v1/trim/s", [JSON_TYPE], '{"before":"0000000000000000_0000000000000000"}'),
  request(
    "POST",
    "/v1/transactions",
    [JSON_TYPE],
    '{"conditions":[{"stream":"s","exists":true},{"cursor":"c","value":null}],"operations":[{"append":"s","records":[1]},{"cursor":"c","value":"x"}]}',
  ),
  request("PUT", "/v1/cursors/c%20d", ['If-Match: "1.1"', "Content-Type: text/plain"], "value"),
  request("PUT", "/v1/groups/g", [JSON_TYPE], '{"mode":"partitions","streams":["s"],"pattern":"a/*","leaseMs":1000}'),
  request("PUT", "/v1/groups/q", [JSON_TYPE], '{"mode":"queue","streams":["s"],"attemptsMax":3,"from":"start"}'),
  request("GET", "/v1/groups/g?waitMs=5"),
  request("GET", "/v1/groups?limit=3"),
  request("POST", "/v1/groups/g/join", [JSON_TYPE], '{"member":"m"}'),
  request("POST", "/v1/groups/q/take", [JSON_TYPE], '{"member":"m","count":3,"waitMs":5}'),
  request(
    "POST",
    "/v1/groups/q/settle",
    [JSON_TYPE],
    '{"settlements":[{"stream":"s","offset":0,"count":1,"generation":1,"outcome":"ack"},{"stream":"s","offset":1,"generation":1,"outcome":"release"}]}',
  ),
  request(
    "POST",
    "/v1/groups/g/ack",
    [JSON_TYPE],
    '{"member":"m","session":1,"acks":[{"stream":"s","generation":1,"offset":0}]}',
  ),
  request("POST", "/v1/groups/g/reset", [JSON_TYPE], '{"to":"start","force":true}'),
  request("PUT", "/v1/apps/a", [JSON_TYPE], '{"version":1,"tasks":[{"task":"0.0","inputs":["s"]}],"options":"o"}'),
  request("GET", "/v1/apps?limit=3"),
  request("GET", "/v1/apps/a"),
  request(
    "POST",
    "/v1/apps/a/reset",
    [JSON_TYPE],
    '{"tasks":[{"task":"0.0","start":{"position":1,"ordinal":0,"index":0}}],"deleteStreams":["s"],"dryRun":true}',
  ),
  request("POST", "/v1/apps/a/pause"),
  utf8(
    `POST /v1/stream/s HTTP/1.1\r\nHost: localhost\r\n${JSON_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n5;x=y\r\n":1 }\r\n0\r\nX: y\r\n\r\n`,
  ),
  utf8("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\nGET /openapi.json HTTP/1.0\r\n\r\n"),
];

/** Where what is sent breaks as HTTP. */
export const HTTP_WORDS: readonly Uint8Array[] = [
  "\r\n",
  "\n",
  "\r",
  "\r\n\r\n",
  "Content-Length: 5\r\n",
  "Content-Length: 18446744073709551616\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: gzip, chunked\r\n",
  "Expect: 100-continue\r\n",
  "Upgrade: websocket\r\nConnection: Upgrade\r\n",
  "Content-Encoding: gzip\r\n",
  "HTTP/9.9",
  "ffffffffffffffff\r\n",
  "-1\r\n",
  " \t ",
  "\u0000",
  "%00",
  "/../",
  "?offset=",
  "9007199254740993",
  "1e400",
  "__proto__",
].map((word) => utf8(word));

function request(
  method: string,
  path: string,
  headers: readonly string[] = [],
  body: string | Uint8Array = "",
): Uint8Array {
  const bytes = typeof body === "string" ? utf8(body) : body;
  const lines = [`${method} ${path} HTTP/1.1`, "Host: localhost", `Content-Length: ${bytes.length}`, ...headers];
  return concat([utf8(`${lines.join("\r\n")}\r\n\r\n`), bytes]);
}
