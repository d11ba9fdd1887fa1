/**
 * Listens while the log is being opened, so that probes see a live server that is not ready yet, and how far it is.
 * Everything else is told to come back. Makes room for the real server on the same port.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ERRORS } from "../src/wire/errors.ts";
import { PROBLEM_CONTENT_TYPE, problemOf } from "../src/wire/problem.ts";
import type { HostPort } from "./config/values.ts";
import type { Health } from "./observe/health.ts";

const RETRY_AFTER_SECONDS = "1";
const CONNECTIONS_MAX = 256;
const REQUEST_TIMEOUT_MS = 5_000;

const DETAILS = {
  "unavailable": "the server is opening its log",
  "node-removed": "this node was removed from the cluster: ask another",
} as const;

export class StartupServer {
  readonly #server: Server;
  readonly address: HostPort;

  private constructor(server: Server, address: HostPort) {
    this.#server = server;
    this.address = address;
  }

  /** Rejects with the system's error where it cannot listen. */
  static listen(at: HostPort, health: Health): Promise<StartupServer> {
    const options = { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS };
    const server = createServer(options, (request, response) => answer(health, request, response));
    server.maxConnections = CONNECTIONS_MAX;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: at.host, port: at.port }, () => {
        server.off("error", reject);
        const { port } = server.address() as AddressInfo;
        resolve(new StartupServer(server, { host: at.host, port }));
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

function answer(health: Health, request: IncomingMessage, response: ServerResponse): void {
  // The answer does not depend on a body, and the connection is not kept.
  request.resume();
  const found = health.answer(request.url ?? "");
  if (found === undefined) {
    const code = health.removed ? "node-removed" : "unavailable";
    response.writeHead(ERRORS[code].status, {
      "content-type": PROBLEM_CONTENT_TYPE,
      "retry-after": RETRY_AFTER_SECONDS,
      "connection": "close",
    });
    response.end(JSON.stringify(problemOf(code, DETAILS[code])));
    return;
  }
  response.writeHead(found.status, {
    "content-type": "application/json",
    "cache-control": "no-store",
    "connection": "close",
  });
  response.end(found.body);
}
