/** W129: transactions and cursors over native HTTP. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Answer, ask as askAt, expectProblem } from "./native.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.close());

function ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> {
  return askAt(server.url, method, path, body, headers);
}

function transact(operations: readonly unknown[], conditions?: readonly unknown[]): Promise<Answer> {
  return ask("POST", "/v1/transactions", { operations, ...(conditions !== undefined && { conditions }) });
}

async function values(name: string): Promise<unknown[]> {
  const { body } = await ask("GET", `/v1/records/${name}`);
  return (body as { records: { value: unknown }[] }).records.map(({ value }) => value);
}

describe("transactions", () => {
  it("take effect whole: creates, appends, deletes, cursors (I11)", async () => {
    await ask("PUT", "/v1/streams/t/old");
    const answer = await transact(
      [
        { create: "t/new", contentType: "application/json", retention: { maxBytes: 1_000 } },
        { append: "t/new", records: ["text", { value: { n: 1 }, key: "k" }] },
        { append: "t/new", records: [], close: true },
        { delete: "t/old" },
        { cursor: "t", value: { base64: "AP8=" } },
      ],
      [
        { stream: "t/new", exists: false },
        { stream: "t/old", next: 0 },
        { cursor: "t", value: null },
      ],
    );
    expect(answer.status).toBe(200);
    expect(answer.body.results).toMatchObject([
      { created: true, next: 0 },
      { offset: 0, next: 2, closed: false },
      { next: 2, closed: true },
      {},
      {},
    ]);
    expect(await values("t/new")).toEqual(["text", { n: 1 }]);
    expectProblem(await ask("GET", "/v1/streams/t/old"), "stream-not-found");
    const cursor = await fetch(`${server.url}/v1/cursors/t`);
    expect(new Uint8Array(await cursor.arrayBuffer())).toEqual(Uint8Array.of(0, 255));
  });

  it("take no effect at all where anything of them does not hold", async () => {
    await ask("PUT", "/v1/streams/t/a", { contentType: "text/plain" });
    await ask("PUT", "/v1/streams/t/b", { contentType: "text/plain" });
    const { body } = await ask("GET", "/v1/streams/t/a");
    const good = { append: "t/a", records: ["x"] };
    const stale = `${String(1).padStart(16, "0")}_${String(0).padStart(16, "0")}`;
    const refused: readonly (readonly [string, readonly unknown[], readonly unknown[]])[] = [
      ["condition-failed", [good], [{ stream: "t/b", next: 1 }]],
      ["condition-failed", [good], [{ stream: "t/a", next: stale }]],
      ["condition-failed", [good], [{ stream: "t/none", exists: true }]],
      ["condition-failed", [good], [{ stream: "t/b", exists: false }]],
      ["condition-failed", [good], [{ cursor: "none", value: "x" }]],
      ["condition-failed", [good, { cursor: "none", value: "x", expected: "y" }], []],
      ["offset-mismatch", [good, { append: "t/b", records: ["y"], expectedOffset: 5 }], []],
      ["stream-exists", [good, { create: "t/b", contentType: "application/json" }], []],
      ["stream-not-found", [good, { delete: "t/none" }], []],
    ];
    for (const [code, operations, conditions] of refused) {
      expect((await transact(operations, conditions)).body, JSON.stringify([operations, conditions])).toMatchObject({
        code,
      });
    }
    expect(await values("t/a")).toEqual([]);
    expect((await transact([good], [{ stream: "t/a", next: body.token }])).status).toBe(200);
    expect(await values("t/a")).toEqual(["x"]);
  });

  it("of a producer take effect once (I8)", async () => {
    await ask("PUT", "/v1/streams/t/once", { contentType: "text/plain" });
    const operation = { append: "t/once", records: ["x"], producer: { id: "p", epoch: 0, sequence: 0 } };
    expect((await transact([operation])).body.results).toMatchObject([{ offset: 0, next: 1 }]);
    expect((await transact([operation])).body.results).toMatchObject([{ offset: 0, next: 1, duplicate: true }]);
    expect(await values("t/once")).toEqual(["x"]);
  });

  it("that see the same cursor let one through", async () => {
    await ask("PUT", "/v1/streams/t/raced", { contentType: "text/plain" });
    const racers = Array.from({ length: 10 }, (_, racer) =>
      transact([
        { append: "t/raced", records: [String(racer)] },
        { cursor: "raced", value: String(racer), expected: null },
      ]),
    );
    const statuses = (await Promise.all(racers)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(await values("t/raced")).toEqual([(await ask("GET", "/v1/cursors/raced")).body]);
  });

  it.each<[string, string, unknown]>([
    ["nothing to do", "malformed-request", { operations: [] }],
    ["no operations", "malformed-request", {}],
    ["an array", "malformed-request", []],
    ["a key that is not known", "malformed-request", { operations: [{ delete: "x" }], when: 5 }],
    ["an operation that is not known", "malformed-request", { operations: [{ shout: "x" }] }],
    ["two operations in one", "malformed-request", { operations: [{ delete: "x", append: "y" }] }],
    ["a condition of nothing", "malformed-request", { operations: [{ delete: "x" }], conditions: [{ stream: "x" }] }],
    ["a name that is none", "malformed-name", { operations: [{ delete: "../x" }] }],
    [
      "a condition on a name that is none",
      "malformed-name",
      { operations: [{ delete: "x" }], conditions: [{ stream: "", exists: true }] },
    ],
    ["a create of a name that is none", "malformed-name", { operations: [{ create: "a//b" }] }],
    ["an append of nothing", "empty-body", { operations: [{ create: "t/n" }, { append: "t/n" }] }],
    ["an append to nothing", "stream-not-found", { operations: [{ append: "t/none", records: ["x"] }] }],
    [
      "a record with a slip",
      "malformed-request",
      { operations: [{ create: "t/n" }, { append: "t/n", records: [{ vlaue: 1 }] }] },
    ],
    ["a cursor that is a number", "malformed-request", { operations: [{ cursor: "c", value: 5 }] }],
    ["a cursor of bad base64", "malformed-request", { operations: [{ cursor: "c", value: { base64: "A" } }] }],
    ["a cursor without a name", "malformed-name", { operations: [{ cursor: "", value: "x" }] }],
    ["a cursor that is too large", "record-too-large", { operations: [{ cursor: "c", value: "x".repeat(1 << 20) }] }],
    ["half a surrogate pair", "malformed-name", { operations: [{ delete: "\ud800" }] }],
    [
      "a fork in a name that is none",
      "stream-not-found",
      { operations: [{ create: "t/n", fork: { source: "\ud800" } }] },
    ],
    ["far too many", "too-many", { operations: Array.from({ length: 70_000 }, () => ({ delete: "x" })) }],
    [
      "too much that is wrong to say where",
      "malformed-request",
      { operations: Array.from({ length: 100_000 }, () => 5) },
    ],
    ["too many", "too-many", { operations: Array.from({ length: 20_000 }, () => ({ delete: "x" })) }],
  ])("are refused with %s", async (_what, code, body) => {
    const state = (): unknown => [[...server.node.machine.streams()], server.node.machine.cursor("c")];
    const before = state();
    const answer = await ask("POST", "/v1/transactions", body);
    expectProblem(answer, code as "malformed-request");
    expect(state()).toEqual(before);
  });
});

describe("cursors", () => {
  it("are set, shown and deleted", async () => {
    const path = "/v1/cursors/a%2Fb%20%C3%A9/x";
    expectProblem(await ask("GET", path), "cursor-not-found");
    const bytes = { "content-type": "application/octet-stream" };
    const set = await ask("PUT", path, "one", bytes);
    expect(set.status).toBe(204);
    const shown = await ask("GET", path);
    expect(shown.body).toBe("one");
    expect(shown.headers.get("etag")).toBe(set.headers.get("etag"));
    expect(server.node.machine.cursor("a/b é/x")).toEqual(new TextEncoder().encode("one"));
    expect((await ask("DELETE", path)).status).toBe(204);
    expect((await ask("DELETE", path)).status).toBe(204);
    expectProblem(await ask("GET", path), "cursor-not-found");
  });

  it("may be empty, which is not the same as not being there", async () => {
    expect((await ask("PUT", "/v1/cursors/empty")).status).toBe(204);
    const shown = await ask("GET", "/v1/cursors/empty");
    expect([shown.status, shown.body]).toEqual([200, ""]);
  });

  it("change only where they are what was expected", async () => {
    const path = "/v1/cursors/guarded";
    expectProblem(await ask("PUT", path, "x", { "if-match": '"a.1"' }), "precondition-failed");
    expect((await ask("PUT", path, "1", { "if-none-match": "*" })).status).toBe(204);
    expectProblem(await ask("PUT", path, "2", { "if-none-match": "*" }), "precondition-failed");
    const tag = (await ask("GET", path)).headers.get("etag") ?? "";
    expect((await ask("PUT", path, "2", { "if-match": tag })).status).toBe(204);
    expectProblem(await ask("PUT", path, "3", { "if-match": tag }), "precondition-failed");
    expectProblem(await ask("DELETE", path, undefined, { "if-match": tag }), "precondition-failed");
    expect((await ask("GET", path)).body).toBe("2");
    expectProblem(await ask("PUT", path, "3", { "if-none-match": tag }), "malformed-header");
    expectProblem(await ask("PUT", path, "3", { "if-none-match": "*", "if-match": tag }), "malformed-header");
  });

  it("let one of many through that saw the same value", async () => {
    const path = "/v1/cursors/raced-by-tag";
    await ask("PUT", path, "start");
    const tag = (await ask("GET", path)).headers.get("etag") ?? "";
    const racers = Array.from({ length: 8 }, (_, racer) => ask("PUT", path, String(racer), { "if-match": tag }));
    const statuses = (await Promise.all(racers)).map(({ status }) => status).sort((a, b) => a - b);
    expect(statuses).toEqual([204, ...Array.from({ length: 7 }, () => 412)]);
  });
});
