/** The SDK over WebSocket against a real node in this process: real disk, real sockets, restarts under way. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePort, ServerChild } from "../../client/examples/server-child.ts";
import { connect, TidemarkError, type Client, type Gap, type ReadStatus } from "../../client/index.ts";
import { BreakingProxy } from "./breaking-proxy.ts";
import { RestartableNode } from "./restartable-node.ts";

let node: RestartableNode;
let client: Client;

beforeEach(async () => {
  node = await RestartableNode.start();
  client = connect(node.url("ws"));
});

afterEach(async () => {
  await client.close();
  await node.remove();
});

async function failure(promise: Promise<unknown>): Promise<TidemarkError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(TidemarkError);
  return thrown as TidemarkError;
}

async function texts(name: string): Promise<string[]> {
  const found: string[] = [];
  for await (const record of client.stream(name).read()) found.push(record.text());
  return found;
}

describe("the SDK over WebSocket", () => {
  it("create, append, read, describe, close, delete", async () => {
    const stream = client.stream("orders/eu west");
    expect(await stream.create({ contentType: "application/json" })).toMatchObject({ created: true, nextOffset: 0 });
    expect(await failure(stream.create({ contentType: "text/plain" }))).toMatchObject({ code: "stream-exists" });
    const first = await stream.append([
      { key: "k", json: { n: 1 }, headers: { h: "v" }, timestamp: 5 },
      { json: { n: 2 } },
    ]);
    expect(first).toMatchObject({ offset: 0, nextOffset: 2 });
    const [one] = (await stream.read().batches().next()).value ?? [];
    expect(one).toMatchObject({ offset: 0, token: first.token, timestamp: 5 });
    expect(await stream.describe()).toMatchObject({ contentType: "application/json", nextOffset: 2, closed: false });
    expect(await failure(stream.append({ json: 3 }, { expectedOffset: 7 }))).toMatchObject({ code: "offset-mismatch" });
    expect((await stream.append({ json: 3 }, { expectedOffset: 2, close: true })).offset).toBe(2);
    expect(await failure(stream.append({ json: 4 }))).toMatchObject({ code: "stream-closed" });
    expect(await texts("orders/eu west")).toHaveLength(3);
    expect(client.sessionPosition).toBeGreaterThan(0);
    await stream.delete();
    expect(await failure(stream.describe())).toMatchObject({ code: "stream-not-found" });
  });

  it("reads from anywhere, to the tail and beyond, with whatever prefetch", async () => {
    const stream = client.stream("s");
    await stream.create();
    const producer = stream.producer({ batchBytes: 2_000 });
    const values = Array.from({ length: 3_000 }, (_, at) => `${at}:`.padEnd(1 + (at % 300), "tide"));
    await producer.appendAll(values);
    for (const [from, prefetchBytes] of [
      [0, 8_192],
      [1_234, 20_000],
      [2_999, 1_000_000],
      [3_000, 8_192],
    ] as const) {
      const found: string[] = [];
      for await (const record of stream.read({ from, prefetchBytes })) found.push(record.text());
      expect(found).toEqual(values.slice(from));
    }
    const live = stream.subscribe({ from: "now" });
    await live.ready();
    const next = live.next();
    await stream.append("hello");
    expect((await next).value).toMatchObject({ offset: 3_000 });
    live.close();
    expect(await failure(stream.read({ from: 9_999 }).next())).toMatchObject({ code: "malformed-offset" });
    expect(await failure(client.stream("none").subscribe().next())).toMatchObject({ code: "stream-not-found" });
  });

  it("I7: a gap is told, once", async () => {
    const stream = client.stream("s");
    await stream.create({ contentType: "text/plain" });
    for (const value of ["a", "b", "c", "d"]) await stream.append(value);
    await stream.trim(2);
    const gaps: Gap[] = [];
    const found: string[] = [];
    for await (const record of stream.read({ from: 0, onGap: (gap) => gaps.push(gap) })) found.push(record.text());
    expect([gaps, found]).toEqual([[{ from: 0, to: 2 }], ["c", "d"]]);
    expect(await failure(stream.read({ from: 0 }).next())).toMatchObject({
      code: "offset-trimmed",
      gap: { from: 0, to: 2 },
    });
  });

  it("a producer and subscriptions go on over restarts of the node", async () => {
    const stream = client.stream("s");
    await stream.create();
    const count = 2_000;
    const statuses: ReadStatus["kind"][] = [];
    const seen: string[][] = [[], []];
    const subscribed = seen.map(async (mine) => {
      for await (const record of stream.subscribe({
        prefetchBytes: 8_192,
        onStatus: ({ kind }) => statuses.push(kind),
      })) {
        expect(record.offset).toBe(mine.length);
        mine.push(record.text());
      }
    });
    const producer = stream.producer({ batchBytes: 512, unacknowledgedBytes: 8 * 1024 });
    const offsets: Promise<number>[] = [];
    let restarted: Promise<void> | undefined;
    for (let at = 0; at < count; at += 1) {
      await producer.ready();
      offsets.push(producer.append(`record ${at}`));
      if (at === Math.floor(count / 3) || at === Math.floor((count * 2) / 3)) {
        await restarted;
        restarted = node.restart();
      }
    }
    await producer.close();
    await restarted;
    await stream.close();
    await Promise.all(subscribed);
    const expected = Array.from({ length: count }, (_, at) => `record ${at}`);
    expect(await Promise.all(offsets)).toEqual(expected.map((_, at) => at));
    expect(seen).toEqual([expected, expected]);
    expect(statuses).toContain("disconnected");
    expect(statuses.at(-1)).toBe("connected");
  });

  it("and over connections that break anywhere", async () => {
    const proxy = await BreakingProxy.start(node.port);
    await using flaky = connect(`ws://127.0.0.1:${proxy.port}`);
    const stream = flaky.stream("s");
    await stream.create();
    const count = 3_000;
    const seen: string[] = [];
    const subscribed = (async () => {
      for await (const record of stream.subscribe({ prefetchBytes: 8_192 })) {
        expect(record.offset).toBe(seen.length);
        seen.push(record.text());
      }
    })();
    const producer = stream.producer({ batchBytes: 300, unacknowledgedBytes: 4_096 });
    const offsets: Promise<number>[] = [];
    for (let at = 0; at < count; at += 1) {
      await producer.ready();
      offsets.push(producer.append(`record ${at}`));
      if (at % 250 === 249) proxy.breakAll();
    }
    await producer.close();
    await stream.close();
    await subscribed;
    const expected = Array.from({ length: count }, (_, at) => `record ${at}`);
    expect(await Promise.all(offsets)).toEqual(expected.map((_, at) => at));
    expect(seen).toEqual(expected);
    expect(proxy.broken).toBeGreaterThan(5);
    await flaky.close();
    await proxy.close();
  });

  it("a token is asked for, carried as a subprotocol, and its lack is told", async () => {
    await node.stop();
    const token = "a-token/that+is-long-enough~for.anyone";
    await node.start(token);
    expect(await failure(client.stream("s").create())).toMatchObject({ code: "unauthorized", outcome: "not-applied" });
    await using trusted = connect(node.url("ws"), { token: () => Promise.resolve(token) });
    expect(await trusted.stream("s").create()).toMatchObject({ created: true });
  });

  it("a server that is not there is told, and found when it is back", async () => {
    await node.stop();
    const error = await failure(client.stream("s").create({ timeout: 300 }));
    expect(error).toMatchObject({ code: "timeout", outcome: "not-applied" });
    const created = client.stream("s").create();
    await node.start();
    expect(await created).toMatchObject({ created: true });
  });

  it("what is closed stays closed", async () => {
    const stream = client.stream("s");
    await stream.create();
    const reading = failure(stream.subscribe().next());
    await client.close();
    expect(await reading).toMatchObject({ code: "client-closed" });
    expect(await failure(stream.append("x"))).toMatchObject({ code: "client-closed" });
    expect(() => connect("ftp://127.0.0.1")).toThrow(/ws:/);
  });
});

describe("kill -9", () => {
  it("a producer and a subscription go on without loss, gap or repeat", async () => {
    const data = mkdtempSync(join(tmpdir(), "tidemark-ws-kill-"));
    const port = await freePort();
    let server = await ServerChild.start(["--data", data, "--listen", `127.0.0.1:${port}`]);
    await using killed = connect(`ws://127.0.0.1:${port}`);
    const stream = killed.stream("s");
    await stream.create();
    const count = 2_000;
    const seen: string[] = [];
    const subscribed = (async () => {
      for await (const record of stream.subscribe()) {
        expect(record.offset).toBe(seen.length);
        seen.push(record.text());
      }
    })();
    const producer = stream.producer({ batchBytes: 1_024, unacknowledgedBytes: 16 * 1024 });
    const offsets: Promise<number>[] = [];
    let restarted: Promise<void> | undefined;
    for (let at = 0; at < count; at += 1) {
      await producer.ready();
      offsets.push(producer.append(`record ${at}`));
      if (at !== Math.floor(count / 3) && at !== Math.floor((count * 2) / 3)) continue;
      await restarted;
      restarted = server.kill().then(async () => {
        server = await ServerChild.start(["--data", data, "--listen", `127.0.0.1:${port}`]);
      });
    }
    await producer.close();
    await restarted;
    await stream.close();
    await subscribed;
    const expected = Array.from({ length: count }, (_, at) => `record ${at}`);
    expect(await Promise.all(offsets)).toEqual(expected.map((_, at) => at));
    expect(seen).toEqual(expected);
    await server.kill();
    rmSync(data, { recursive: true, force: true });
  });
});
