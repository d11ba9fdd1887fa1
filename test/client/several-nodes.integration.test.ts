/** A client that knows several nodes of a cluster: it goes on at another when one is gone, and nobody using it notices. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../../client/client.ts";
import { ThreeNodes } from "../http/three-nodes.ts";

let nodes: ThreeNodes;

function withNodes(): void {
  beforeEach(async () => {
    nodes = await ThreeNodes.started();
  });

  afterEach(() => nodes.close());
}

/** The URLs of all nodes, `first` first. */
function urlsFrom(first: string, scheme: string): string[] {
  const { up } = nodes;
  const ordered = [...up.filter(({ name }) => name === first), ...up.filter(({ name }) => name !== first)];
  return ordered.map(({ url }) => url.replace("http", scheme));
}

describe.each(["http", "ws"])("over %s", (scheme) => {
  withNodes();

  it("turns to the next where the first cannot be reached", async () => {
    const [{ name }] = nodes.followers;
    const urls = urlsFrom(name, scheme);
    await nodes.stop(name);
    await using client = connect(urls);
    const stream = client.stream("a");
    await stream.create({ contentType: "application/json" });
    expect((await stream.append({ json: 1 })).offset).toBe(0);
  });

  it("is told how old an eventual answer may be (W162)", async () => {
    const [{ url }] = nodes.followers;
    await using client = connect(url.replace("http", scheme), { consistency: "eventual" });
    await client.stream("old").create();
    expect((await client.stream("old").describe()).behind).toEqual({
      entries: expect.any(Number) as number,
      silentMs: expect.any(Number) as number,
    });
    await using leader = connect(nodes.leader.url.replace("http", scheme), { consistency: "eventual" });
    expect((await leader.stream("old").describe()).behind).toEqual({ entries: 0, silentMs: 0 });
    await using session = connect(url.replace("http", scheme));
    expect((await session.stream("old").describe()).behind).toBeUndefined();
  });

  it("goes on with a live subscription at another node, without gap or repeat (I7)", async () => {
    const [{ name: at }] = nodes.followers;
    await using reader = connect(urlsFrom(at, scheme));
    await using writer = connect(nodes.leader.url);
    await writer.stream("live").create({ contentType: "application/json" });
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const record of reader.stream("live").subscribe()) {
        seen.push(record.json());
        if (seen.length === 60) break;
      }
    })();
    for (let count = 0; count < 60; count += 1) {
      await writer.stream("live").append({ json: count });
      if (count === 20) await nodes.cutOff(at);
    }
    await reading;
    expect(seen).toEqual(Array.from({ length: 60 }, (_, count) => count));
  });

  it("goes on elsewhere when its node is drained, begins elsewhere while it is, and there again afterwards", async () => {
    const [{ name: at, node }] = nodes.followers;
    const reader = connect(urlsFrom(at, scheme), { timeout: 20_000 });
    await using writer = connect(nodes.leader.url);
    await writer.stream("live").create({ contentType: "application/json" });
    const seen: unknown[] = [];
    const subscription = reader.stream("live").subscribe();
    const reading = (async () => {
      for await (const record of subscription) {
        seen.push(record.json());
        if (seen.length === 40) break;
      }
    })();
    for (let count = 0; count < 40; count += 1) {
      await writer.stream("live").append({ json: count });
      if (count === 15) await node.changeCluster({ kind: "drain", node: at, undo: false });
    }
    await reading;
    expect(seen).toEqual(Array.from({ length: 40 }, (_, count) => count));
    expect(node.status().waitingReaders).toBe(0);
    await reader.close();

    const refused = connect(urlsFrom(at, scheme).slice(0, 1), { timeout: 400 });
    const alone = refused.stream("live").subscribe({ from: 40, timeout: 400 }).next();
    await expect(alone).rejects.toMatchObject({ code: "timeout", message: expect.stringContaining("drained") });
    await refused.close();
    await using other = connect(urlsFrom(at, scheme));
    const next = other.stream("live").subscribe({ from: 40 }).next();
    await writer.stream("live").append({ json: 40 });
    expect((await next).value?.json()).toBe(40);

    await node.changeCluster({ kind: "drain", node: at, undo: true });
    await using again = connect(urlsFrom(at, scheme).slice(0, 1));
    const last = again.stream("live").subscribe({ from: 41 }).next();
    await writer.stream("live").append({ json: 41 });
    expect((await last).value?.json()).toBe(41);
  });

  it("repeats what was under way at a node that is gone, and it takes effect once, in order (I8)", async () => {
    const { name: at } = nodes.leader;
    await using client = connect(urlsFrom(at, scheme));
    await client.stream("once").create({ contentType: "application/json" });
    const producer = client.stream("once").producer();
    const receipts: Promise<number>[] = [];
    for (let count = 0; count < 200; count += 1) {
      receipts.push(producer.append({ json: count }));
      if (count === 100) void nodes.cutOff(at);
      if (count % 10 === 0) await producer.flush();
    }
    await producer.close();
    expect(await Promise.all(receipts)).toEqual(Array.from({ length: 200 }, (_, count) => count));
    const seen: unknown[] = [];
    for await (const record of client.stream("once").read()) seen.push(record.json());
    expect(seen).toEqual(Array.from({ length: 200 }, (_, count) => count));
  });
});

