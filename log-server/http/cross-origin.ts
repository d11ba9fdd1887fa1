/**
 * What browsers of other origins may do. Where a token is needed, or everyone was let in on purpose, any origin may
 * ask: nothing is granted by where a page comes from. A server that is protected only by listening on loopback must not
 * be reachable through a page from elsewhere in a browser on this machine: only pages from loopback may read from it,
 * and requests that carry a foreign origin, or came to us by a foreign name (DNS rebinding), are refused.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { FlatHeaders } from "./http-error.ts";

export type CrossOriginPolicy = "any-origin" | "loopback-only";

const METHODS = "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS";
const REQUEST_HEADERS = [
  "Authorization",
  "Content-Type",
  "If-Match",
  "If-None-Match",
  "Last-Event-ID",
  "Stream-Seq",
  "Stream-TTL",
  "Stream-Expires-At",
  "Stream-Closed",
  "Stream-Forked-From",
  "Stream-Fork-Offset",
  "Stream-Fork-Sub-Offset",
  "Producer-Id",
  "Producer-Epoch",
  "Producer-Seq",
  "Tidemark-Consistency",
  "Tidemark-Session",
].join(", ");
const RESPONSE_HEADERS = [
  "ETag",
  "Location",
  "Retry-After",
  "Stream-First-Offset",
  "Stream-Next-Offset",
  "Stream-Cursor",
  "Stream-Up-To-Date",
  "Stream-Closed",
  "Stream-TTL",
  "Stream-Expires-At",
  "Stream-SSE-Data-Encoding",
  "Producer-Epoch",
  "Producer-Seq",
  "Producer-Expected-Seq",
  "Producer-Received-Seq",
  "Tidemark-Behind",
  "Tidemark-Session",
].join(", ");
const PREFLIGHT_SECONDS = "600";

/** Adds what lets a permitted page read the answer. */
export function pushCrossOrigin(to: FlatHeaders, policy: CrossOriginPolicy, origin: string | undefined): void {
  if (policy === "any-origin") {
    to.push("Access-Control-Allow-Origin", "*", "Access-Control-Expose-Headers", RESPONSE_HEADERS);
    return;
  }
  to.push("Vary", "Origin");
  if (origin === undefined || !isLoopbackOrigin(origin)) return;
  to.push("Access-Control-Allow-Origin", origin, "Access-Control-Expose-Headers", RESPONSE_HEADERS);
}

/** The answer to a preflight; a page that is not permitted finds no allowed origin in it. */
export function pushPreflight(to: FlatHeaders): void {
  to.push("Access-Control-Allow-Methods", METHODS, "Access-Control-Allow-Headers", REQUEST_HEADERS);
  to.push("Access-Control-Max-Age", PREFLIGHT_SECONDS);
}

/** Whether a request to a loopback-only server was sent by, or through, a page from elsewhere. */
export function isForeign(headers: IncomingHttpHeaders): boolean {
  const { origin, host } = headers;
  if (origin !== undefined && !isLoopbackOrigin(origin)) return true;
  return host !== undefined && !isLoopbackHost(host);
}

/** `localhost`, `127.0.0.0/8` or `[::1]`, with or without a port. */
export function isLoopbackHost(host: string): boolean {
  return /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?$/i.test(host);
}

function isLoopbackOrigin(origin: string): boolean {
  const match = /^https?:\/\/(.+)$/i.exec(origin);
  return match !== null && isLoopbackHost(match[1] as string);
}
