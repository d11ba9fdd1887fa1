/** Memory for the bodies of large answers: used again, never by two at a time, and bounded (I15). */
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { BodyPool } from "../../log-server/http/body-pool.ts";
import { HTTP_LIMITS } from "../../log-server/http/limits.ts";
import { StreamBody } from "../../log-server/http/stream-routes/stream-body.ts";
import { startTestServer } from "./test-server.ts";

const LIMITS = { ...HTTP_LIMITS, pooledBodyBytes: 1_000, pooledBodiesMax: 2 };

describe("the pool of bodies", () => {
  it("gives what was given back, and to one only", () => {
    const pool = new BodyPool(LIMITS);
    const first = pool.take(900);
    const second = pool.take(900);
    expect(second.buffer).not.toBe(first.buffer);
    pool.give(first);
    expect(pool.take(600)).toBe(first);
    expect(pool.take(600)).not.toBe(first);
  });

  it("keeps neither what is small or large, nor more than its bound", () => {
    const pool = new BodyPool(LIMITS);
    for (const bytes of [10, 499, 1_001]) {
      const other = pool.take(bytes);
      expect(other.length).toBe(bytes);
      pool.give(other);
    }
    const taken = [pool.take(1_000), pool.take(1_000), pool.take(1_000)];
    for (const buffer of taken) pool.give(buffer);
    const again = [pool.take(1_000), pool.take(1_000), pool.take(1_000)];
    expect(again.filter((buffer) => taken.includes(buffer))).toHaveLength(2);
  });

  it("has the memory of a body that grew, and of one that was released, but no body twice", () => {
    const pool = new BodyPool(LIMITS);
    const body = new StreamBody("application/octet-stream", 600, pool);
    body.add(Buffer.alloc(600, 1), 0, 600);
    const before = body.finish();
    body.add(Buffer.alloc(600, 2), 0, 600);
    const grown = body.finish();
    expect(Buffer.from(grown)).toEqual(Buffer.concat([Buffer.alloc(600, 1), Buffer.alloc(600, 2)]));
    expect(pool.take(900).buffer).toBe(before.buffer);
    body.release();
    body.release();
    expect(pool.take(900).buffer).not.toBe(before.buffer);
  });
});

describe("answers that share memory one after the other", () => {
  it("reach a reader who takes them late as they were, whatever others have read meanwhile", async () => {
    const server = await startTestServer();
    try {
      const pages = Array.from({ length: 8 }, (_, page) => ({ page, fill: String.fromCodePoint(0x61 + page) }));
      for (const { page, fill } of pages) {
        const url = `${server.url}/v1/stream/pool/${page}`;
        await fetch(url, { method: "PUT", headers: { "content-type": "text/plain" } });
        await fetch(url, { method: "POST", headers: { "content-type": "text/plain" }, body: fill.repeat(1_000_000) });
      }
      const { hostname, port } = new URL(server.url);
      const late = connect({ host: hostname, port: Number(port) });
      const chunks: Buffer[] = [];
      late.pause();
      late.on("data", (chunk) => chunks.push(chunk));
      for (const { page } of pages) {
        const last = page === pages.length - 1 ? "connection: close\r\n" : "";
        late.write(`GET /v1/stream/pool/${page} HTTP/1.1\r\nhost: ${hostname}:${port}\r\n${last}\r\n`);
      }
      for (let round = 0; round < 3; round += 1) {
        for (const { page, fill } of [...pages].reverse()) {
          const body = await (await fetch(`${server.url}/v1/stream/pool/${page}`)).text();
          expect(body === fill.repeat(1_000_000)).toBe(true);
        }
      }
      late.resume();
      await once(late, "close");
      const bodies = Buffer.concat(chunks)
        .toString("latin1")
        .split(/HTTP\/1\.1 200 OK[^]*?\r\n\r\n/)
        .slice(1);
      expect(bodies.map((body) => [body.length, body[0], new Set(body).size])).toEqual(
        pages.map(({ fill }) => [1_000_000, fill, 1]),
      );
    } finally {
      await server.close();
    }
  });
});
