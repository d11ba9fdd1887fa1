/**
 * Who may ask. With a token, everything needs it except health, the public signing keys, and what carries a token of
 * its own (the callbacks of one wake); preflights never carry one. Without, the server is protected by where it listens.
 */
import { hash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type CrossOriginPolicy, isForeign } from "./cross-origin.ts";
import { HttpError } from "./http-error.ts";

export type AccessConfig =
  | { readonly kind: "token"; readonly token: string }
  /** We listen on loopback only. */
  | { readonly kind: "loopback" }
  /** Whoever reaches us may do everything. */
  | { readonly kind: "insecure" };

const OPEN_PATHS = ["/livez", "/readyz", "/v1/stream/__ds/jwks.json"];
/** Their handlers check the token of the wake. */
const WAKE_PATH = /^\/v1\/stream\/__ds\/subscriptions\/[^/]+\/(callback|ack|release)$/;

/** Followed by the token, percent-encoded where a subprotocol cannot hold its characters. */
const BEARER_PROTOCOL = "bearer.";

export class Access {
  readonly #config: AccessConfig;
  readonly #tokenHash: Buffer | undefined;

  constructor(config: AccessConfig) {
    this.#config = config;
    this.#tokenHash = config.kind === "token" ? sha256(config.token) : undefined;
  }

  get crossOrigin(): CrossOriginPolicy {
    return this.#config.kind === "loopback" ? "loopback-only" : "any-origin";
  }

  /** Why the request may not be served, or undefined where it may. */
  refusal(request: IncomingMessage): HttpError | undefined {
    switch (this.#config.kind) {
      case "insecure":
        return undefined;
      case "loopback":
        if (!isForeign(request.headers) || request.method === "OPTIONS") return undefined;
        return new HttpError("forbidden-origin", "requests from, or by the name of, another site need a token");
      case "token":
        if (this.#shows(bearerOf(request)) || request.method === "OPTIONS" || isOpen(request.url ?? ""))
          return undefined;
        return unauthorized("the Authorization header must be Bearer and a valid token");
    }
  }

  #shows(token: string | undefined): boolean {
    // Digests have one length, so the comparison's time tells nothing of the token.
    return token !== undefined && this.#tokenHash !== undefined && timingSafeEqual(sha256(token), this.#tokenHash);
  }
}

export function bearerToken(authorization: string | undefined): string | undefined {
  if (authorization === undefined || !/^bearer /i.test(authorization)) return undefined;
  return authorization.slice("Bearer ".length).trim();
}

/** A page cannot set headers when it opens a WebSocket: its token is one of the subprotocols that it offers. */
function bearerOf({ headers }: IncomingMessage): string | undefined {
  const token = bearerToken(headers.authorization);
  if (token !== undefined || headers.upgrade === undefined) return token;
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((protocol) => protocol.trim());
  const encoded = offered.find((protocol) => protocol.startsWith(BEARER_PROTOCOL))?.slice(BEARER_PROTOCOL.length);
  try {
    return encoded === undefined ? undefined : decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

export function unauthorized(message: string): HttpError {
  return new HttpError("unauthorized", message, ["WWW-Authenticate", 'Bearer realm="tidemark"']);
}

function isOpen(url: string): boolean {
  const end = url.indexOf("?");
  const path = end < 0 ? url : url.slice(0, end);
  return OPEN_PATHS.includes(path) || WAKE_PATH.test(path);
}

function sha256(text: string): Buffer {
  return hash("sha256", text, "buffer");
}
