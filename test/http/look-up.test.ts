/** W120 to W124 in frames: listings, places of times, cursors, descriptions in full. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { concat, utf8 } from "../../src/lib/bytes.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import type { Command } from "../../src/wire/command.ts";
import { splitFrames } from "../../src/wire/frame.ts";
import { encodeRequest, type Request } from "../../src/wire/request.ts";
import { decodeResponse, type Response as FrameResponse } from "../../src/wire/response.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.close());

async function ask(...requests: readonly Request[]): Promise<FrameResponse[]> {
  const answer = await fetch(`${server.url}/v1/frames`, {
    method: "POST",
    headers: { "content-type": "application/x-tidemark-frames" },
    body: new Uint8Array(concat(requests.map((request, place) => encodeRequest(request, place)))),
  });
  const frames = splitFrames(new Uint8Array(await answer.arrayBuffer()), 1 << 24, 10_000);
  if (!frames.ok) throw new Error(frames.error.message);
  return frames.value.map((frame) => {
    const response = decodeResponse(frame);
    if (!response.ok) throw new Error(response.error.message);
    return response.value;
  });
}

function command(given: Command): Request {
  return { kind: "command", command: given };
}

function create(stream: string, more: Partial<Extract<Command, { kind: "create" }>> = {}): Request {
  return command({ kind: "create", stream, contentType: "text/plain", closed: false, ...more });
}

function append(stream: string, ...values: readonly string[]): Request {
  const bytes = encodeBatch(values.map((value) => ({ value: utf8(value) })));
  const batch = { hash: 0n, length: bytes.length, span: values.length, bytes };
  return command({ kind: "append", stream, close: false, batch });
}

describe("look-ups in frames", () => {
  it("list streams, and see the commands before them", async () => {
    const answers = await ask(
      create("k/b"),
      create("k/a"),
      append("k/a", "x"),
      { kind: "list", prefix: "k/", after: "", limit: 1 },
      { kind: "list", prefix: "k/", after: "k/a", limit: 0 },
      { kind: "list", prefix: "k/", after: "k/b", limit: 9 },
    );
    expect(answers[3]).toMatchObject({
      kind: "stream-list",
      streams: [{ name: "k/a", contentType: "text/plain", firstOffset: 0, tail: 1, closed: false }],
      next: "k/a",
    });
    expect(answers[4]).toMatchObject({ streams: [{ name: "k/b" }] });
    expect(answers[5]).toEqual({ kind: "stream-list", position: expect.any(Number), streams: [] });
  });

  it("find where a time begins, in forks too", async () => {
    await ask(create("k/time"), append("k/time", "a", "b"));
    const [before] = await ask({ kind: "read", stream: "k/time", from: "start", offset: 0, maxBytes: 1, waitMs: 0 });
    const old = before?.kind === "records" ? (before.batches[0]?.logTime ?? 0) : 0;
    const { incarnation } = before as Extract<FrameResponse, { kind: "records" }>;
    await ask(create("k/time-fork", { fork: { source: "k/time", incarnation, partialBytes: 0 } }));
    // Log time is the server's clock: it moves on, and with it what is appended.
    let offset = 2;
    for (let last = old; last === old; offset += 1) {
      const [, read] = await ask(append("k/time-fork", "c"), {
        kind: "read",
        stream: "k/time-fork",
        from: "offset",
        offset,
        maxBytes: 1,
        waitMs: 0,
      });
      last = read?.kind === "records" ? (read.batches[0]?.logTime ?? 0) : 0;
    }
    const locate = async (stream: string, atMs: number): Promise<unknown> =>
      (await ask({ kind: "locate", stream, atMs }))[0];
    expect(await locate("k/time", old)).toMatchObject({ kind: "located", incarnation, offset: 0 });
    expect(await locate("k/time", old + 1)).toMatchObject({ offset: 2 });
    expect(await locate("k/time-fork", 0)).toMatchObject({ offset: 0 });
    expect(await locate("k/time-fork", old)).toMatchObject({ offset: 0 });
    expect(await locate("k/time-fork", old + 1)).toMatchObject({ offset: offset - 1 });
    expect(await locate("k/time-fork", Number.MAX_SAFE_INTEGER)).toMatchObject({ offset });
    expect(await locate("k/none", 0)).toMatchObject({ kind: "error", code: "stream-not-found" });
    const [gone] = await ask({ kind: "locate", stream: "k/time", incarnation: incarnation + 1, atMs: 0 });
    expect(gone).toMatchObject({ kind: "error", code: "stream-gone" });
  });

  it("show cursors", async () => {
    const [, shown, absent] = await ask(
      command({ kind: "cursor", name: "k", value: utf8("v") }),
      { kind: "cursor-get", name: "k" },
      { kind: "cursor-get", name: "none" },
    );
    expect(shown).toMatchObject({ kind: "cursor", value: utf8("v") });
    expect(absent).toEqual({ kind: "cursor", position: expect.any(Number) });
  });

  it("describe streams in full", async () => {
    const retention = { maxAgeMs: 5_000_000, compaction: { tombstoneMs: 7 } };
    const [, described] = await ask(create("k/full", { retention, expiry: { kind: "sliding", ttlSeconds: 60 } }), {
      kind: "describe",
      stream: "k/full",
    });
    expect(described).toMatchObject({
      kind: "description",
      expiry: { kind: "sliding", ttlSeconds: 60 },
      retention,
      compactedBefore: 0,
    });
    const { createdAtMs, expiresAtMs, incarnation } = described as Extract<FrameResponse, { kind: "description" }>;
    expect(expiresAtMs).toBe(createdAtMs + 60_000);
    const [, fork] = await ask(
      create("k/full-fork", { fork: { source: "k/full", incarnation, offset: 0, partialBytes: 0 } }),
      { kind: "describe", stream: "k/full-fork" },
    );
    expect(fork).toMatchObject({ forkedFrom: { stream: "k/full", offset: 0, partialBytes: 0 } });
  });
});
