/**
 * `/openapi.json`: what there is, for programs that generate clients and for people who look around. It is made of the
 * routes themselves as they are registered: those with schemas are told in full, the others by a line each from
 * `summaries.ts`. Plugins that come after this one are told, too.
 */
import swagger from "@fastify/swagger";
import type { FastifyInstance, FastifySchema, HTTPMethods } from "fastify";
import type { HttpContext } from "../context.ts";
import { summaryOf } from "./summaries.ts";

export const OPENAPI_PATH = "/openapi.json";

const INFO = {
  title: "Tidemark",
  description:
    "A shared log: durable ordered streams. Errors are problem documents (RFC 9457) with `code` and `retryable`. " +
    "Every answer carries `Tidemark-Session`; a read that shows one is never answered from before it. What damage to a " +
    "node's disk hides is refused: `repairing` (503, with `Retry-After`) while other nodes may give it back, else `damaged` (500).",
  version: "1",
} as const;

const TAGS = [
  { name: "records", description: "records with keys, headers and timestamps" },
  { name: "streams", description: "what streams there are, their settings, what they may forget" },
  { name: "transactions", description: "several changes at one position, all or none" },
  { name: "groups", description: "consumers that share a stream's records" },
  { name: "apps", description: "topologies of operators that run under a name, and their tasks" },
  { name: "cursors", description: "small durable values under a name" },
  { name: "durable-streams", description: "the open Durable Streams protocol" },
  { name: "frames", description: "the binary protocol, over HTTP and WebSocket" },
  { name: "cluster", description: "the nodes that share the log" },
  { name: "operations", description: "health, metrics, this document" },
];

/** Told of every route that is registered behind it. */
export function registerOpenApi(server: FastifyInstance): void {
  server.register(swagger, {
    exposeHeadRoutes: true,
    openapi: {
      openapi: "3.1.0",
      info: INFO,
      tags: TAGS,
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }, {}],
    },
    transform: ({ schema, url, route }) => ({
      url: pathOf(url),
      schema: schemaOf(schema, url, route.method),
    }),
  });
}

export function openApiRoute(server: FastifyInstance, context: HttpContext): void {
  let document: Uint8Array | undefined;
  server.get(OPENAPI_PATH, (_request, reply) => {
    // Routes do not change once the server is ready.
    document ??= Buffer.from(JSON.stringify(server.swagger()));
    context.answers.bytes(reply, 200, ["Content-Type", "application/json", "Cache-Control", "no-cache"], document);
  });
}

/** A path ends in a name: one parameter, though a stream's has slashes. */
function pathOf(url: string): string {
  return url.replace(/\*$/, nameOf(url) === "name" ? "{name}" : "{stream}");
}

function nameOf(url: string): "name" | "stream" {
  return url.startsWith("/v1/cursors/") ? "name" : "stream";
}

const NAMES = {
  stream: "its segments joined by `/`, each percent-encoded once; no `%2F`",
  name: "percent-encoded",
} as const;

function schemaOf(schema: FastifySchema | undefined, url: string, method: HTTPMethods | HTTPMethods[]): FastifySchema {
  const known = schema ?? summaryOf(url, method);
  const last = url.endsWith("*") ? [nameOf(url)] : [];
  const names = [...url.matchAll(/:(\w+)/g)].map(([, name]) => name as string).concat(last);
  if (names.length === 0) return known;
  const properties = Object.fromEntries(
    names.map((name) => [name, { type: "string", ...(last[0] === name && { description: NAMES[last[0]] }) }]),
  );
  return { ...known, params: { type: "object", properties, required: names } };
}
