/** W125 to W128: records over native HTTP, in every form. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import { decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import { HTTP_LIMITS } from "../../log-server/http/limits.ts";
import { allEvents, ask as askAt, type Answer, events, expectProblem } from "./native.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

const BATCH = "application/x-tidemark-batch";
const NDJSON = "application/x-ndjson";
const SSE = { accept: "text/event-stream" };
const PREFIX_BYTES = 16;

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ http: { ...HTTP_LIMITS, heartbeatMs: 5 } });
});

afterAll(() => server.close());

function ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> {
  return askAt(server.url, method, path, body, headers);
}

async function create(name: string, contentType = "text/plain"): Promise<string> {
  const answer = await ask("PUT", `/v1/streams/${name}`, { contentType });
  expect(answer.status).toBe(201);
  return `/v1/records/${name}`;
}

async function append(path: string, ...records: readonly unknown[]): Promise<Answer> {
  const answer = await ask("POST", path, records);
  expect(answer.status).toBe(200);
  return answer;
}

function values({ body }: Answer): unknown[] {
  return (body as { records: { value: unknown }[] }).records.map(({ value }) => value);
}

/** What a binary answer holds. */
function batchesOf(bytes: Uint8Array): { firstOffset: number; logTime: number; values: string[] }[] {
  const found = [];
  for (let place = 0; place < bytes.length;) {
    const data = new DataView(bytes.buffer, bytes.byteOffset + place);
    const length = data.getUint32(PREFIX_BYTES + 8, true);
    const batch = bytes.subarray(place + PREFIX_BYTES, place + PREFIX_BYTES + length);
    const decoded = decodeBatch(batch, { rawBytesMax: 1 << 20 });
    if (!decoded.ok) throw new Error(decoded.error.message);
    found.push({
      firstOffset: Number(data.getBigUint64(0, true)),
      logTime: Number(data.getBigUint64(8, true)),
      values: decoded.value.records.map(({ record }) => Buffer.from(record.value ?? []).toString()),
    });
    place += PREFIX_BYTES + length;
  }
  return found;
}

