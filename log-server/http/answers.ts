/**
 * Writes answers. Straight to Node's response with flat headers: an append's answer is a handful of short headers, and
 * everything between it and the socket costs. Each carries the session token and what keeps browsers from guessing.
 */
import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import { ERRORS, type ErrorCode } from "../../src/wire/errors.ts";
import { PROBLEM_CONTENT_TYPE, problemOf } from "../../src/wire/problem.ts";
import type { LogNode } from "../node/log-node.ts";
import { type CrossOriginPolicy, pushCrossOrigin, pushPreflight } from "./cross-origin.ts";
import type { FlatHeaders } from "./http-error.ts";

export const CONSISTENCY_HEADER = "tidemark-consistency";

/** Seconds; whatever is short of room now has some again soon. */
const RETRY_AFTER = "1";

export class Answers {
  readonly #node: LogNode;
  readonly #crossOrigin: CrossOriginPolicy;
  readonly #sessionPrefix: string;

  constructor(node: LogNode, crossOrigin: CrossOriginPolicy) {
    this.#node = node;
    this.#crossOrigin = crossOrigin;
    this.#sessionPrefix = `${node.clusterId}.${node.logId}.`;
  }

  /** `cluster.log.position`: what was answered is as of here, and a request that shows it is never answered from before. */
  get session(): string {
    return this.#sessionPrefix + this.#node.position;
  }

  /** An answer without a body. */
  empty(reply: FastifyReply, status: number, headers: FlatHeaders): void {
    const raw = this.#begin(reply, status, headers);
    raw.end();
  }

  /** `onSent`: the system has taken all of the body. Not called where the connection broke before that. */
  bytes(reply: FastifyReply, status: number, headers: FlatHeaders, body: Uint8Array, onSent?: () => void): void {
    headers.push("Content-Length", String(body.length));
    const raw = this.#begin(reply, status, headers);
    if (onSent !== undefined) raw.once("finish", onSent);
    raw.end(body);
  }

  json(reply: FastifyReply, status: number, headers: FlatHeaders, body: unknown): void {
    headers.push("Content-Type", "application/json", "Cache-Control", "no-store");
    this.bytes(reply, status, headers, Buffer.from(JSON.stringify(body)));
  }

  /** Begins an answer whose body follows in pieces. */
  stream(reply: FastifyReply, status: number, headers: FlatHeaders): ServerResponse {
    const raw = this.#begin(reply, status, headers);
    raw.flushHeaders();
    return raw;
  }

  problem(
    reply: FastifyReply,
    code: ErrorCode,
    detail: string,
    headers: FlatHeaders = [],
    members: Readonly<Record<string, unknown>> = {},
  ): void {
    const { status, retryable } = ERRORS[code];
    const all = ["Content-Type", PROBLEM_CONTENT_TYPE, "Cache-Control", "no-store", ...headers];
    if (retryable && status !== 408) all.push("Retry-After", RETRY_AFTER);
    this.bytes(reply, status, all, Buffer.from(JSON.stringify({ ...problemOf(code, detail), ...members })));
  }

  preflight(reply: FastifyReply): void {
    const headers: FlatHeaders = [];
    pushPreflight(headers);
    this.empty(reply, 204, headers);
  }

  #begin(reply: FastifyReply, status: number, headers: FlatHeaders): ServerResponse {
    const { raw } = reply;
    headers.push("Tidemark-Session", this.session, "X-Content-Type-Options", "nosniff");
    headers.push("Cross-Origin-Resource-Policy", this.#crossOrigin === "any-origin" ? "cross-origin" : "same-site");
    const { origin } = reply.request.raw.headers;
    const { method, headers: asked } = reply.request.raw;
    if (asked[CONSISTENCY_HEADER] === "eventual") headers.push("Tidemark-Behind", behindText(this.#node));
    // Shared caches may answer a page with what another client fetched, so reads always say who may see them.
    if (origin !== undefined || method === "GET" || method === "HEAD")
      pushCrossOrigin(headers, this.#crossOrigin, origin);
    raw.writeHead(status, headers);
    reply.hijack();
    return raw;
  }
}

/** Entries known to be committed and not applied here, and since when nothing was heard of a leader (W162). */
function behindText(node: LogNode): string {
  const { entries, silentMs } = node.behind();
  return silentMs === undefined ? `entries=${entries}` : `entries=${entries}, silent-ms=${silentMs}`;
}
