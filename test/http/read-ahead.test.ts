/** Reading ahead of who catches up: the bytes are the same, nothing that is gone is served, and it is bounded (I6, I15). */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BodyPool } from "../../log-server/http/body-pool.ts";
import { HTTP_LIMITS } from "../../log-server/http/limits.ts";
import type { Piece } from "../../log-server/http/stream-routes/chunk.ts";
import { ReadAhead } from "../../log-server/http/stream-routes/read-ahead.ts";
import { StreamBody } from "../../log-server/http/stream-routes/stream-body.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

const pool = new BodyPool(HTTP_LIMITS);

function piece(nextOffset: number): Piece {
  return { body: new StreamBody("text/plain", 10, pool), bytes: 0, nextOffset };
}

describe("pieces read ahead", () => {
  it("are given to one reader, at their place only", async () => {
    const ahead = new ReadAhead(4);
    const read = piece(9);
    ahead.expect(1, 5, async () => read);
    expect(ahead.take(1, 6)).toBeUndefined();
    expect(ahead.take(2, 5)).toBeUndefined();
    expect(await ahead.take(1, 5)?.piece).toBe(read);
    expect(ahead.take(1, 5)).toBeUndefined();
  });

  it("are none where nobody has come back yet, or where they could not be read", async () => {
    const ahead = new ReadAhead(4);
    ahead.expect(1, 5, undefined);
    ahead.expect(1, 6, () => Promise.reject(new Error("damaged")));
    expect(ahead.take(1, 5)).toEqual({ piece: undefined });
    expect(await ahead.take(1, 6)?.piece).toBeUndefined();
  });

  it("are so many at most, the oldest forgotten and its memory given back (I15)", async () => {
    const ahead = new ReadAhead(2);
    const released: number[] = [];
    for (const at of [1, 2, 3]) {
      const read = piece(at);
      const body = Object.assign(read.body, { release: () => released.push(at) });
      ahead.expect(1, at, async () => ({ ...read, body }));
    }
    await ahead.take(1, 3)?.piece;
    expect(ahead.take(1, 1)).toBeUndefined();
    await ahead.close();
    expect(released).toEqual([1, 2]);
  });
});

describe("whoever catches up", () => {
  const RECORDS = 12;
  const VALUE_BYTES = 500_000;
  let server: TestServer;
  let url: string;
  let readRecords = 0;

  beforeEach(async () => {
    readRecords = 0;
    server = await startTestServer({ observer: { read: (records) => (readRecords += records) } });
    url = `${server.url}/v1/stream/s`;
    await fetch(url, { method: "PUT", headers: { "content-type": "text/plain" } });
    for (let at = 0; at < RECORDS; at += 1) await append(at);
  });
  afterEach(() => server.close());

  const append = (at: number): Promise<Response> =>
    fetch(url, { method: "POST", headers: { "content-type": "text/plain" }, body: fill(at) });
  const fill = (at: number): string => String.fromCodePoint(0x61 + at).repeat(VALUE_BYTES);
  const read = async (offset: string): Promise<{ status: number; body: string; next: string; upToDate: boolean }> => {
    const answer = await fetch(`${url}?offset=${offset}`);
    const { headers, status } = answer;
    const next = headers.get("stream-next-offset") ?? "";
    return { status, body: await answer.text(), next, upToDate: headers.get("stream-up-to-date") === "true" };
  };

  it("gets every byte once, and what was appended meanwhile", async () => {
    let got = "";
    let offset = "-1";
    for (let upToDate = false; !upToDate;) {
      const answer = await read(offset);
      if (offset === "-1") await append(RECORDS);
      got += answer.body;
      ({ next: offset, upToDate } = answer);
    }
    expect(got).toBe(Array.from({ length: RECORDS + 1 }, (_, at) => fill(at)).join(""));
    expect(readRecords).toBe(RECORDS + 1);
  });

  it("is told of what was trimmed, or deleted, after it was read ahead", async () => {
    const first = await read("-1");
    const second = await read(first.next);
    const trim = await fetch(`${server.url}/v1/trim/s`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ before: RECORDS - 1 }),
    });
    expect(trim.status).toBe(200);
    const third = await read(second.next);
    expect(third.status).toBe(410);
    expect(third.body).toContain("offset-trimmed");
    await fetch(url, { method: "DELETE" });
    await fetch(url, { method: "PUT", headers: { "content-type": "text/plain" } });
    expect((await read(second.next)).status).toBe(410);
    expect((await read("-1")).body).toBe("");
  });
});
