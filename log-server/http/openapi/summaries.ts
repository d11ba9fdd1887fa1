/** A line for each route that has no schema: protocols with documents of their own, and plugins. */
import type { FastifySchema, HTTPMethods } from "fastify";

type Summary = { readonly tags: readonly string[]; readonly summary: string };

const STREAM = "/v1/stream/*";
const SUBSCRIPTION = "/v1/stream/__ds/subscriptions/:id";

/** By method and path, as registered. */
const SUMMARIES: Readonly<Record<string, Summary>> = {
  ...durableStreams({
    [`PUT ${STREAM}`]: "Create a stream, or confirm that it is there; perhaps as a fork",
    [`POST ${STREAM}`]: "Append, close, or both",
    [`GET ${STREAM}`]: "Read from an offset; long-poll or follow as server-sent events",
    [`HEAD ${STREAM}`]: "What a stream is and where it ends",
    [`DELETE ${STREAM}`]: "Delete a stream",
    [`PUT ${SUBSCRIPTION}`]: "Create a subscription",
    [`GET ${SUBSCRIPTION}`]: "Show a subscription",
    [`DELETE ${SUBSCRIPTION}`]: "Delete a subscription",
    [`POST ${SUBSCRIPTION}/streams`]: "Add streams to a subscription",
    [`DELETE ${SUBSCRIPTION}/streams/*`]: "Take a stream out of a subscription",
    [`POST ${SUBSCRIPTION}/callback`]: "What a webhook reports of its wake",
    [`POST ${SUBSCRIPTION}/claim`]: "Claim a wake",
    [`POST ${SUBSCRIPTION}/ack`]: "Acknowledge what a wake has processed",
    [`POST ${SUBSCRIPTION}/release`]: "Give a wake back",
    "GET /v1/stream/__ds/jwks.json": "The public keys that webhooks are signed with",
  }),
  "POST /v1/frames": { tags: ["frames"], summary: "Requests in binary frames, answered in order" },
  "GET /v1/ws": { tags: ["frames"], summary: "Frames and JSON messages over WebSocket" },
  "GET /livez": { tags: ["operations"], summary: "Whether the process should be left running" },
  "GET /readyz": { tags: ["operations"], summary: "Whether requests should be sent here" },
  "GET /metrics": { tags: ["operations"], summary: "Metrics, in the text format of Prometheus" },
  "GET /openapi.json": { tags: ["operations"], summary: "This document" },
};

function durableStreams(summaries: Readonly<Record<string, string>>): Readonly<Record<string, Summary>> {
  return Object.fromEntries(
    Object.entries(summaries).map(([route, summary]) => [route, { tags: ["durable-streams"], summary }]),
  );
}

/** Routes that are there only to be refused or for preflights are not told. */
export function summaryOf(url: string, method: HTTPMethods | HTTPMethods[]): FastifySchema {
  const known = SUMMARIES[`${String(method)} ${url}`];
  if (known === undefined) return { hide: true };
  return { ...known, response: { default: { description: "as its own specification says" } } };
}
