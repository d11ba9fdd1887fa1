/** `/openapi.json` is OpenAPI 3.1, tells of every route, and answers are what it says they are. */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { createHttpServer } from "../../log-server/http/server.ts";
import { temporarySecrets } from "../../log-server/http/subscriptions/secrets.ts";
import { NO_HTTP_OBSERVER } from "../../log-server/http/observer.ts";
import { WS_PATH, wsRoute } from "../../log-server/ws/route.ts";
import { Watch } from "../../log-server/watch.ts";
import { formatOffset } from "../../src/record/offset.ts";
import { ask } from "./native.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

type Operation = {
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[];
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
};
type Content = Readonly<Record<string, { readonly schema?: TSchema }>>;
type Document = {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
};

const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

let server: TestServer;
let document: Document;
/** Every route there is with all plugins, as `method path`. */
const routes = new Set<string>();

beforeAll(async () => {
  server = await startTestServer();
  const { node } = server;
  const watch = new Watch({ event: () => undefined, flush: () => undefined } as never, false);
  const whole = createHttpServer({
    node,
    access: { kind: "loopback" },
    subscriptions: { secrets: temporarySecrets(), policy: { allowLoopback: true } },
    plugins: [watch.routes],
    upgrade: {
      path: WS_PATH,
      plugin: (requests) => wsRoute({ node, requests, observer: NO_HTTP_OBSERVER, zstd: undefined }),
    },
  });
  whole.addHook("onRoute", ({ method, url }) => {
    for (const each of [method].flat()) routes.add(`${each.toLowerCase()} ${url}`);
  });
  await whole.ready();
  document = (await whole.inject({ url: "/openapi.json" })).json();
  await whole.close();
  watch.metrics.stop();
});

afterAll(() => server.close());

function operations(): (readonly [string, Operation])[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => [`${method} ${path}`, operation] as const),
  );
}