describe("appends", () => {
  it("take one record, many, and records in full", async () => {
    const path = await create("r/json");
    expect((await append(path, "a", 5)).body).toMatchObject({ offset: 0, next: 2, closed: false });
    const single = await ask("POST", path, { value: "b", key: "k", headers: { h: "v" }, timestamp: 5 });
    expect(single.body).toMatchObject({ offset: 2, next: 3 });
    expect((await ask("POST", path, '"alone"')).body).toMatchObject({ offset: 3, next: 4 });
    const read = await ask("GET", path);
    expect(read.body.records).toMatchObject([
      { offset: 0, value: "a" },
      { offset: 1, value: "5" },
      { offset: 2, value: "b", key: "k", headers: [["h", "v"]], timestamp: 5 },
      { offset: 3, value: "alone" },
    ]);
  });

  it("take the numbers that JSON holds, and texts and bytes of any digits", async () => {
    const path = await create("r/numbers", "application/json");
    const digits = "12345678901234567890";
    const sent = `[9007199254740991,-1.5e300,0.30000000000000004,1e2,"${digits}",{"value":{"n":-9007199254740991}}]`;
    expect((await ask("POST", path, sent)).body).toMatchObject({ next: 6 });
    expect(values(await ask("GET", path))).toEqual([
      9_007_199_254_740_991,
      -1.5e300,
      0.300_000_000_000_000_04,
      100,
      digits,
      { n: -9_007_199_254_740_991 },
    ]);
  });

  it("take a record a line, and empty lines for nothing", async () => {
    const path = await create("r/lines", "application/json");
    const answer = await ask("POST", path, '{"value":{"n":1}}\r\n\n[2]\n "c" ', { "content-type": NDJSON });
    expect(answer.body).toMatchObject({ offset: 0, next: 3 });
    expect(values(await ask("GET", path))).toEqual([{ n: 1 }, [2], "c"]);
  });

  it("take a batch as it is stored", async () => {
    const path = await create("r/batch");
    const batch = encodeBatch([{ value: utf8("a"), key: utf8("k") }, { value: null }]);
    expect((await ask("POST", path, batch, { "content-type": BATCH })).body).toMatchObject({ offset: 0, next: 2 });
    expect((await ask("GET", path)).body.records).toMatchObject([{ value: "a", key: "k" }, { value: null }]);
  });

  it("close, with records or without", async () => {
    const path = await create("r/close");
    const answer = await ask("POST", `${path}?close=true`, ["last"]);
    expect(answer.body).toMatchObject({ offset: 0, next: 1, closed: true });
    expect(answer.headers.get("stream-closed")).toBe("true");
    expectProblem(await ask("POST", path, ["more"]), "stream-closed");
    const empty = await create("r/close-empty");
    expect((await ask("POST", empty, undefined, { "stream-closed": "true" })).body).toMatchObject({ closed: true });
    expect((await ask("GET", empty)).body).toMatchObject({ records: [], upToDate: true, closed: true });
  });

  it("of a producer take effect once, whether it is named in headers or in the query (I8)", async () => {
    const path = await create("r/producer");
    const query = `${path}?producer=p&epoch=0&sequence=0`;
    expect((await ask("POST", query, ["a"])).body).toEqual(expect.objectContaining({ offset: 0, next: 1 }));
    const headers = { "producer-id": "p", "producer-epoch": "0", "producer-seq": "0" };
    const again = await ask("POST", path, ["a"], headers);
    expect(again.body).toMatchObject({ offset: 0, next: 1, duplicate: true });
    expect(again.headers.get("producer-seq")).toBe("0");
    expectProblem(await ask("POST", `${path}?producer=p&epoch=0&sequence=5`, ["a"]), "sequence-gap");
    expect(values(await ask("GET", path))).toEqual(["a"]);
  });

  it("in a stream of JSON must be JSON, however they are sent", async () => {
    const path = await create("r/must-be-json", "application/json");
    expectProblem(await ask("POST", path, [{ base64: "AP8=" }]), "malformed-json");
    const batch = encodeBatch([{ value: utf8("{") }]);
    expectProblem(await ask("POST", path, batch, { "content-type": BATCH }), "malformed-json");
  });
});

describe("If-Match", () => {
  it("lets an append through only where the stream ends there", async () => {
    const path = await create("r/match");
    const first = await append(path, "a");
    const tag = first.headers.get("etag") ?? "";
    expect((await ask("GET", path)).headers.get("etag")).toBe(tag);
    expect((await ask("POST", path, ["b"], { "if-match": tag })).status).toBe(200);
    const late = await ask("POST", path, ["c"], { "if-match": tag });
    expectProblem(late, "offset-mismatch");
    expect((await ask("POST", path, ["c"], { "if-match": late.headers.get("etag") ?? "" })).status).toBe(200);
    expect((await ask("POST", path, ["d"], { "if-match": '"3"' })).status).toBe(200);
    expect((await ask("POST", path, ["e"], { "if-match": "*" })).status).toBe(200);
    expect(values(await ask("GET", path))).toEqual(["a", "b", "c", "d", "e"]);
  });

  it("of a read that did not reach the end does not let one through", async () => {
    const path = await create("r/match-part");
    await append(path, "a", "b");
    const part = await ask("GET", `${path}?limit=1`);
    expectProblem(await ask("POST", path, ["c"], { "if-match": part.headers.get("etag") ?? "" }), "offset-mismatch");
  });

  it("of a deleted stream does not fit its successor", async () => {
    const path = await create("r/match-later");
    const tag = (await ask("GET", path)).headers.get("etag") ?? "";
    expect((await ask("DELETE", "/v1/streams/r/match-later")).status).toBe(204);
    await create("r/match-later");
    expectProblem(await ask("POST", path, ["a"], { "if-match": tag }), "offset-mismatch");
  });

  it("does not keep a producer's retry from its first answer (I8)", async () => {
    const path = await create("r/match-retry");
    const tag = (await ask("GET", path)).headers.get("etag") ?? "";
    const once = `${path}?producer=p&epoch=0&sequence=0`;
    expect((await ask("POST", once, ["a"], { "if-match": tag })).body).toMatchObject({ offset: 0, next: 1 });
    const retried = await ask("POST", once, ["a"], { "if-match": tag });
    expect(retried.body).toMatchObject({ offset: 0, next: 1, duplicate: true });
    // Refused, it has used up no sequence.
    const next = `${path}?producer=p&epoch=0&sequence=1`;
    expectProblem(await ask("POST", next, ["b"], { "if-match": tag }), "offset-mismatch");
    expect((await ask("POST", next, ["b"])).body).toMatchObject({ offset: 1 });
  });

  it("lets exactly one of many through that saw the same end", async () => {
    const path = await create("r/race");
    for (let round = 0; round < 5; round += 1) {
      const tag = (await ask("GET", path)).headers.get("etag") ?? "";
      const racers = Array.from({ length: 8 }, (_, racer) =>
        ask("POST", path, [`${round}.${racer}`], { "if-match": tag }),
      );
      const statuses = (await Promise.all(racers)).map(({ status }) => status).sort((a, b) => a - b);
      expect(statuses).toEqual([200, ...Array.from({ length: 7 }, () => 412)]);
    }
    expect((await ask("GET", path)).body.next).toBe(5);
  });
});

