/** Listing, describing, settings, trimming and finding by time, against a real node, over both transports. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, TidemarkError, type Client, type Gap, type StreamInfo } from "../../client/index.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { utf8 } from "../../src/lib/bytes.ts";

const PAGES_NEEDED = 1_005;

let node: RunningNode;

beforeAll(async () => {
  node = await startNode();
});

afterAll(async () => {
  await node.close();
});

async function collect<T>(from: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of from) all.push(each);
  return all;
}

describe.each(["http", "ws"])("over %s", (scheme) => {
  let client: Client;

  beforeAll(() => {
    client = connect(node.url.replace("http", scheme));
  });

  afterAll(() => client.close());

  async function names(options: Parameters<Client["streams"]>[0]): Promise<string[]> {
    return (await collect<StreamInfo>(client.streams(options))).map(({ name }) => name);
  }

  it("lists streams by prefix, page after page, and from where one stopped", async () => {
    const expected = Array.from({ length: PAGES_NEEDED }, (_, at) => `${scheme}-many/${String(at).padStart(4, "0")}`);
    await Promise.all(expected.map((name) => client.stream(name).create()));
    expect(await names({ prefix: `${scheme}-many/` })).toEqual(expected);
    expect(await names({ prefix: `${scheme}-many/`, limit: 3 })).toEqual(expected.slice(0, 3));
    expect(await names({ prefix: `${scheme}-many/`, limit: 0 })).toEqual([]);
    expect(await names({ prefix: `${scheme}-many/`, after: expected[1_000] as string })).toEqual(expected.slice(1_001));
    expect(await names({ prefix: `${scheme}-none` })).toEqual([]);
    for (const bad of [
      { limit: 0.5 },
      { limit: -1 },
      { limit: Number.NaN },
      { prefix: "\ud800" },
      { after: "x".repeat(1_025) },
    ])
      for (const listed of [client.streams(bad), client.groups(bad), client.apps(bad)])
        await expect(collect<unknown>(listed), JSON.stringify(bad)).rejects.toMatchObject({ code: "invalid-argument" });
    const stream = client.stream(`${scheme}-many/0000`);
    await stream.append("a", { close: true });
    const [info] = await collect<StreamInfo>(client.streams({ prefix: stream.name }));
    const { name, nextOffset, nextToken, closed, contentType } = await stream.describe();
    expect(info).toMatchObject({ name, nextOffset, nextToken, closed, contentType });
    expect(info).toMatchObject({ nextOffset: 1, closed: true });
  });

  it("describes in full what was configured, and what is set later", async () => {
    const stream = client.stream(`${scheme}-full`);
    await stream.create({ contentType: "text/plain", ttlSeconds: 3_600, retention: { maxBytes: 1_000_000 } });
    const described = await stream.describe();
    expect(described).toMatchObject({ ttlSeconds: 3_600, retention: { maxBytes: 1_000_000 }, compactedBefore: 0 });
    expect(described.expiresAt?.getTime()).toBeGreaterThanOrEqual(described.createdAt.getTime() + 3_600_000);
    expect(described.forkedFrom).toBeUndefined();
    await stream.settings({ maxAgeMs: 86_400_000, compaction: { tombstoneMs: 1_000 } });
    expect((await stream.describe()).retention).toEqual({ maxAgeMs: 86_400_000, compaction: { tombstoneMs: 1_000 } });
    await stream.settings({});
    expect((await stream.describe()).retention).toEqual({});
  });

  it("I7: trims, for good and not beyond the tail, and readers are told", async () => {
    const stream = client.stream(`${scheme}-trim`);
    await stream.create();
    await stream.append(["a", "b", "c"]);
    const { token } = (await stream.read({ from: 2 }).next()).value ?? { token: "" };
    expect(await stream.trim(1)).toEqual({ firstOffset: 1 });
    expect(await stream.trim(token)).toEqual({ firstOffset: 2 });
    expect(await stream.trim(0)).toEqual({ firstOffset: 2 });
    expect(await stream.describe()).toMatchObject({ firstOffset: 2, nextOffset: 3 });
    const gaps: Gap[] = [];
    const read = await collect(stream.read({ from: 0, onGap: (gap) => gaps.push(gap) }));
    expect([gaps, read.map((record) => record.text())]).toEqual([[{ from: 0, to: 2 }], ["c"]]);
    // All three are in one batch, which is served whole.
    expect((await collect(stream.read())).map((record) => record.text())).toEqual(["c"]);
    await stream.delete();
    await stream.create();
    await stream.append("new");
    await expect(stream.trim(token)).rejects.toThrow(TidemarkError);
    expect((await stream.describe()).firstOffset).toBe(0);
  });

  it("a stream that others deleted and made anew is not appended to by mistake, but then on purpose", async () => {
    const stream = client.stream(`${scheme}-anew`);
    await stream.create();
    await stream.append("old");
    await using other = connect(node.url);
    await other.stream(stream.name).delete();
    await other.stream(stream.name).create();
    await expect(stream.append("to the old one")).rejects.toMatchObject({
      code: "stream-not-found",
      outcome: "not-applied",
    });
    expect((await stream.append("new")).offset).toBe(0);
    await stream.delete();
    await stream.create();
    expect((await stream.append("newer")).offset).toBe(0);
  });

  it("finds where a time begins, and reads and subscribes from there", async () => {
    const stream = client.stream(`${scheme}-time`);
    await stream.create();
    for (const value of ["a", "b", "c", "d"]) await stream.append(value);
    const all = await collect(stream.read());
    const later = (all.at(-1)?.logTime ?? 0) + 3_600_000;
    for (const { logTime } of all) {
      const first = all.find((record) => record.logTime >= logTime)?.offset ?? -1;
      expect(await stream.offsetAt(logTime)).toBe(first);
      const from = { time: new Date(logTime) };
      expect((await collect(stream.read({ from }))).map(({ offset }) => offset)).toEqual(
        all.slice(first).map(({ offset }) => offset),
      );
    }
    expect(await stream.offsetAt(new Date(0))).toBe(0);
    expect(await stream.offsetAt(later)).toBe(4);
    const live = stream.subscribe({ from: { time: later } });
    await live.ready();
    const next = live.next();
    await stream.append("e");
    expect((await next).value).toMatchObject({ offset: 4, value: utf8("e") });
    live.close();
    expect(() => stream.read({ from: { time: Number.NaN } })).toThrow(/a time is/);
    await expect(
      client
        .stream(`${scheme}-none`)
        .read({ from: { time: 0 } })
        .next(),
    ).rejects.toMatchObject({
      code: "stream-not-found",
    });
  });
});
