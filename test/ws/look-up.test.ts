/** W120 to W123 over WebSocket: look-ups are answered as over HTTP. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import { type RunningNode, startNode } from "../../log-server/start-node.ts";
import { append, create, FrameClient } from "./frame-client.ts";

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

it("lists, locates and shows cursors", async () => {
  await client.ask(1, create("w/a"));
  await client.ask(2, append("w/a", "x", "y"));
  await client.ask(3, create("w/b"));
  await client.ask(4, { kind: "command", command: { kind: "cursor", name: "c", value: utf8("v") } });
  expect(await client.ask(5, { kind: "list", prefix: "w/", after: "", limit: 1 })).toMatchObject({
    kind: "stream-list",
    streams: [{ name: "w/a", tail: 2 }],
    next: "w/a",
  });
  expect(await client.ask(6, { kind: "locate", stream: "w/a", atMs: 0 })).toMatchObject({ kind: "located", offset: 0 });
  expect(await client.ask(7, { kind: "locate", stream: "w/a", atMs: 2 ** 50 })).toMatchObject({ offset: 2 });
  expect(await client.ask(8, { kind: "cursor-get", name: "c" })).toMatchObject({ kind: "cursor", value: utf8("v") });
  expect(await client.ask(9, { kind: "locate", stream: "w/none", atMs: 0 })).toMatchObject({
    code: "stream-not-found",
  });
});
