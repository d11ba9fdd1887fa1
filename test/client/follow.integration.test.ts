/** Following many streams of a real node over a real WebSocket, while connections break and the node restarts. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, type Client, type FollowedRecord, type FollowOptions } from "../../client/index.ts";
import { Prng } from "../../src/lib/prng.ts";
import { comparePlaces } from "../../src/record/log-place.ts";
import { batch, FrameClient } from "../ws/frame-client.ts";
import { BreakingProxy } from "./breaking-proxy.ts";
import { RestartableNode } from "./restartable-node.ts";

const NAMES = ["a", "b", "c", "d"];

let node: RestartableNode;
let client: Client;

beforeEach(async () => {
  node = await RestartableNode.start();
  client = connect(node.url("ws"));
  for (const name of NAMES) await client.stream(name).create({ contentType: "text/plain" });
});

afterEach(async () => {
  await client.close();
  await node.remove();
});

/** What a follow delivered: its values by stream, and that it was in the log's order. */
class Watcher {
  readonly values = new Map<string, string[]>(NAMES.map((name) => [name, []]));
  readonly order: string[] = [];
  #last: FollowedRecord | undefined;

  take(record: FollowedRecord): void {
    const mine = this.values.get(record.stream) ?? [];
    expect(record.offset, "I7: each once, in order").toBe(mine.length);
    if (this.#last !== undefined) expect(comparePlaces(this.#last, record)).toBeLessThanOrEqual(0);
    this.#last = record;
    mine.push(record.text());
    this.order.push(`${record.stream} ${record.offset}`);
  }

  async watch(from: Client, options: FollowOptions): Promise<void> {
    for await (const record of from.follow(NAMES, options)) this.take(record);
  }
}

/** Appends to all streams, together and each, and closes them at the end. */
async function write(seed: number, count: number, between: (at: number) => Promise<void> | void): Promise<void> {
  const prng = new Prng(seed);
  const producers = NAMES.map((name) => client.stream(name).producer({ batchBytes: 300, unacknowledgedBytes: 4_096 }));
  const acknowledged: Promise<number>[] = [];
  for (let at = 0; at < count; at += 1) {
    const producer = prng.pick(producers);
    await producer.ready();
    acknowledged.push(producer.append(`${at}`));
    await between(at);
  }
  for (const producer of producers) await producer.close();
  await Promise.all(acknowledged);
  for (const name of NAMES) await client.stream(name).close();
}

async function expectSame(...watchers: readonly Watcher[]): Promise<void> {
  const fresh = new Watcher();
  await fresh.watch(client, {});
  for (const watcher of watchers) {
    expect(watcher.values).toEqual(fresh.values);
    expect(watcher.order).toEqual(fresh.order);
  }
}

describe("a follow of many streams", () => {
  it("I7: gives what each stream holds, in one order, the same to everyone", async () => {
    const live = new Watcher();
    const watching = live.watch(client, { prefetchBytes: 8_192 });
    await write(1, 2_000, () => undefined);
    await watching;
    expect([...live.values.values()].flat()).toHaveLength(2_000);
    for (const name of NAMES) {
      const texts: string[] = [];
      for await (const record of client.stream(name).read()) texts.push(record.text());
      expect(live.values.get(name)).toEqual(texts);
    }
    await expectSame(live);
  });

  it("goes on over restarts of the node", async () => {
    const statuses: string[] = [];
    const watchers = [new Watcher(), new Watcher()];
    const watching = watchers.map((watcher) =>
      watcher.watch(client, { prefetchBytes: 8_192, onStatus: ({ kind }) => statuses.push(kind) }),
    );
    let restarted: Promise<void> | undefined;
    await write(2, 2_000, async (at) => {
      if (at !== 700 && at !== 1_400) return;
      await restarted;
      restarted = node.restart();
    });
    await restarted;
    await Promise.all(watching);
    expect(statuses).toContain("disconnected");
    await expectSame(...watchers);
  });

  it("and over connections that break anywhere", async () => {
    const proxy = await BreakingProxy.start(node.port);
    await using flaky = connect(`ws://127.0.0.1:${proxy.port}`);
    const watcher = new Watcher();
    const watching = watcher.watch(flaky, { prefetchBytes: 8_192 });
    await write(3, 2_000, (at) => {
      if (at % 200 === 199) proxy.breakAll();
    });
    await watching;
    expect(proxy.broken).toBeGreaterThan(3);
    await expectSame(watcher);
    await flaky.close();
    await proxy.close();
  });

  it("is gone on with later, from its places after any record, or from its mark", async () => {
    await write(4, 300, () => undefined);
    const whole = new Watcher();
    await whole.watch(client, {});
    for (const stop of [0, 1, 150, 299]) {
      const first = client.follow(NAMES, { prefetchBytes: 8_192 });
      await first.ready();
      const order: string[] = [];
      while (order.length < stop) {
        const { value } = await first.next();
        if (value !== undefined) order.push(`${value.stream} ${value.offset}`);
      }
      const { places, mark } = first;
      first.close();
      for await (const record of client.follow(NAMES, { from: places }))
        order.push(`${record.stream} ${record.offset}`);
      expect(order).toEqual(whole.order);
      const behind: string[] = [];
      for await (const record of client.follow(NAMES, { notBefore: mark })) {
        expect(comparePlaces(record, mark)).toBeGreaterThanOrEqual(0);
        behind.push(`${record.stream} ${record.offset}`);
      }
      expect(behind).toEqual(whole.order.slice(whole.order.length - behind.length));
      expect(behind.length).toBeGreaterThanOrEqual(300 - stop);
    }
  });

  it("I11: records of a transaction come together; marks come while its streams are silent", async () => {
    const frames = await FrameClient.open(node.url("http"));
    await using follow = client.follow(["a", "b"], { marks: true, markEveryMs: 5 });
    await follow.ready();
    const operations = ["b", "a", "b"].map(
      (stream, at) => ({ kind: "append", stream, close: false, batch: batch(`${at}`) }) as const,
    );
    await frames.ask(1, { kind: "command", command: { kind: "transaction", conditions: [], operations } });
    const records: FollowedRecord[] = [];
    while (records.length < 3) {
      const { value } = await follow.next();
      if (value?.kind === "record") records.push(value);
    }
    expect(records.map(({ stream, ordinal }) => [stream, ordinal])).toEqual([
      ["b", 0],
      ["a", 1],
      ["b", 2],
    ]);
    expect(new Set(records.map(({ position }) => position)).size).toBe(1);
    await client.stream("c").append("of another stream");
    const position = client.sessionPosition;
    for (;;) {
      const { value } = await follow.next();
      if (value?.kind === "mark" && value.next.position > position) break;
    }
    frames.close();
  });
});