describe("reads", () => {
  it("begin at an offset, a token, the start, the tail", async () => {
    const path = await create("r/from");
    const { body } = await append(path, "a", "b", "c");
    const token = (offset: number): string =>
      `${(body.token as string).slice(0, 17)}${String(offset).padStart(16, "0")}`;
    expect(values(await ask("GET", `${path}?offset=1`))).toEqual(["b", "c"]);
    expect(values(await ask("GET", `${path}?offset=${token(2)}`))).toEqual(["c"]);
    expect(values(await ask("GET", `${path}?offset=start`))).toEqual(["a", "b", "c"]);
    const tail = await ask("GET", `${path}?offset=now`);
    expect(tail.body).toMatchObject({ records: [], next: 3, token: body.token, upToDate: true });
  });

  it("say how the start is written here, to whoever writes it as Durable Streams does", async () => {
    const path = await create("read/minus");
    const answer = await ask("GET", `${path}?offset=-1`);
    expect(answer).toMatchObject({ status: 400, body: { code: "malformed-offset" } });
    expect((answer.body as { readonly detail: string }).detail).toContain("offset=start");
  });

  it("begin at a time", async () => {
    const path = await create("r/time");
    await append(path, "old");
    const old = (await ask("GET", path)).body.records[0].timestamp as number;
    let last = old;
    // Log time is the server's clock: it moves on, and with it what is appended.
    while (last === old) {
      await append(path, "new");
      last = (await ask("GET", path)).body.records.at(-1).timestamp as number;
    }
    const all = (await ask("GET", path)).body.records as { offset: number; timestamp: number }[];
    const first = all.find(({ timestamp }) => timestamp === last)?.offset;
    expect((await ask("GET", `${path}?time=${last}`)).body.records[0].offset).toBe(first);
    expect((await ask("GET", `${path}?time=${old}`)).body.records[0].offset).toBe(0);
    expect((await ask("GET", `${path}?time=1970-01-01T00:00:00Z`)).body.records).toHaveLength(all.length);
    expect((await ask("GET", `${path}?time=2200-01-01T00:00:00Z`)).body).toMatchObject({ records: [], upToDate: true });
  });

  it("end at a limit, and go on from there", async () => {
    const path = await create("r/limit");
    await append(path, "a", "b", "c");
    await append(path, "d");
    const found: unknown[] = [];
    let at = "start";
    for (;;) {
      const page = await ask("GET", `${path}?limit=2&offset=${at}`);
      expect(page.body.records.length).toBeLessThanOrEqual(2);
      found.push(...values(page));
      at = page.body.token as string;
      if (page.body.upToDate) break;
    }
    expect(found).toEqual(["a", "b", "c", "d"]);
    const small = await ask("GET", `${path}?maxBytes=1`);
    expect(values(small)).toEqual(["a", "b", "c"]);
    expect(small.headers.get("stream-up-to-date")).toBeNull();
  });

  it("give a record a line", async () => {
    const path = await create("r/read-lines", "application/json");
    await append(path, { value: { text: "two\nlines" } }, null);
    const answer = await ask("GET", path, undefined, { accept: NDJSON });
    expect(answer.headers.get("content-type")).toBe(NDJSON);
    expect(answer.headers.get("stream-next-offset")).toMatch(/_0000000000000002$/);
    const lines = (answer.body as string).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { offset: 0, value: { text: "two\nlines" } },
      { offset: 1, value: null },
    ]);
  });

  it("give JSON to the letter, with numbers that no double holds", async () => {
    const path = await create("r/letter", "application/json");
    const batch = encodeBatch([{ value: utf8('{"n": 12345678901234567890}') }]);
    await ask("POST", path, batch, { "content-type": BATCH });
    const answer = await fetch(server.url + path);
    expect(await answer.text()).toContain('"value":{"n": 12345678901234567890}');
  });

  it("give whole batches, with the place and time of each", async () => {
    const path = await create("r/read-batches");
    await append(path, "a", "b");
    await append(path, "c");
    await append(path, "d");
    const read = async (query: string): Promise<ReturnType<typeof batchesOf>> => {
      const answer = await fetch(`${server.url}${path}${query}`, { headers: { accept: BATCH } });
      expect(answer.headers.get("content-type")).toBe(BATCH);
      return batchesOf(new Uint8Array(await answer.arrayBuffer()));
    };
    const all = await read("");
    expect(all.map(({ firstOffset, values }) => [firstOffset, ...values])).toEqual([
      [0, "a", "b"],
      [2, "c"],
      [3, "d"],
    ]);
    const { timestamp } = (await ask("GET", path)).body.records[0];
    expect(all[0]?.logTime).toBe(timestamp);
    expect((await read("?offset=1&limit=2")).map(({ firstOffset }) => firstOffset)).toEqual([0, 2]);
  });

  it("wait at the tail for what comes", async () => {
    const path = await create("r/wait");
    const waiting = ask("GET", `${path}?offset=now&wait=30000`);
    await append(path, "a");
    // Whichever came first: what was appended is there, or the read began behind it and ends by its own time.
    const answer = await ask("GET", `${path}?offset=0&wait=30000`);
    expect(values(answer)).toEqual(["a"]);
    await append(path, "b");
    expect(["a", "b"]).toContain(values(await waiting)[0]);
    expect((await ask("GET", `${path}?offset=2&wait=1`)).body).toMatchObject({ records: [], upToDate: true });
  });

  it("tell what was trimmed, and where to go on", async () => {
    const path = await create("r/trimmed");
    await append(path, "a", "b", "c");
    expect((await ask("POST", "/v1/trim/r/trimmed", { before: 2 })).body).toMatchObject({ first: 2 });
    const answer = await ask("GET", `${path}?offset=1`);
    expectProblem(answer, "offset-trimmed");
    expect(answer.headers.get("stream-first-offset")).toMatch(/_0000000000000002$/);
    expect(values(await ask("GET", path))).toEqual(["c"]);
    expect(values(await ask("GET", `${path}?offset=0000000000000000_0000000000000000`))).toEqual(["c"]);
  });

  it.each([
    ["*/*", "application/json"],
    ["text/html, application/*;q=0.9", "application/json"],
    ["application/x-ndjson, application/json;q=0.5", "application/x-ndjson"],
    ["application/json;q=0, */*", "application/x-ndjson"],
    ["APPLICATION/X-TIDEMARK-BATCH", "application/x-tidemark-batch"],
  ])("are in the form asked for: %s", async (accept, contentType) => {
    await ask("PUT", "/v1/streams/r/accept", {});
    const answer = await ask("GET", "/v1/records/r/accept", undefined, { accept });
    expect(answer.headers.get("content-type")).toBe(contentType);
    expect(answer.headers.get("vary")).toContain("Accept");
  });

  it("show a session token, and honour one", async () => {
    const path = await create("r/session");
    const session = (await append(path, "a")).headers.get("tidemark-session") ?? "";
    expect(values(await ask("GET", path, undefined, { "tidemark-session": session }))).toEqual(["a"]);
    expectProblem(await ask("GET", path, undefined, { "tidemark-session": "other.0.1" }), "cluster-changed");
  });
});

