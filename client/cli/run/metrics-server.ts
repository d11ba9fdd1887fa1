/** `GET /metrics` of `tidemark run`, for Prometheus, and nothing else. What it tells are numbers and names: it asks nobody for a token. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { formatHostPort, type HostPort } from "../../../log-server/config/values.ts";
import type { MetricSet } from "../../../log-server/observe/metric-set.ts";
import { TidemarkError } from "../../error.ts";

export class MetricsServer {
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  /** Resolves when it serves; rejects where it cannot. */
  static async listen({ host, port }: HostPort, metrics: MetricSet): Promise<MetricsServer> {
    const server = createServer((request, response) => {
      const isAsked = request.method === "GET" && request.url?.split("?")[0] === "/metrics";
      if (!isAsked) {
        response.writeHead(404, { "content-type": "text/plain" }).end("only GET /metrics is here\n");
        return;
      }
      metrics.text().then(
        (text) => response.writeHead(200, { "content-type": metrics.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", ({ message }) => {
        reject(
          new TidemarkError(
            "invalid-argument",
            `metrics cannot be served at ${formatHostPort({ host, port })}: ${message}`,
          ),
        );
      });
      server.listen(port, host, resolve);
    });
    const place = { host, port: (server.address() as AddressInfo).port };
    return new MetricsServer(server, `http://${formatHostPort(place)}/metrics`);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}
