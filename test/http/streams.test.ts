/** What the public suite leaves open in the Durable Streams face: caching, sessions, access, deletion, sub-offsets. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HTTP_LIMITS } from "../../log-server/http/limits.ts";
import { RawSocket } from "./raw-socket.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

const TEXT = { "content-type": "text/plain" };

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ http: { ...HTTP_LIMITS, readBytesMax: 150, longPollMs: 50 } });
});

afterAll(() => server.close());

function at(path: string): string {
  return `${server.url}/v1/stream/${path}`;
}

async function put(path: string, body?: string, headers: Record<string, string> = {}): Promise<Response> {
  const answer = await fetch(at(path), {
    method: "PUT",
    headers: { ...TEXT, ...headers },
    ...(body !== undefined && { body }),
  });
  expect(answer.status).toBe(201);
  return answer;
}

function post(path: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(at(path), { method: "POST", headers: { ...TEXT, ...headers }, body });
}

describe("reads", () => {
  it("end where a batch ends, and are cacheable only before the tail", async () => {
    await put("s/pages");
    for (const letter of ["a", "b", "c"]) await post("s/pages", letter.repeat(100));
    const first = await fetch(at("s/pages"));
    expect(await first.text()).toBe("a".repeat(100) + "b".repeat(100));
    expect(first.headers.get("stream-up-to-date")).toBeNull();
    expect(first.headers.get("cache-control")).toContain("max-age=60");
    const last = await fetch(at(`s/pages?offset=${first.headers.get("stream-next-offset")}`));
    expect(await last.text()).toBe("c".repeat(100));
    expect(last.headers.get("stream-up-to-date")).toBe("true");
    expect(last.headers.get("cache-control")).toBe("no-cache");
  });

  it("show closure although nothing else has changed", async () => {
    await put("s/etag", "x");
    const open = await fetch(at("s/etag"));
    const etag = open.headers.get("etag") ?? "";
    expect((await fetch(at("s/etag"), { headers: { "if-none-match": etag } })).status).toBe(304);
    await fetch(at("s/etag"), { method: "POST", headers: { "stream-closed": "true" } });
    const closed = await fetch(at("s/etag"), { headers: { "if-none-match": etag } });
    expect(closed.status).toBe(200);
    expect(closed.headers.get("stream-closed")).toBe("true");
  });

  it("tell a token of an earlier stream that it is gone", async () => {
    const token = (await put("s/again", "old")).headers.get("stream-next-offset") ?? "";
    await fetch(at("s/again"), { method: "DELETE" });
    await put("s/again", "new");
    const answer = await fetch(at(`s/again?offset=${token}`));
    expect(answer.status).toBe(410);
    expect(await answer.json()).toMatchObject({ code: "stream-gone" });
  });

  it("cannot run as a page of ours", async () => {
    await put("s/page", "<script>alert(1)</script>", { "content-type": "text/html" });
    expect((await fetch(at("s/page"))).headers.get("content-security-policy")).toContain("sandbox");
  });

  it("at the end of an open stream wait, and say so when nothing came", async () => {
    await put("s/poll", "x");
    const answer = await fetch(at("s/poll?offset=now&live=long-poll"));
    expect(answer.status).toBe(204);
    expect(answer.headers.get("stream-up-to-date")).toBe("true");
    expect(answer.headers.get("stream-cursor")).toMatch(/^\d+$/);
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });
});

describe("live readers", () => {
  it("are told when their stream is deleted", async () => {
    const live = await startTestServer();
    try {
      const url = `${live.url}/v1/stream/s`;
      await fetch(url, { method: "PUT", headers: TEXT });
      const polled = fetch(`${url}?offset=now&live=long-poll`);
      const sse = await fetch(`${url}?offset=now&live=sse`);
      await fetch(url, { method: "DELETE" });
      expect((await polled).status).toBe(404);
      expect(await sse.text()).toContain("event: control");
    } finally {
      await live.close();
    }
  });

  it("are dropped when they take nothing, and hold up nobody", async () => {
    let dropped: (() => void) | undefined;
    const isDropped = new Promise<void>((resolve) => {
      dropped = resolve;
    });
    const live = await startTestServer({
      http: { ...HTTP_LIMITS, stalledReaderMs: 50 },
      observer: { slowReaderDropped: () => dropped?.() },
    });
    try {
      const url = `${live.url}/v1/stream/s`;
      await fetch(url, { method: "PUT", headers: TEXT });
      // More than the buffers of both sockets hold.
      const body = "x".repeat(4 * 1024 * 1024);
      for (let round = 0; round < 6; round += 1) await fetch(url, { method: "POST", headers: TEXT, body });
      const socket = await RawSocket.open(live.url);
      socket.pause();
      socket.send("GET /v1/stream/s?offset=-1&live=sse HTTP/1.1\r\nHost: localhost\r\n\r\n");
      await isDropped;
      socket.destroy();
      expect((await fetch(url, { method: "HEAD" })).status).toBe(200);
    } finally {
      await live.close();
    }
  });

  it("get each record once, in order, across reconnections (I7)", async () => {
    await put("s/live");
    const seen: string[] = [];
    let offset = "-1";
    const writing = (async () => {
      for (let place = 0; place < 40; place += 1) await post("s/live", `${place},`);
      await fetch(at("s/live"), { method: "POST", headers: { "stream-closed": "true" } });
    })();
    for (let closed = false; !closed;) {
      const answer = await fetch(at(`s/live?offset=${offset}&live=long-poll`));
      seen.push(await answer.text());
      offset = answer.headers.get("stream-next-offset") ?? "";
      closed = answer.headers.get("stream-closed") === "true";
    }
    await writing;
    expect(seen.join("")).toBe(Array.from({ length: 40 }, (_, place) => `${place},`).join(""));
  });
});

describe("session tokens", () => {
  it("come with every answer and are waited for", async () => {
    const answer = await put("s/session", "x");
    const token = answer.headers.get("tidemark-session") ?? "";
    expect(token).toMatch(/^[^.]+\.0\.\d+$/);
    expect((await fetch(at("s/session"), { headers: { "tidemark-session": token } })).status).toBe(200);
    expect((await fetch(at("s/session"), { headers: { "tidemark-session": "nonsense" } })).status).toBe(400);
  });
});

describe("forks", () => {
  it("inherit part of what was appended at their offset, but no more than that", async () => {
    const source = await put("s/source", "hello");
    await post("s/source", " world");
    const headers = {
      "stream-forked-from": "/v1/stream/s/source",
      "stream-fork-offset": source.headers.get("stream-next-offset") ?? "",
    };
    await put("s/fork", "!", { ...headers, "stream-fork-sub-offset": "3" });
    expect(await (await fetch(at("s/fork"))).text()).toBe("hello wo!");
    const beyond = await fetch(at("s/beyond"), {
      method: "PUT",
      headers: { ...headers, "stream-fork-sub-offset": "7" },
    });
    expect(beyond.status).toBe(400);
    expect(await beyond.json()).toMatchObject({ code: "invalid-fork" });
  });
});

describe("access", () => {
  it("needs the token, where there is one, for all but health, keys and preflights", async () => {
    const guarded = await startTestServer({ access: { kind: "token", token: "secret" } });
    try {
      const ask = (path: string, method = "GET", headers: Record<string, string> = {}): Promise<number> =>
        fetch(guarded.url + path, { method, headers }).then((answer) => answer.status);
      for (const path of ["/v1/stream/s", "/v1/frames", "/metrics", "/anything", "/v1/stream/__ds/subscriptions/s"]) {
        expect(await ask(path), path).toBe(401);
        expect(await ask(path, "GET", { authorization: "Bearer wrong" }), path).toBe(401);
        expect(await ask(path, "GET", { authorization: "Bearer secret" }), path).not.toBe(401);
      }
      expect(await ask("/v1/stream/__ds/jwks.json")).toBe(200);
      expect(await ask("/v1/stream/s", "OPTIONS", { origin: "https://example.com" })).toBe(204);
      const refused = await fetch(`${guarded.url}/v1/stream/s`);
      expect(refused.headers.get("www-authenticate")).toContain("Bearer");
      expect(await refused.json()).toMatchObject({ code: "unauthorized" });
    } finally {
      await guarded.close();
    }
  });

  it("is closed to pages from elsewhere, and to other names for this machine, without a token", async () => {
    const post = (headers: Record<string, string>): Promise<number> =>
      fetch(at("s/none"), { method: "POST", headers: { ...TEXT, ...headers }, body: "x" }).then(
        (answer) => answer.status,
      );
    expect(await post({ origin: "https://example.com" })).toBe(403);
    expect(await post({ origin: "null" })).toBe(403);
    expect(await post({ origin: "http://localhost:5173" })).toBe(404);
  });
});
