/** Consumer groups in frames over WebSocket: commands, look-ups, and waits that end with what they wait for. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type RunningNode, startNode } from "../../log-server/start-node.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import type { GroupCreateCommand, GroupTakenResult } from "../../src/wire/group-command.ts";
import type { GroupResponse } from "../../src/wire/group-look-up.ts";
import { append, create, FrameClient } from "./frame-client.ts";

let node: RunningNode;
let client: FrameClient;
let id = 0;

beforeAll(async () => {
  node = await startNode();
  client = await FrameClient.open(node.url);
});

afterAll(async () => {
  client.close();
  await node.close();
});

async function run(command: Command): Promise<CommandResult> {
  id += 1;
  const answer = await client.ask(id, { kind: "command", command });
  if (answer.kind !== "result") throw new Error(`answered with "${answer.kind}"`);
  return answer.result;
}

function group(name: string, streams: readonly string[], mode: GroupCreateCommand["mode"]): Command {
  return { kind: "group-create", id: name, mode, streams, from: "start", leaseMs: 5_000 };
}

const QUEUE = { kind: "queue", attemptsMax: 0, retryDelayMs: 0 } as const;

it("members join, acknowledge, are fenced and leave", async () => {
  await client.ask(1_001, create("w/a"));
  await client.ask(1_002, append("w/a", "x", "y"));
  expect(await run(group("p", ["w/a"], { kind: "partitions" }))).toEqual({ kind: "group-created", created: true });
  const joined = await run({ kind: "group-join", id: "p", member: "m" });
  if (joined.kind !== "group-assigned") throw new Error("not joined");
  const [assignment] = joined.assignments;
  expect(assignment).toMatchObject({ stream: "w/a", committed: 0 });
  const session = { id: "p", member: "m", session: joined.session };
  const ack = { stream: "w/a", incarnation: 0, generation: 0, offset: 1, ...assignment };
  expect(await run({ kind: "group-ack", ...session, acks: [ack] })).toEqual({ kind: "group-settled", refused: [] });
  expect(await run({ kind: "group-heartbeat", ...session })).toMatchObject({ assignments: [{ committed: 1 }] });
  expect(await run({ kind: "group-heartbeat", ...session, session: joined.session + 1 })).toMatchObject({
    kind: "rejected",
    code: "fenced",
  });
  expect(await run({ kind: "group-leave", ...session })).toEqual({ kind: "done" });
});

it("records are taken and settled, and are waited for", async () => {
  await client.ask(1_003, create("w/q"));
  await run(group("q", ["w/q"], QUEUE));
  const nothing = { kind: "group-taken", generation: 0, untilMs: 0, leases: [] };
  expect(await run({ kind: "group-take", id: "q", member: "m", count: 5 })).toEqual(nothing);
  client.send(2_000, { kind: "group", id: "q", waitMs: 20_000, brief: false });
  // Of one connection, queries overtake nothing that was asked before: this is answered when the wait has begun.
  expect(await client.ask(2_001, { kind: "groups", prefix: "", after: "", limit: 10 })).toMatchObject({
    groups: [{ id: "p" }, { id: "q", mode: "queue", lag: 0 }],
  });
  expect(client.held(2_000)).toEqual([]);
  await client.ask(1_004, append("w/q", "a", "b"));
  const ready = (await client.next(2_000)) as GroupResponse;
  expect(ready).toMatchObject({ kind: "group", ready: true, streams: [{ stream: "w/q", lag: 2, tail: 2 }] });
  const taken = (await run({ kind: "group-take", id: "q", member: "m", count: 5 })) as GroupTakenResult;
  expect(taken.leases).toMatchObject([{ stream: "w/q", offset: 0, count: 2, attempt: 1 }]);
  const [lease] = taken.leases;
  const settlement = { ...lease, generation: taken.generation, outcome: { kind: "ack" } };
  const settled = await run({ kind: "group-settle", id: "q", settlements: [settlement as never] });
  expect(settled).toEqual({ kind: "group-settled", refused: [] });
  expect(await client.ask(2_002, { kind: "group", id: "q", waitMs: 0, brief: false })).toMatchObject({ ready: false });
});

it("are listed by what their ids begin with, page by page (W138)", async () => {
  for (const id of ["l-1", "l-2", "l-3", "m"]) await run(group(id, ["w/none"], QUEUE));
  const page = { kind: "groups", prefix: "l-", limit: 2 } as const;
  expect(await client.ask(2_100, { ...page, after: "" })).toMatchObject({
    groups: [{ id: "l-1" }, { id: "l-2" }],
    next: "l-2",
  });
  const last = await client.ask(2_101, { ...page, after: "l-2" });
  expect(last).toMatchObject({ groups: [{ id: "l-3" }] });
  expect(last).not.toHaveProperty("next");
  expect(await client.ask(2_102, { ...page, after: "m" })).toMatchObject({ groups: [] });
});

it("a brief answer tells what a group is, and nothing of its members and streams (W139)", async () => {
  await run(group("brief", ["w/q"], QUEUE));
  expect(await client.ask(2_200, { kind: "group", id: "brief", waitMs: 20_000, brief: true })).toMatchObject({
    config: { id: "brief" },
    ready: true,
    members: [],
    streams: [],
  });
  expect(await client.ask(2_201, { kind: "group", id: "none", waitMs: 0, brief: true })).toMatchObject({
    code: "group-not-found",
  });
});

it("a wait ends with its group, and with its connection", async () => {
  await run(group("gone", ["w/none"], QUEUE));
  client.send(3_000, { kind: "group", id: "gone", waitMs: 20_000, brief: false });
  await run({ kind: "group-delete", id: "gone" });
  expect(await client.next(3_000)).toMatchObject({ kind: "error", code: "group-not-found" });

  await run(group("left", ["w/none"], QUEUE));
  const other = await FrameClient.open(node.url);
  other.send(1, { kind: "group", id: "left", waitMs: 20_000, brief: false });
  expect(await other.ask(2, { kind: "group", id: "left", waitMs: 0, brief: false })).toMatchObject({ ready: false });
  other.close();
  await other.closed;
  expect(await client.ask(3_001, { kind: "group", id: "left", waitMs: 0, brief: false })).toMatchObject({
    kind: "group",
  });
});

it("what is the leader's alone does not come in a frame", async () => {
  client.send(4_000, {
    kind: "command",
    command: { kind: "group-dead-letter", id: "q", stream: "w/q", incarnation: 1, offset: 0, generation: 1 },
  });
  expect(await client.next(4_000)).toMatchObject({ kind: "error", code: "malformed-command" });
});
