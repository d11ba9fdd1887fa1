/** The frame that says how fresh a connection's answers must be, and what its client has seen (W164). */
import { afterEach, beforeEach, expect, it } from "vitest";
import { HTTP_LIMITS } from "../../log-server/http/limits.ts";
import { append, batchOf } from "../node/sim-node.ts";
import { FrameClient } from "./frame-client.ts";
import { startWsServer, type WsServer } from "./ws-server.ts";

let server: WsServer;
let client: FrameClient;

beforeEach(async () => {
  server = await startWsServer();
  client = await FrameClient.open(server.url);
});

afterEach(async () => {
  client.close();
  await server.close();
});

it("is answered with the token of what is applied, and goes on from there", async () => {
  await server.node.propose({ kind: "create", stream: "s", closed: false, batch: batchOf("x") });
  const answer = await client.ask(1, { kind: "session", consistency: "session", token: "" });
  expect(answer).toEqual({ kind: "session", position: server.node.position, token: `test.0.${server.node.position}` });
  expect(await client.ask(2, { kind: "describe", stream: "s" })).toMatchObject({ kind: "description", tail: 1 });
});

it("makes all that comes behind it wait for what the client has seen, in order", async () => {
  await server.node.propose({ kind: "create", stream: "s", closed: false });
  const next = server.node.position + 1;
  const asked = client.ask(1, { kind: "session", consistency: "session", token: `test.0.${next}` });
  const appended = client.ask(2, { kind: "command", command: append("s", ["second"]) });
  await client.ask(9, { kind: "ping" });
  expect(server.node.position).toBe(next - 1);
  await server.node.propose(append("s", ["first"]));
  expect(await asked).toMatchObject({ kind: "session" });
  expect(await appended).toMatchObject({ kind: "result", result: { firstOffset: 1 } });
});

it("of another cluster refuses all that comes behind it, until there is another", async () => {
  await server.node.propose({ kind: "create", stream: "s", closed: false });
  const refused = { kind: "error", code: "cluster-changed" };
  expect(await client.ask(1, { kind: "session", consistency: "session", token: "other.0.1" })).toMatchObject(refused);
  expect(await client.ask(2, { kind: "command", command: append("s", ["x"]) })).toMatchObject(refused);
  expect(await client.ask(3, { kind: "describe", stream: "s" })).toMatchObject(refused);
  const subscribe = { kind: "subscribe", stream: "s", from: "start", offset: 0, credit: 100 } as const;
  expect(await client.ask(4, subscribe)).toMatchObject(refused);
  expect(server.readers()).toBe(0);
  expect(await client.ask(5, { kind: "session", consistency: "eventual", token: "" })).toMatchObject({
    kind: "session",
  });
  expect(await client.ask(6, { kind: "describe", stream: "s" })).toMatchObject({ kind: "description", tail: 0 });
});

it("that this node is behind refuses what comes behind it, until the node has come up", async () => {
  const slow = await startWsServer({}, undefined, { ...HTTP_LIMITS, sessionWaitMs: 20 });
  const other = await FrameClient.open(slow.url);
  await slow.node.propose({ kind: "create", stream: "s", closed: false });
  const next = slow.node.position + 1;
  const refused = { kind: "error", code: "unavailable" };
  expect(await other.ask(1, { kind: "session", consistency: "session", token: `test.0.${next}` })).toMatchObject(
    refused,
  );
  expect(await other.ask(2, { kind: "describe", stream: "s" })).toMatchObject(refused);
  await slow.node.propose(append("s", ["first"]));
  expect(await other.ask(3, { kind: "describe", stream: "s" })).toMatchObject({ kind: "description", tail: 1 });
  expect(await other.ask(4, { kind: "command", command: append("s", ["second"]) })).toMatchObject({ kind: "result" });
  const subscribe = { kind: "subscribe", stream: "s", from: "start", offset: 0, credit: 100 } as const;
  expect(await other.ask(5, subscribe)).toMatchObject({ kind: "subscribed" });
  other.close();
  await slow.close();
});
