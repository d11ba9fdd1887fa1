/** `/openapi.json` is OpenAPI 3.1, tells of every route, and answers are what it says they are. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { createHttpServer } from "../../log-server/http/server.ts";
import { temporarySecrets } from "../../log-server/http/subscriptions/secrets.ts";
import { NO_HTTP_OBSERVER } from "../../log-server/http/observer.ts";
import { WS_PATH, wsRoute } from "../../log-server/ws/route.ts";
import { Watch } from "../../log-server/watch.ts";
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
  ])("%s %s, as %s: %i", async (method, path, url, status, body) => {
    const answer = await ask(server.url, method, url, body);
    expect(answer.status).toBe(status);
    const operation = document.paths[path]?.[method.toLowerCase()];
    const responses = operation?.responses ?? {};
    const told = responses[String(status)] ?? responses[`${String(status)[0]}XX`];
    const type = answer.headers.get("content-type") ?? "";
    const schema = told?.content?.[type]?.schema;
    expect(schema, type).toBeDefined();
    const check = Compile(strict(schema) as TSchema);
    expect(check.Errors(answer.body)).toEqual([]);
  });
});

/** Nothing may be in an answer that its schema does not tell, except in problems. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== "object" || schema === null) return schema;
  const parts = Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, strict(part)]));
  return parts["type"] === "object" ? { additionalProperties: false, ...parts } : parts;
}
