/** The native protocol over HTTP: frames in, frames out, in order. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { concat, text, utf8 } from "../../src/lib/bytes.ts";
import { decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { Command } from "../../src/wire/command.ts";
import { splitFrames } from "../../src/wire/frame.ts";
import { encodeRequest, type Request } from "../../src/wire/request.ts";
import { decodeResponse, type RecordsResponse, type Response as FrameResponse } from "../../src/wire/response.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.close());

async function ask(...requests: readonly Request[]): Promise<FrameResponse[]> {
  const body = concat(requests.map((request, place) => encodeRequest(request, 100 + place)));
  const answer = await fetch(`${server.url}/v1/frames`, {
    method: "POST",
    headers: { "content-type": "application/x-tidemark-frames" },
    body: new Uint8Array(body),
  });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("application/x-tidemark-frames");
  const frames = splitFrames(new Uint8Array(await answer.arrayBuffer()), 1 << 24, 10_000);
  if (!frames.ok) throw new Error(frames.error.message);
  expect(frames.value.map((frame) => frame.requestId)).toEqual(requests.map((_, place) => 100 + place));
  return frames.value.map((frame) => {
    const response = decodeResponse(frame);
    if (!response.ok) throw new Error(response.error.message);
    return response.value;
  });
}

function batch(...values: readonly string[]): BatchRef {
  const bytes = encodeBatch(values.map((value) => ({ value: utf8(value) })));
  return { hash: 0n, length: bytes.length, span: values.length, bytes };
}

function command(given: Command): Request {
  return { kind: "command", command: given };
}

function create(stream: string, contentType = "text/plain"): Request {
  return command({ kind: "create", stream, contentType, closed: false });
}

function append(stream: string, ...values: readonly string[]): Request {
  return command({ kind: "append", stream, close: false, batch: batch(...values) });
}

function read(stream: string, more: Partial<Extract<Request, { kind: "read" }>> = {}): Request {
  return { kind: "read", stream, from: "start", offset: 0, maxBytes: 1 << 20, waitMs: 0, ...more };
}

function valuesOf(response: FrameResponse | undefined): readonly (string | undefined)[] {
  const { batches } = response as RecordsResponse;
  return batches.flatMap(({ bytes }) => {
    const decoded = decodeBatch(bytes, { rawBytesMax: 1 << 20 });
    if (!decoded.ok) throw new Error(decoded.error.message);
    return decoded.value.records.map(({ record }) => text(record.value ?? new Uint8Array(0)));
  });
}

function appendRun(stream: string, sequence: number, ...batches: readonly BatchRef[]): Request {
  return command({ kind: "append-run", stream, producer: { id: "p", epoch: 0, sequence }, batches });
}

describe("a run of appends", () => {
  it("keeps its batches apart, and a retry of some of it gets their answers (I8)", async () => {
    const [, first] = await ask(create("run"), appendRun("run", 0, batch("a"), batch("b", "c"), batch("d")));
    expect(first).toMatchObject({
      kind: "result",
      result: { kind: "appended-run", parts: [{ count: 3, result: { firstOffset: 0, nextOffset: 4 } }] },
    });
    const [again, records] = await ask(appendRun("run", 1, batch("b", "c"), batch("d"), batch("e")), read("run"));
    expect(again).toMatchObject({
      result: {
        parts: [
          { count: 2, result: { firstOffset: 1, nextOffset: 4, duplicate: true } },
          { count: 1, result: { firstOffset: 4, nextOffset: 5, duplicate: false } },
        ],
      },
    });
    expect(valuesOf(records)).toEqual(["a", "b", "c", "d", "e"]);
    expect((records as RecordsResponse).batches.map(({ firstOffset }) => firstOffset)).toEqual([0, 1, 3, 4]);
  });

  it("is let in whole or not at all (W183)", async () => {
    const [, refused, late, described] = await ask(
      create("run/json", "application/json"),
      appendRun("run/json", 0, batch("1"), batch("no JSON"), batch("2")),
      appendRun("run/none", 0, batch("1")),
      { kind: "describe", stream: "run/json" },
    );
    expect(refused).toMatchObject({ kind: "error", code: "malformed-json" });
    expect(late).toMatchObject({ kind: "error", code: "stream-not-found" });
    expect(described).toMatchObject({ kind: "description", tail: 0 });
  });

  it("waits for the stream that a command just before it creates", async () => {
    const [, appended] = await ask(create("run/new"), appendRun("run/new", 0, batch("a"), batch("b")));
    expect(appended).toMatchObject({ result: { parts: [{ count: 2 }] } });
  });
});

describe("frames", () => {
  it("are answered in order, and a read sees the commands before it", async () => {
    const answers = await ask(create("f/order"), append("f/order", "a", "b"), append("f/order", "c"), read("f/order"));
    expect(answers.map((answer) => answer.kind)).toEqual(["result", "result", "result", "records"]);
    expect(answers[1]).toMatchObject({ result: { kind: "appended", firstOffset: 0, nextOffset: 2 } });
    expect(answers[2]).toMatchObject({ result: { kind: "appended", firstOffset: 2, nextOffset: 3 } });
    expect(valuesOf(answers[3])).toEqual(["a", "b", "c"]);
    expect(answers[3]).toMatchObject({
      nextOffset: 3,
      tail: 3,
      upToDate: true,
      contentType: "text/plain",
      closed: false,
    });
  });

  it("share entries: what is asked together is synced together", async () => {
    await ask(create("f/group"));
    const before = server.node.position;
    await ask(...Array.from({ length: 50 }, (_, place) => append("f/group", `${place}`)));
    expect(server.node.position - before).toBeLessThan(10);
  });

  it("go on after one that is refused", async () => {
    const answers = await ask(append("f/none", "x"), create("f/after"), append("f/after", "y"), read("f/after"));
    expect(answers[0]).toMatchObject({ kind: "error", code: "stream-not-found" });
    expect(valuesOf(answers[3])).toEqual(["y"]);
  });

  it("carry what is applied as refused as a result", async () => {
    await ask(create("f/closed"), command({ kind: "append", stream: "f/closed", close: true }));
    const [answer] = await ask(append("f/closed", "x"));
    expect(answer).toMatchObject({ kind: "result", result: { kind: "rejected", code: "stream-closed" } });
  });

  it("wait at the tail, and answer when something arrives", async () => {
    await ask(create("f/wait"), append("f/wait", "old"));
    const waiting = ask(read("f/wait", { from: "now", waitMs: 30_000 }));
    await ask(append("f/wait", "new"));
    const [answer] = await waiting;
    // The append may have been first.
    if ((answer as RecordsResponse).batches.length > 0) expect(valuesOf(answer)).toEqual(["new"]);
    else expect(answer).toMatchObject({ nextOffset: 2 });
    const [empty] = await ask(read("f/wait", { from: "now", waitMs: 1 }));
    expect(empty).toMatchObject({ kind: "records", batches: [], upToDate: true, nextOffset: 2 });
  });

  it("read whole batches from any offset, in pieces", async () => {
    await ask(create("f/pieces"), append("f/pieces", "a", "b", "c"), append("f/pieces", "d"));
    const [middle] = await ask(read("f/pieces", { from: "offset", offset: 1, maxBytes: 1 }));
    expect(middle).toMatchObject({ nextOffset: 3, upToDate: false });
    expect((middle as RecordsResponse).batches[0]?.firstOffset).toBe(0);
    const [rest] = await ask(read("f/pieces", { from: "offset", offset: 3 }));
    expect(valuesOf(rest)).toEqual(["d"]);
  });

  it("describe streams, and hold on to their incarnation", async () => {
    const [, described] = await ask(create("f/life"), { kind: "describe", stream: "f/life" });
    expect(described).toMatchObject({
      kind: "description",
      tail: 0,
      firstOffset: 0,
      closed: false,
      contentType: "text/plain",
    });
    const { incarnation } = described as RecordsResponse;
    await ask(command({ kind: "delete", stream: "f/life" }), create("f/life"));
    const [stale] = await ask(read("f/life", { incarnation }));
    expect(stale).toMatchObject({ kind: "error", code: "stream-gone" });
  });

  it("apply a transaction as a whole (I11)", async () => {
    await ask(create("f/t1"), create("f/t2", "application/json"));
    const transaction = (json: string): Request =>
      command({
        kind: "transaction",
        conditions: [],
        operations: [
          { kind: "append", stream: "f/t1", close: false, batch: batch("x") },
          { kind: "append", stream: "f/t2", close: false, batch: batch(json) },
        ],
      });
    const [refused] = await ask(transaction("{"));
    expect(refused).toMatchObject({ kind: "error", code: "malformed-json" });
    const [done, one, two] = await ask(transaction("{}"), read("f/t1"), read("f/t2"));
    expect(done).toMatchObject({ kind: "result", result: { kind: "transaction" } });
    expect([valuesOf(one), valuesOf(two)]).toEqual([["x"], ["{}"]]);
  });
});