describe("server-sent events", () => {
  it("are an event a record, and go on where a reader was (I7)", async () => {
    const path = await create("r/sse");
    await append(path, "a", "b");
    const seen: unknown[] = [];
    let lastEventId = "";
    for (let connection = 0; connection < 4; connection += 1) {
      const headers = { ...SSE, ...(lastEventId !== "" && { "last-event-id": lastEventId }) };
      const answer = await fetch(`${server.url}${path}?offset=start`, { headers });
      await append(path, `c${connection}`);
      for await (const { id, data } of events(answer)) {
        seen.push(data.value);
        lastEventId = id;
        // Cut off in the middle: everything but one record of what there is has been taken.
        if (seen.length === connection + 2) break;
      }
    }
    expect(seen).toEqual(["a", "b", "c0", "c1", "c2"]);
  });

  it("end with a stream that is closed, and whoever comes back is told not to", async () => {
    const path = await create("r/sse-end");
    const answer = await fetch(server.url + path, { headers: SSE });
    await append(path, "a");
    await ask("POST", `${path}?close=true`);
    const seen = await allEvents(answer);
    expect(seen.map(({ event }) => event)).toEqual(["message", "end"]);
    expect(seen[1]).toMatchObject({ data: { closed: true, next: 1 } });
    const back = await fetch(server.url + path, { headers: { ...SSE, "last-event-id": seen[1]?.id ?? "" } });
    expect(back.status).toBe(204);
  });

  it("tell what retention took away before it was sent (I7)", async () => {
    const path = await create("r/sse-gap");
    await append(path, "a", "b", "c");
    const token = (await ask("GET", `${path}?limit=1`)).body.token as string;
    await ask("POST", "/v1/trim/r/sse-gap", { before: 2 });
    await ask("POST", `${path}?close=true`);
    const answer = await fetch(server.url + path, { headers: { ...SSE, "last-event-id": token } });
    const seen = await allEvents(answer);
    expect(seen.map(({ event, data }) => [event, data])).toMatchObject([
      ["gap", { from: 1, to: 2 }],
      ["message", { offset: 2, value: "c" }],
      ["end", { next: 3 }],
    ]);
  });

  it("say why they stop when the stream is deleted", async () => {
    const path = await create("r/sse-deleted");
    await append(path, "a");
    const answer = await fetch(server.url + path, { headers: SSE });
    const reading = events(answer);
    expect((await reading.next()).value).toMatchObject({ data: { value: "a" } });
    await ask("DELETE", "/v1/streams/r/sse-deleted");
    expect((await reading.next()).value).toMatchObject({
      event: "failed",
      data: { code: "stream-not-found", retryable: false },
    });
    expect((await reading.next()).done).toBe(true);
  });

  it("give signs of life while nothing comes", async () => {
    const path = await create("r/sse-heartbeat");
    const answer = await fetch(server.url + path, { headers: SSE });
    const reader = answer.body?.getReader();
    const { value } = (await reader?.read()) ?? {};
    expect(Buffer.from(value ?? []).toString()).toMatch(/^:\n\n/);
    await reader?.cancel();
  });
});
