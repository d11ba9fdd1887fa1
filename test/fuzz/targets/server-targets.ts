/**
 * Whole requests and messages against a real server on a real socket, whatever they do to each other: it answers or hangs
 * up, never fails, and goes on serving.
 */
import { HTTP_LIMITS } from "../../../log-server/http/limits.ts";
import { concat, utf8 } from "../../../src/lib/bytes.ts";
import { encodeRequest } from "../../../src/wire/request.ts";
import { parseAnswer, RawSocket } from "../../http/raw-socket.ts";
import { startTestServer, type TestServer } from "../../http/test-server.ts";
import { append, create, encode, subscribe } from "../../ws/frame-client.ts";
import { OPCODE, RawPeer, rawMessage } from "../../ws/raw-peer.ts";
import { startWsServer, type WsServer } from "../../ws/ws-server.ts";
import { HTTP_REQUESTS, HTTP_WORDS } from "../http-requests.ts";
import { type CostlyCheck, costly, demand, type Target, type Verdict } from "../target.ts";
import { JSON_WORDS, textSamples } from "./samples.ts";

const EVERY_INPUTS = 10;
/** After so many inputs a good request must still be answered. */
const BURST = 25;
const WAIT_MS = 20;
const SERVER_ERROR = 500;
const CLIENT_ERROR = 400;
/** The server met a condition that it did not expect (RFC 6455, section 7.4.1). */
const UNEXPECTED = 1011;

/** Of a WebSocket message, mask included: of up to 125 bytes, and of up to 65,535. */
const SHORT_HEADER = 6;
const LONG_HEADER = 8;

const LIMITS = {
  ...HTTP_LIMITS,
  longPollMs: WAIT_MS,
  sseMs: WAIT_MS,
  headersTimeoutMs: 200,
  requestTimeoutMs: 300,
  timeoutCheckEveryMs: WAIT_MS,
};

const TEXTS = [
  '{"create":"t","contentType":"application/json"}',
  '{"append":"t","records":[1,{"value":{"a":2},"key":"k"}],"id":"x"}',
  '{"subscribe":"t","credit":1000,"id":1}',
  '{"follow":["t"],"from":{"t":0},"credit":10,"markEveryMs":10}',
  '{"read":"t","from":0}',
  '{"describe":"t"}',
  '{"close":"u"}',
];

export const SERVER_TARGETS: readonly Target[] = [
  costly({
    name: "HTTP requests",
    samples: HTTP_REQUESTS,
    words: [...HTTP_WORDS, ...JSON_WORDS],
    seal: withContentLength,
    everyInputs: EVERY_INPUTS,
    open: openHttp,
  }),
  costly({
    name: "WebSocket messages",
    samples: [
      ...TEXTS.map((message) => rawMessage(OPCODE.text, utf8(message))),
      rawMessage(OPCODE.binary, concat([encode(create("b"), 1), encode(append("b", "v", "w"), 2)])),
      rawMessage(OPCODE.binary, concat([encode(subscribe("b", 1_000), 3), encode({ kind: "credit", bytes: 9 }, 3)])),
      rawMessage(OPCODE.binary, encode({ kind: "unsubscribe" }, 3)),
      rawMessage(OPCODE.binary, encodeRequest({ kind: "list", prefix: "", after: "", limit: 10 }, 4)),
      rawMessage(OPCODE.binary, encode({ kind: "ping" }, 5)),
      rawMessage(OPCODE.ping, utf8("?")),
      rawMessage(OPCODE.close, Uint8Array.of(3, 232)),
      concat([rawMessage(OPCODE.text, utf8('{"pi'), { fin: false }), rawMessage(0, utf8('ng":1}'))]),
    ],
    words: [...textSamples(...TEXTS), ...JSON_WORDS],
    seal: asMessage,
    everyInputs: EVERY_INPUTS,
    open: openWebSocket,
  }),
];

async function openHttp(): Promise<CostlyCheck> {
  const failures: unknown[] = [];
  const server = await startTestServer({
    http: LIMITS,
    observer: { event: (code, detail) => (code === "request-failed" ? failures.push(detail) : undefined) },
  });
  await prepare(server);
  // What the requests are about is there before they are mutated.
  for (const request of HTTP_REQUESTS) await statusOf(server, request);
  let inputs = 0;
  const check = async (bytes: Uint8Array): Promise<Verdict> => {
    const status = await statusOf(server, bytes);
    demand(failures.length === 0, `the server failed: ${JSON.stringify(failures)}`);
    demand(status < SERVER_ERROR, `the answer was ${status}`);
    inputs += 1;
    if (inputs % BURST === 0) await expectServing(server);
    // Status 0: it hung up on what was no request.
    return status === 0 || status >= CLIENT_ERROR ? "refused" : "accepted";
  };
  return { check, close: () => server.close() };
}

async function statusOf({ url }: TestServer, request: Uint8Array): Promise<number> {
  const socket = await RawSocket.open(url);
  socket.send(request);
  socket.halfClose();
  return parseAnswer(await socket.ended()).status;
}

async function openWebSocket(): Promise<CostlyCheck> {
  const server = await startWsServer();
  await prepare(server);
  const { events }: WsServer = server;
  let inputs = 0;
  const check = async (bytes: Uint8Array): Promise<Verdict> => {
    const peer = await RawPeer.open(server.url);
    peer.write(bytes);
    peer.write(rawMessage(OPCODE.ping, utf8("still there")));
    // Half a message is never ended: the server must not wait for the rest of it once nothing more can come.
    peer.socket.end();
    let verdict: Verdict = "refused";
    for (let frame = await peer.next(); frame !== undefined; frame = await peer.next()) {
      if (frame.opcode === OPCODE.pong) verdict = "accepted";
      if (frame.opcode !== OPCODE.close) continue;
      demand(frame.payload.length < 2 || frame.payload.readUInt16BE(0) !== UNEXPECTED, "the server failed");
    }
    demand(!events.includes("request-failed"), `the server failed: ${events.join(", ")}`);
    inputs += 1;
    if (inputs % BURST === 0) await expectServing(server);
    return verdict;
  };
  return { check, close: () => server.close() };
}

async function prepare(server: TestServer): Promise<void> {
  await fetch(`${server.url}/v1/stream/good`, {
    method: "PUT",
    headers: { "content-type": "text/plain" },
    body: "one",
  });
}

async function expectServing({ url }: TestServer): Promise<void> {
  const answer = await fetch(`${url}/v1/stream/good?offset=-1`);
  demand(answer.status === 200 && (await answer.text()) === "one", "a good request is still answered");
}

/** Gives the body the length that it has, where a request is one still. */
function withContentLength(bytes: Uint8Array): Uint8Array {
  const whole = Buffer.from(bytes).toString("latin1");
  const end = whole.indexOf("\r\n\r\n");
  const head = whole.slice(0, end).replace(/content-length: [0-9]+/i, `Content-Length: ${whole.length - end - 4}`);
  return end < 0 ? bytes : Buffer.from(head + whole.slice(end), "latin1");
}

/** A message whose header is right, around what was mutated. */
function asMessage(bytes: Uint8Array): Uint8Array {
  const opcode = ((bytes[0] ?? 0) & 1) === 1 ? OPCODE.text : OPCODE.binary;
  const headerLength = ((bytes[1] ?? 0) & 127) > 125 ? LONG_HEADER : SHORT_HEADER;
  return rawMessage(opcode, bytes.subarray(headerLength));
}