describe("a follow of many streams", () => {
  withNodes();

  it("goes on at another node, in log order (I7)", async () => {
    const [{ name: at }] = nodes.followers;
    await using reader = connect(urlsFrom(at, "ws"));
    await using writer = connect(nodes.leader.url);
    for (const name of ["x", "y"]) await writer.stream(name).create({ contentType: "application/json" });
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const record of reader.follow(["x", "y"])) {
        seen.push(record.json());
        if (seen.length === 40) break;
      }
    })();
    for (let count = 0; count < 40; count += 1) {
      await writer.stream(count % 2 === 0 ? "x" : "y").append({ json: count });
      if (count === 15) await nodes.stop(at);
    }
    await reading;
    expect(seen).toEqual(Array.from({ length: 40 }, (_, count) => count));
  });
});

describe.each(["http", "ws"])("a session over %s", (scheme) => {
  withNodes();

  it("reads what it wrote at a node that has yet to hear of it (W161)", async () => {
    const [{ name: at }] = nodes.followers;
    const { leader } = nodes;
    await using client = connect([leader.url.replace("http", scheme), ...urlsFrom(at, scheme).slice(0, 1)]);
    await client.stream("seen").create({ contentType: "application/json" });
    await nodes.followers[0].node.barrier();
    for (const { name } of nodes.up) if (name !== at) nodes.network.cut(name, at);
    await client.stream("seen").append({ json: 1 });
    await nodes.closeServer(leader.name);
    const reading = (async () => {
      const records: unknown[] = [];
      for await (const record of client.stream("seen").read()) records.push(record.json());
      return records;
    })();
    expect(nodes.up.find(({ name }) => name === at)?.node.machine.stream("seen")?.nextOffset).toBe(0);
    nodes.network.healAll();
    expect(await reading).toEqual([1]);
  });

  it("is not taken on to another cluster", async () => {
    const other = await ThreeNodes.started({}, "other");
    try {
      const [{ name: at }] = nodes.followers;
      await using client = connect([...urlsFrom(at, scheme).slice(0, 1), other.leader.url.replace("http", scheme)]);
      await client.stream("a").create({ contentType: "application/json" });
      await nodes.cutOff(at);
      await expect(client.stream("a").append({ json: 1 })).rejects.toMatchObject({ code: "cluster-changed" });
    } finally {
      await other.close();
    }
  });
});

describe("addresses", () => {
  it.each([
    ["none", []],
    ["of two kinds", ["http://a", "ws://b"]],
    ["that are no URLs", ["http://a", "b"]],
  ])("%s are refused at once", (_what, urls) => {
    expect(() => connect(urls)).toThrow(expect.objectContaining({ code: "invalid-argument" }));
  });
});
