/** The SDK against a real node in this process: real disk, real sockets, graceful restarts. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PLATFORM_ZSTD } from "../../client/reading/platform-zstd.ts";
import { connect, TidemarkError, type Client, type ReadStatus } from "../../client/index.ts";
import { RestartableNode } from "./restartable-node.ts";

let node: RestartableNode;
let client: Client;

beforeEach(async () => {
  node = await RestartableNode.start();
  client = connect(node.url("http"));
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

describe("the SDK and a node", () => {
  it("create, append, read, describe, close, delete", async () => {
    const stream = client.stream("orders/eu west");
    expect(await stream.create({ contentType: "application/json" })).toMatchObject({ created: true, nextOffset: 0 });
    expect(await stream.create({ contentType: "application/json" })).toMatchObject({ created: false });
    expect(await failure(stream.create({ contentType: "text/plain" }))).toMatchObject({ code: "stream-exists" });
    const first = await stream.append([
      { key: "k", json: { n: 1 }, headers: { h: "v" }, timestamp: 5 },
      { json: { n: 2 } },
    ]);
    expect(first).toMatchObject({ offset: 0, nextOffset: 2 });
    const [one, two] = (await stream.read().batches().next()).value ?? [];
    expect(one).toMatchObject({ offset: 0, token: first.token, timestamp: 5 });
    expect([one?.keyText(), one?.json(), one?.headers[0]?.[0]]).toEqual(["k", { n: 1 }, "h"]);
    expect(two?.timestamp).toBe(two?.logTime);
    expect(two?.nextToken).toBe(first.nextToken);
    expect(await stream.describe()).toMatchObject({
      contentType: "application/json",
      firstOffset: 0,
      nextOffset: 2,
      closed: false,
    });
    expect(await failure(stream.append({ json: 3 }, { expectedOffset: 7 }))).toMatchObject({
      code: "offset-mismatch",
      outcome: "not-applied",
    });
    expect((await stream.append({ json: 3 }, { expectedOffset: 2, close: true })).offset).toBe(2);
    expect(await stream.close()).toEqual({ nextOffset: 3 });
    expect(await failure(stream.append({ json: 4 }))).toMatchObject({ code: "stream-closed" });
    expect(client.sessionPosition).toBeGreaterThan(0);
    await stream.delete();
    expect(await failure(stream.describe())).toMatchObject({ code: "stream-not-found" });
  });

  it("what the SDK wrote, the Durable Streams face reads, and the other way round", async () => {
    const stream = client.stream("both");
    await stream.create({ contentType: "application/json" });
    await stream.append({ json: { from: "sdk" } });
    const url = `${node.url("http")}/v1/stream/both`;
    const posted = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"from":"http"}',
    });
    expect(posted.status).toBeLessThan(300);
    expect(await (await fetch(`${url}?offset=-1`)).json()).toEqual([{ from: "sdk" }, { from: "http" }]);
    expect((await texts("both")).map((value) => JSON.parse(value) as unknown)).toEqual([
      { from: "sdk" },
      { from: "http" },
    ]);
  });

  it("a producer and a subscription go on over restarts of the node", async () => {
    const stream = client.stream("s");
    await stream.create();
    const count = 2_000;
    const statuses: ReadStatus["kind"][] = [];
    const seen: string[] = [];
    const subscribed = (async () => {
      for await (const record of stream.subscribe({ onStatus: ({ kind }) => statuses.push(kind) })) {
        expect(record.offset).toBe(seen.length);
        seen.push(record.text());
      }
    })();
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
    await subscribed;
    const expected = Array.from({ length: count }, (_, at) => `record ${at}`);
    expect(await Promise.all(offsets)).toEqual(expected.map((_, at) => at));
    expect(seen).toEqual(expected);
    expect(await texts("s")).toEqual(expected);
    expect(statuses.at(-1)).toBe("connected");
  });

  it("large and many: batches of every size, compressed, read back whole and from the middle", async () => {
    const zstd = PLATFORM_ZSTD;
    await using compressing = connect(node.url("http"), zstd === undefined ? {} : { zstd });
    const stream = compressing.stream("large");
    await stream.create();
    const producer = stream.producer();
    const values = Array.from({ length: 2_000 }, (_, at) =>
      `${at}:`.padEnd(at === 1_000 ? 3_000_000 : 1 + (at % 700), "tide"),
    );
    expect(await producer.appendAll(values)).toBe(values.length);
    const found: string[] = [];
    for await (const record of stream.read({ prefetchBytes: 64 * 1024 })) found.push(record.text());
    expect(found).toEqual(values);
    const middle = await stream.read({ from: 1_500 }).next();
    expect(middle.value?.text()).toBe(values[1_500]);
    // Who does not compress reads it all the same, where the platform can.
    expect((await client.stream("large").read().next()).value?.text()).toBe(values[0]);
  });

  it("fences an older epoch, and keeps a token from a stream made anew", async () => {
    const stream = client.stream("s");
    await stream.create();
    const old = stream.producer({ id: "p", epoch: 1 });
    const offset = await old.append("a");
    await stream.producer({ id: "p", epoch: 2 }).append("b");
    expect(await failure(old.append("c"))).toMatchObject({ code: "producer-fenced", epoch: 2, outcome: "not-applied" });
    const { token } = (await stream.read().next()).value ?? { token: "" };
    expect(offset).toBe(0);
    await stream.delete();
    await stream.create();
    await client.stream("s").append("new");
    expect((await failure(stream.read({ from: token }).next())).retryable).toBe(false);
    expect(await texts("s")).toEqual(["new"]);
  });

  it("many subscriptions at once, each live", async () => {
    const stream = client.stream("s");
    await stream.create();
    const readers = Array.from({ length: 20 }, () => stream.subscribe({ from: "now" }));
    await Promise.all(readers.map((reader) => reader.ready()));
    const next = readers.map((reader) => reader.next());
    await stream.append("hello");
    for (const { value } of await Promise.all(next)) expect(value?.text()).toBe("hello");
    for (const reader of readers) reader.close();
  });

  it("a token is asked for, and carried", async () => {
    await node.stop();
    const token = "a-token-that-is-long-enough-for-anyone";
    await node.start(token);
    expect(await failure(client.stream("s").create())).toMatchObject({ code: "unauthorized", outcome: "not-applied" });
    await using trusted = connect(node.url("http"), { token: () => Promise.resolve(token) });
    expect(await trusted.stream("s").create()).toMatchObject({ created: true });
  });

  it("what the server refuses is told by its own code", async () => {
    const json = client.stream("json");
    await json.create({ contentType: "application/json" });
    expect(await failure(json.append("not json"))).toMatchObject({ code: "malformed-json", outcome: "not-applied" });
    const together = ["1", "neither", "2"].map((value) => json.append(value));
    expect(await failure(together[1] as Promise<unknown>)).toMatchObject({ code: "malformed-json" });
    expect((await Promise.allSettled(together)).map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    expect(await failure(json.append("2", { timeout: 5_000, expectedOffset: 9 }))).toMatchObject({ tail: 2 });
    expect(await failure(json.read({ from: 10 }).next())).toMatchObject({ code: "malformed-offset" });
    expect(await failure(client.stream("none").append("a"))).toMatchObject({ code: "stream-not-found" });
    expect(await failure(client.stream("none").subscribe().next())).toMatchObject({ code: "stream-not-found" });
  });
});