describe("the document", () => {
  it("has the form of OpenAPI 3.1", () => {
    expect(document.openapi).toBe("3.1.0");
    expect(document.info).toMatchObject({ title: "Tidemark", version: expect.any(String) });
    const tags = document.tags.map(({ name }) => name);
    expect(operations().length).toBeGreaterThan(30);
    for (const [what, operation] of operations()) {
      const [method = "", path = ""] = what.split(" ");
      expect(METHODS, what).toContain(method);
      expect(path, what).toMatch(/^\/[^*:?#]*$/);
      expect(operation.summary, what).toMatch(/\w/);
      expect(
        operation.tags?.every((tag) => tags.includes(tag)),
        what,
      ).toBe(true);
      expect(operation.tags, what).toHaveLength(1);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
      const told = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
      expect(told.map(({ name }) => name).sort(), what).toEqual(inPath.sort());
      expect(
        told.every(({ required }) => required === true),
        what,
      ).toBe(true);
      const answers = Object.entries(operation.responses);
      expect(answers.length, what).toBeGreaterThan(0);
      for (const [status, answer] of answers) {
        expect(status, what).toMatch(/^(?:[1-5]\d\d|[1-5]XX|default)$/);
        expect(answer.description, what).toMatch(/\w/);
      }
    }
    // Everything it refers to is in it.
    for (const [, reference] of JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)) {
      const found = (reference as string)
        .replace(/^#\//, "")
        .split("/")
        .reduce<unknown>((part, key) => (part as Record<string, unknown> | undefined)?.[key], document);
      expect(found, reference).toBeDefined();
    }
  });

  it("tells of every route, and of no other", () => {
    const known = new Set(operations().map(([what]) => what.replace(/\{\w+\}/g, "{}")));
    const served = new Set(
      [...routes]
        .map((route) => route.replace(/:\w+/g, "{}").replace(/\*$/, "{}"))
        // Preflights, and what is there only to be refused.
        .filter((route) => !route.startsWith("options ") && !route.endsWith(" /v1/stream/__ds/{}")),
    );
    expect(served.size).toBeGreaterThan(30);
    expect([...served].filter((route) => !known.has(route))).toEqual([]);
    expect([...known].filter((route) => !served.has(route))).toEqual([]);
  });

  it("is served", async () => {
    const answer = await ask(server.url, "GET", "/openapi.json");
    expect(answer.status).toBe(200);
    expect(answer.body.paths).toHaveProperty("/v1/records/{stream}");
    expect((await ask(server.url, "POST", "/openapi.json")).status).toBe(405);
  });
});

describe("answers are what it says", () => {
  it.each<[string, string, string, number, unknown?]>([
    ["PUT", "/v1/streams/{stream}", "/v1/streams/o/a", 201, { contentType: "application/json", ttlSeconds: 60 }],
    ["PUT", "/v1/streams/{stream}", "/v1/streams/o/a", 200, { contentType: "application/json", ttlSeconds: 60 }],
    ["PUT", "/v1/streams/{stream}", "/v1/streams/o/b", 201, { fork: { source: "o/a" } }],
    ["POST", "/v1/records/{stream}", "/v1/records/o/a", 200, [{ value: 1, key: "k", headers: { h: "v" } }, null]],
    ["GET", "/v1/records/{stream}", "/v1/records/o/a", 200],
    ["GET", "/v1/records/{stream}", "/v1/records/o/none", 404],
    ["GET", "/v1/records/{stream}", "/v1/records/o/a?limit=x", 400],
    ["GET", "/v1/streams", "/v1/streams?limit=1", 200],
    ["GET", "/v1/streams/{stream}", "/v1/streams/o/b", 200],
    ["PATCH", "/v1/streams/{stream}", "/v1/streams/o/a", 200, { retention: { compaction: { tombstoneMs: 5 } } }],
    ["POST", "/v1/trim/{stream}", "/v1/trim/o/a", 200, { before: 0 }],
    [
      "POST",
      "/v1/transactions",
      "/v1/transactions",
      200,
      { operations: [{ append: "o/a", records: [1] }, { delete: "o/b" }] },
    ],
    ["POST", "/v1/transactions", "/v1/transactions", 400, {}],
    ["GET", "/v1/cursors/{name}", "/v1/cursors/none", 404],
    ["PUT", "/v1/groups/{id}", "/v1/groups/q", 201, { mode: "queue", streams: ["o/a"], deadLetter: "o/d" }],
    ["PUT", "/v1/groups/{id}", "/v1/groups/p", 201, { mode: "partitions", pattern: "o/*" }],
    ["POST", "/v1/groups/{id}/join", "/v1/groups/p/join", 200, { member: "m" }],
    ["POST", "/v1/groups/{id}/take", "/v1/groups/q/take", 200, { count: 3 }],
    ["POST", "/v1/groups/{id}/take", "/v1/groups/none/take", 404, {}],
    ["GET", "/v1/groups", "/v1/groups?limit=1", 200],
    ["GET", "/v1/groups/{id}", "/v1/groups/p", 200],
    ["GET", "/v1/groups/{id}", "/v1/groups/q", 200],
    ["POST", "/v1/groups/{id}/reset", "/v1/groups/q/reset", 200, { to: "end", dryRun: true }],
    ["PUT", "/v1/apps/{app}", "/v1/apps/x", 201, { version: 1, tasks: [{ task: "0.0", inputs: ["o/a"] }] }],
    ["PUT", "/v1/apps/{app}", "/v1/apps/x", 200, { version: 1, tasks: [{ task: "0.0", inputs: ["o/a"] }] }],
    ["PUT", "/v1/apps/{app}", "/v1/apps/x", 400, { version: 0, tasks: [] }],
    ["GET", "/v1/apps", "/v1/apps?limit=1", 200],
    ["GET", "/v1/apps/{app}", "/v1/apps/x", 200],
    ["GET", "/v1/apps/{app}", "/v1/apps/none", 404],
    ["POST", "/v1/apps/{app}/pause", "/v1/apps/x/pause", 204],
    ["POST", "/v1/apps/{app}/resume", "/v1/apps/x/resume", 204],
    ["POST", "/v1/apps/{app}/reset", "/v1/apps/x/reset", 200, { dryRun: true }],
    ["DELETE", "/v1/apps/{app}", "/v1/apps/x", 204],
    ["POST", "/v1/verify", "/v1/verify", 202],
    ["GET", "/v1/verify", "/v1/verify", 200],
    ["GET", "/v1/cluster", "/v1/cluster", 200],
    ["POST", "/v1/cluster/members", "/v1/cluster/members", 409, { node: "n2", host: "h", port: 1 }],
    ["POST", "/v1/cluster/members", "/v1/cluster/members", 400, { node: "n2" }],
    ["DELETE", "/v1/cluster/members/{node}", "/v1/cluster/members/n2", 409],
    ["POST", "/v1/cluster/members/{node}/replace", "/v1/cluster/members/n2/replace", 409, {}],
    ["POST", "/v1/cluster/members/{node}/drain", "/v1/cluster/members/n1/drain", 409],
    ["POST", "/v1/cluster/upgrade", "/v1/cluster/upgrade", 204],
    ["POST", "/v1/cluster/transfer", "/v1/cluster/transfer", 409, {}],
    ["PUT", "/v1/cursors/{name}", "/v1/cursors/c", 204, "7"],
    ["GET", "/v1/cursors/{name}", "/v1/cursors/c", 200],
    ["DELETE", "/v1/cursors/{name}", "/v1/cursors/c", 204],
    ["PUT", "/v1/groups/{id}", "/v1/groups/p", 200, { mode: "partitions", pattern: "o/*" }],
    ["PUT", "/v1/groups/{id}", "/v1/groups/p", 409, { mode: "partitions", pattern: "p/*" }],
    ["GET", "/v1/streams/{stream}", "/v1/streams/o/b", 404],
    ["PATCH", "/v1/streams/{stream}", "/v1/streams/o/none", 404, { retention: {} }],
    ["POST", "/v1/trim/{stream}", "/v1/trim/o/a", 400, { before: 99 }],
  ])("%s %s, as %s: %i", async (method, path, url, status, body) => {
    await expectAsTold(method, path, url, status, body);
  });

  it("about records in every form", async () => {
    const path = "/v1/records/{stream}";
    await expectAsTold("PUT", "/v1/streams/{stream}", "/v1/streams/o/forms", 201, { contentType: "text/plain" });
    const full = { value: "v", key: { base64: "AP8=" }, headers: [["h", { base64: "AP8=" }]], timestamp: -1 };
    await expectAsTold("POST", path, "/v1/records/o/forms", 200, [full, { base64: "AP8=" }, null]);
    await expectAsTold("POST", path, "/v1/records/o/forms?producer=p&epoch=0&sequence=0", 200, ["once"]);
    await expectAsTold("POST", path, "/v1/records/o/forms?producer=p&epoch=0&sequence=0", 200, ["once"]);
    await expectAsTold("POST", path, "/v1/records/o/forms?close=true", 200);
    await expectAsTold("GET", path, "/v1/records/o/forms", 200);
    await expectAsTold("GET", path, "/v1/records/o/forms", 200, undefined, { accept: "application/x-ndjson" });
    await expectAsTold("GET", path, "/v1/records/o/forms", 200, undefined, { accept: "application/x-tidemark-batch" });
    await expectAsTold("GET", path, "/v1/records/o/forms", 200, undefined, { accept: "text/event-stream" });
    const next = server.node.machine.stream("o/forms");
    const end = formatOffset(next?.incarnation ?? 0, next?.nextOffset ?? 0);
    const back = { "accept": "text/event-stream", "last-event-id": end };
    await expectAsTold("GET", path, "/v1/records/o/forms", 204, undefined, back);
  });

  it("to members of groups, and to takers", async () => {
    const url = "/v1/groups/p2";
    await expectAsTold("PUT", "/v1/groups/{id}", url, 201, { mode: "partitions", streams: ["o/a"] });
    const joined = await expectAsTold("POST", "/v1/groups/{id}/join", `${url}/join`, 200, { member: "m" });
    const { session, assignments } = joined as {
      readonly session: number;
      readonly assignments: readonly { readonly stream: string; readonly generation: number }[];
    };
    const owned = { stream: assignments[0]?.stream, generation: assignments[0]?.generation };
    const member = { member: "m", session };
    await expectAsTold("POST", "/v1/groups/{id}/heartbeat", `${url}/heartbeat`, 200, member);
    const acks = [
      { ...owned, offset: 1 },
      { ...owned, generation: 0, offset: 2 },
    ];
    await expectAsTold("POST", "/v1/groups/{id}/ack", `${url}/ack`, 200, { ...member, acks });
    await expectAsTold("POST", "/v1/groups/{id}/leave", `${url}/leave`, 204, member);
    await expectAsTold("POST", "/v1/groups/{id}/leave", `${url}/leave`, 409, member);
    await expectAsTold("DELETE", "/v1/groups/{id}", url, 204);
    await expectAsTold("PUT", "/v1/groups/{id}", "/v1/groups/q2", 201, { mode: "queue", streams: ["o/forms"] });
    const taken = await expectAsTold("POST", "/v1/groups/{id}/take", "/v1/groups/q2/take", 200, { count: 4 });
    const { generation } = taken as { readonly generation: number };
    await expectAsTold("GET", "/v1/groups/{id}", "/v1/groups/q2", 200);
    const settlements = [
      { stream: "o/forms", offset: 0, generation, outcome: "ack" },
      { stream: "o/forms", offset: 1, generation, outcome: "nack", reason: "no" },
      { stream: "o/forms", offset: 2, generation, outcome: "extend", leaseMs: 60_000 },
      { stream: "o/forms", offset: 3, generation: 0, outcome: "release" },
    ];
    await expectAsTold("POST", "/v1/groups/{id}/settle", "/v1/groups/q2/settle", 200, { settlements });
    await expectAsTold("POST", "/v1/groups/{id}/take", "/v1/groups/q2/take", 200, { records: false });
    const reset = { positions: [{ stream: "o/forms", offset: 0 }], force: true };
    await expectAsTold("POST", "/v1/groups/{id}/reset", "/v1/groups/q2/reset", 409, { ...reset, force: false });
    await expectAsTold("POST", "/v1/groups/{id}/reset", "/v1/groups/q2/reset", 200, reset);
  });

  it("where a stream is deleted", async () => {
    await expectAsTold("DELETE", "/v1/streams/{stream}", "/v1/streams/o/forms", 204);
  });

  it("of a node that is not alone, for all that its face can tell", async () => {
    vi.spyOn(server.node, "changeCluster").mockResolvedValue();
    await expectAsTold("POST", "/v1/cluster/members", "/v1/cluster/members", 204, { node: "n2", host: "h", port: 1 });
    await expectAsTold("DELETE", "/v1/cluster/members/{node}", "/v1/cluster/members/n2", 204);
    await expectAsTold("POST", "/v1/cluster/members/{node}/replace", "/v1/cluster/members/n2/replace", 204, {});
    await expectAsTold("POST", "/v1/cluster/members/{node}/drain", "/v1/cluster/members/n2/drain", 204);
    await expectAsTold("DELETE", "/v1/cluster/members/{node}/drain", "/v1/cluster/members/n2/drain", 204);
    await expectAsTold("POST", "/v1/cluster/upgrade", "/v1/cluster/upgrade", 204);
    await expectAsTold("POST", "/v1/cluster/transfer", "/v1/cluster/transfer", 204, { to: "n2" });
  });

  it("and none that is told in full was left out", () => {
    const told = operations().flatMap(([what, { responses }]) =>
      "4XX" in responses
        ? Object.entries(responses).flatMap(([status, { content }]) =>
            status.endsWith("XX") ? [] : Object.keys(content ?? { "": {} }).map((type) => `${what} ${status} ${type}`),
          )
        : [],
    );
    expect(told.length).toBeGreaterThan(25);
    expect(told.filter((each) => !asked.has(each))).toEqual([]);
  });
});

/** What was asked, as `method path status type`. */
const asked = new Set<string>();

/** The answer's body, which is as the document has it. */
async function expectAsTold(
  method: string,
  path: string,
  url: string,
  status: number,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<unknown> {
  const answer = await ask(server.url, method, url, body, headers);
  expect({ status: answer.status, body: answer.body }).toEqual({ status, body: answer.body });
  const responses = document.paths[path]?.[method.toLowerCase()]?.responses ?? {};
  const told = responses[String(status)] ?? responses[`${String(status)[0]}XX`];
  expect(told).toBeDefined();
  const type = answer.headers.get("content-type") ?? "";
  asked.add(`${method.toLowerCase()} ${path} ${status} ${type}`);
  if (status === 204) {
    expect([told?.content, type, answer.body]).toEqual([undefined, "", ""]);
    return undefined;
  }
  const schema = told?.content?.[type]?.schema;
  expect(schema, type).toBeDefined();
  const check = Compile(strict(schema) as TSchema);
  if (type === "application/x-ndjson") {
    const lines = (answer.body as string).trim().split("\n");
    for (const line of lines) expect(check.Errors(JSON.parse(line))).toEqual([]);
  } else {
    expect(check.Errors(answer.body)).toEqual([]);
  }
  return answer.body;
}

/** Nothing may be in an answer that its schema does not tell, except in problems. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== "object" || schema === null) return schema;
  const parts = Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, strict(part)]));
  return parts["type"] === "object" ? { additionalProperties: false, ...parts } : parts;
}
