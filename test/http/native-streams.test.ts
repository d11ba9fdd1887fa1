/** Streams over native HTTP: created, shown, listed, changed, trimmed, deleted. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HTTP_LIMITS } from "../../log-server/http/limits.ts";
import { type Answer, ask as askAt, expectProblem } from "./native.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ http: { ...HTTP_LIMITS, listedStreamsMax: 50 } });
});

afterAll(() => server.close());

function ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> {
  return askAt(server.url, method, path, body, headers);
}

function namesOf({ body }: Answer): string[] {
  return (body as { streams: { name: string }[] }).streams.map(({ name }) => name);
}

describe("one stream", () => {
  it("is created once, and confirmed where it is just so", async () => {
    const body = { contentType: "application/json", ttlSeconds: 60, retention: { maxBytes: 1_000_000 } };
    const created = await ask("PUT", "/v1/streams/s/a%20b", body);
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ name: "s/a b", first: 0, next: 0, closed: false, ...body });
    expect(created.body.expiresAtMs).toBeGreaterThan(created.body.createdAtMs);
    expect((await ask("PUT", "/v1/streams/s/a%20b", body)).status).toBe(200);
    expectProblem(await ask("PUT", "/v1/streams/s/a%20b", { contentType: "text/plain" }), "stream-exists");
    expect((await ask("GET", "/v1/streams/s/a%20b")).body).toMatchObject(body);
  });

  it("needs no settings", async () => {
    const { status, body } = await ask("PUT", "/v1/streams/s/plain");
    expect(status).toBe(201);
    expect(body).toMatchObject({ contentType: "application/octet-stream", retention: {}, compactedBefore: 0 });
    expect(body).not.toHaveProperty("expiresAtMs");
  });

  it("may end at a time", async () => {
    const { body } = await ask("PUT", "/v1/streams/s/until", { expiresAt: "2200-01-01T00:00:00Z" });
    expect(body.expiresAtMs).toBe(Date.parse("2200-01-01T00:00:00Z"));
    expect(body).not.toHaveProperty("ttlSeconds");
  });

  it("may be a fork, and says of what", async () => {
    await ask("PUT", "/v1/streams/s/source", { contentType: "text/plain" });
    await ask("POST", "/v1/records/s/source", ["a", "b"]);
    const fork = await ask("PUT", "/v1/streams/s/fork", { fork: { source: "s/source", offset: 1 } });
    expect(fork.body).toMatchObject({
      contentType: "text/plain",
      next: 1,
      forkedFrom: { stream: "s/source", offset: 1, partialBytes: 0 },
    });
    await ask("POST", "/v1/records/s/fork", ["c"]);
    const { records } = (await ask("GET", "/v1/records/s/fork")).body;
    expect(records.map(({ value }: { value: string }) => value)).toEqual(["a", "c"]);
    const whole = await ask("PUT", "/v1/streams/s/fork-all", { fork: { source: "s/source" } });
    expect(whole.body.next).toBe(2);
    expectProblem(await ask("PUT", "/v1/streams/s/no", { fork: { source: "s/none" } }), "stream-not-found");
    const later = { source: "s/source", offset: "0000000000000001_0000000000000000" };
    expectProblem(await ask("PUT", "/v1/streams/s/no", { fork: later }), "invalid-fork");
  });

  it("has settings that change, and are replaced whole", async () => {
    await ask("PUT", "/v1/streams/s/settings", { retention: { maxBytes: 5 } });
    const retention = { maxAgeMs: 1_000, compaction: { tombstoneMs: 60_000 } };
    expect((await ask("PATCH", "/v1/streams/s/settings", { retention })).body.retention).toEqual(retention);
    expect((await ask("PATCH", "/v1/streams/s/settings", { retention: {} })).body.retention).toEqual({});
    expectProblem(await ask("PATCH", "/v1/streams/s/none", { retention }), "stream-not-found");
  });

  it("forgets what is before an offset, a token, a time", async () => {
    await ask("PUT", "/v1/streams/s/trim", { contentType: "text/plain" });
    const { body } = await ask("POST", "/v1/records/s/trim", ["a", "b", "c"]);
    expect((await ask("POST", "/v1/trim/s/trim", { before: 1 })).body).toMatchObject({ first: 1 });
    // It never moves back.
    expect((await ask("POST", "/v1/trim/s/trim", { before: 0 })).body).toMatchObject({ first: 1 });
    expect((await ask("POST", "/v1/trim/s/trim", { beforeTime: 5 })).body).toMatchObject({ first: 1 });
    expect((await ask("POST", "/v1/trim/s/trim", { before: body.token })).body).toMatchObject({ first: 3 });
    expectProblem(await ask("POST", "/v1/trim/s/trim", { before: 4 }), "malformed-offset");
    await ask("POST", "/v1/records/s/trim", ["d"]);
    const end = await ask("POST", "/v1/trim/s/trim", { beforeTime: "2200-01-01T00:00:00Z" });
    expect(end.body).toMatchObject({ first: 4 });
    expectProblem(await ask("POST", "/v1/trim/s/trim", { before: "0000000000000001_0000000000000000" }), "stream-gone");
    expectProblem(await ask("POST", "/v1/trim/s/none", { before: 0 }), "stream-not-found");
  });

  it("is deleted", async () => {
    await ask("PUT", "/v1/streams/s/deleted");
    expect((await ask("DELETE", "/v1/streams/s/deleted")).status).toBe(204);
    for (const [method, path] of [
      ["GET", "/v1/streams/s/deleted"],
      ["DELETE", "/v1/streams/s/deleted"],
      ["GET", "/v1/records/s/deleted"],
    ] as const)
      expectProblem(await ask(method, path), "stream-not-found");
    expectProblem(await ask("POST", "/v1/records/s/deleted", ["a"]), "stream-not-found");
  });
});

describe("listings", () => {
  it("are by prefix, in order, page by page", async () => {
    for (const name of ["l/b", "l/a", "l/c/d", "lx"]) await ask("PUT", `/v1/streams/${name}`);
    expect(namesOf(await ask("GET", "/v1/streams?prefix=l/"))).toEqual(["l/a", "l/b", "l/c/d"]);
    const first = await ask("GET", "/v1/streams?prefix=l/&limit=2");
    expect(namesOf(first)).toEqual(["l/a", "l/b"]);
    expect(first.body.next).toBe("l/b");
    const second = await ask("GET", `/v1/streams?prefix=l/&limit=2&after=${first.body.next}`);
    expect(namesOf(second)).toEqual(["l/c/d"]);
    expect(second.body).not.toHaveProperty("next");
    expect((await ask("GET", "/v1/streams?prefix=none/")).body).toEqual({ streams: [] });
  });

  it("never leave out a stream that is there all the while, whatever comes and goes (W121)", async () => {
    const steady = Array.from({ length: 60 }, (_, place) => `w/${String(place).padStart(2, "0")}`);
    for (const name of steady) await ask("PUT", `/v1/streams/${name}`);
    let going = true;
    const churn = async (letter: string): Promise<void> => {
      for (let place = 0; going; place = (place + 7) % 60) {
        const path = `/v1/streams/w/${String(place).padStart(2, "0")}${letter}`;
        await ask("PUT", path);
        await ask("DELETE", path);
      }
    };
    const churning = [churn("x"), churn("y")];
    for (let round = 0; round < 4; round += 1) {
      const found: string[] = [];
      for (let after: string | undefined = ""; after !== undefined;) {
        const page: Answer = await ask("GET", `/v1/streams?prefix=w/&limit=7&after=${after}`);
        found.push(...namesOf(page));
        after = page.body.next;
      }
      expect(found).toEqual([...new Set(found)].sort());
      expect(found.filter((name) => steady.includes(name))).toEqual(steady);
    }
    going = false;
    await Promise.all(churning);
  });

  it("have a bound of the server's own", async () => {
    for (let place = 0; place < 55; place += 1) await ask("PUT", `/v1/streams/m/${place}`);
    const page = await ask("GET", "/v1/streams?prefix=m/&limit=1000000");
    expect(page.body.streams).toHaveLength(50);
    expect(page.body.next).toBe(namesOf(page).at(-1));
  });
});
