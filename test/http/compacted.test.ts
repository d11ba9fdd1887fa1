/** A compacted stream through every face: what is left, where it was, and where reading goes on (I7). */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../../client/index.ts";
import { SYSTEM_ZSTD } from "../../log-server/system.ts";
import { WS_LIMITS } from "../../log-server/ws/limits.ts";
import { WS_PATH, wsRoute } from "../../log-server/ws/route.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import { formatOffset } from "../../src/record/offset.ts";
import { EAGER } from "../node/compaction-world.ts";
import { ask } from "./native.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;

beforeEach(async () => {
  server = await startTestServer({
    node: EAGER,
    upgrade: (node) => ({
      path: WS_PATH,
      plugin: (requests) =>
        wsRoute({
          node,
          requests,
          observer: {
            read: () => undefined,
            liveReaders: () => undefined,
            slowReaderDropped: () => undefined,
            event: () => undefined,
          },
          zstd: SYSTEM_ZSTD,
          limits: WS_LIMITS,
        }),
    }),
  });
  await fill();
});

afterEach(() => server.close());

async function put(...entries: readonly (readonly [key: string, value: number | null])[]): Promise<void> {
  const records = entries.map(([key, value]) => ({ key: utf8(key), value: value === null ? null : utf8(`${value}`) }));
  const bytes = encodeBatch(records);
  const hash = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const batch = { hash, length: bytes.length, span: records.length, bytes };
  const result = await server.node.propose({ kind: "append", stream: "table", close: false, batch });
  expect(result.kind).toBe("appended");
}

/** Ends with `1: b=1`, `5: d=5`, `7: c-`, `10: a=10` and nothing else below offset 11. */
async function fill(): Promise<void> {
  const retention = { compaction: { tombstoneMs: 1_000_000 } };
  const contentType = "application/json";
  await server.node.propose({ kind: "create", stream: "table", closed: false, contentType, retention });
  await put(["a", 0], ["b", 1], ["a", 2]);
  await put(["a", 3], ["c", 4], ["d", 5]);
  await put(["a", 6]);
  await put(["c", null]);
  await put(["a", 8]);
  await put(["a", 9]);
  await put(["a", 10]);
  for (;;) {
    const stream = server.node.machine.stream("table");
    if (stream === undefined) throw new Error("no stream");
    const read = await server.node.read(stream, 8, { maxBytes: 10_000 });
    if (read.ok && read.value.batches[0]?.firstOffset === 10) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function token(offset: number): string {
  return formatOffset(server.node.machine.stream("table")?.incarnation ?? 0, offset);
}

async function get(from: string, more = ""): Promise<Response> {
  return fetch(`${server.url}/v1/stream/table?offset=${from}${more}`);
}

describe("Durable Streams", () => {
  it("reads what is left, and names the next offset", async () => {
    const whole = await get("-1");
    expect(await whole.json()).toEqual([1, 5, null, 10]);
    expect(whole.headers.get("stream-next-offset")).toBe(token(11));
    expect(whole.headers.get("stream-up-to-date")).toBe("true");
    expect(await (await get(token(6))).json()).toEqual([null, 10]);
    expect(await (await get(token(8))).json()).toEqual([10]);
    expect(await (await get(token(11))).json()).toEqual([]);
  });

  it("reads the same as events, and long-polls over what is gone", async () => {
    expect(await (await get(token(8), "&live=long-poll")).json()).toEqual([10]);
    await server.node.propose({ kind: "append", stream: "table", close: true });
    const events = await (await get(token(2), "&live=sse")).text();
    expect(events).toContain("data:[5,null,10]");
    expect(events).toContain('"streamClosed":true');
  });
});

describe("a queue", () => {
  it("shows what is left, and is done with the rest by itself", async () => {
    await ask(server.url, "PUT", "/v1/groups/q", { mode: "queue", streams: ["table"] });
    const take = async (count: number): Promise<unknown[]> => {
      const { body } = await ask(server.url, "POST", "/v1/groups/q/take", { count });
      return (body as { records: { offset: number }[] }).records.map(({ offset }) => offset);
    };
    // One at a time: what is gone before it is no answer.
    expect(await take(1)).toEqual([1]);
    expect(await take(1)).toEqual([5]);
    expect(await take(10)).toEqual([7, 10]);
    expect(await take(10)).toEqual([]);
    expect((await ask(server.url, "GET", "/v1/groups/q")).body).toMatchObject({ lag: 4, inFlight: 4 });
  });
});

describe.each(["http", "ws"])("the SDK over %s", (scheme) => {
  it("works on what is left, in both kinds of groups", async () => {
    const client = connect(server.url.replace("http", scheme));
    await client.group("q").create({ mode: "queue", streams: ["table"] });
    const taken: number[] = [];
    for await (const delivery of client.group("q").take()) {
      taken.push(delivery.offset);
      await delivery.ack();
      if (delivery.offset === 10) break;
    }
    expect(taken).toEqual([1, 5, 7, 10]);
    expect(await client.group("q").describe()).toMatchObject({ lag: 0, inFlight: 0 });
    await client.group("p").create({ mode: "partitions", streams: ["table"] });
    const read: number[] = [];
    for await (const { offset } of await client.group("p").join()) {
      read.push(offset);
      if (offset === 10) break;
    }
    expect(read).toEqual([1, 5, 7, 10]);
    await client.close();
  });

  it("gives what is left, with its offsets, and tells of the gaps to whoever asks", async () => {
    const client = connect(server.url.replace("http", scheme));
    const seen: string[] = [];
    const reader = client.stream("table").read({ from: 0, onGap: ({ from, to }) => seen.push(`${from}..${to}`) });
    for await (const { offset, value } of reader)
      seen.push(`${offset}=${value === null ? "-" : Buffer.from(value).toString()}`);
    expect(seen).toEqual(["0..1", "1=1", "2..5", "5=5", "6..7", "7=-", "8..10", "10=10"]);
    expect(reader.nextOffset).toBe(11);
    const quiet: number[] = [];
    for await (const { offset } of client.stream("table").read()) quiet.push(offset);
    expect(quiet).toEqual([1, 5, 7, 10]);
    await client.close();
  });
});
