/**
 * How many single-record appends over HTTP a second, each answered only once it is synced, beside a route of the same
 * framework that does nothing and one that only writes and syncs. Rounds alternate between them, so that a busy
 * machine is unfair to all.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { type RunningServer, runLoad, startServer } from "./child.ts";
import type { LoadResult } from "./http-load.ts";
import { type Measured, summarize } from "./summary.ts";

export type AppendHttpOptions = {
  readonly connections: number;
  readonly bodyBytes: number;
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
};

export const APPEND_HTTP_DEFAULTS: AppendHttpOptions = {
  connections: 64,
  bodyBytes: 100,
  rounds: 3,
  warmUpMs: 1_000,
  measureMs: 3_000,
};

const STREAM = "/v1/stream/bench";
const CONTENT_TYPE = "application/octet-stream";

export async function appendHttp(options: AppendHttpOptions): Promise<readonly Measured[]> {
  // Beside the project, not in /tmp: that may be memory, where a sync costs nothing.
  const folder = await mkdtemp(join(import.meta.dirname, "..", ".tidemark-bench-"));
  const servers: { name: string; server: RunningServer; results: LoadResult[] }[] = [];
  try {
    servers.push({ name: "bare fastify route", server: await startServer("bench/bare-route.ts"), results: [] });
    const file = join(folder, "floor");
    servers.push({
      name: "fastify + group fdatasync",
      server: await startServer("bench/synced-route.ts", [file]),
      results: [],
    });
    const args = ["serve", "--data", join(folder, "data"), "--listen", "127.0.0.1:0", "--log-level", "warn"];
    servers.push({ name: "tidemark append", server: await startServer("client/cli/bin.ts", args), results: [] });
    await createStream(servers.at(-1)?.server.url as URL);
    for (let round = 0; round < options.rounds; round += 1) {
      for (const { server, results } of servers) {
        const { hostname: host, port } = server.url;
        const request = appendRequest(server.url, options.bodyBytes).toString("base64");
        results.push(await runLoad({ host, port: Number(port), request, ...options }));
      }
    }
    return servers.map(({ name, results }) => summarize(name, results));
  } finally {
    for (const { server } of servers) await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function createStream(url: URL): Promise<void> {
  const answer = await fetch(new URL(STREAM, url), { method: "PUT", headers: { "content-type": CONTENT_TYPE } });
  if (!answer.ok) throw new Error(`the stream was not created: ${answer.status} ${await answer.text()}`);
}

function appendRequest(url: URL, bodyBytes: number): Buffer {
  const head = [
    `POST ${STREAM} HTTP/1.1`,
    `host: ${url.host}`,
    `content-type: ${CONTENT_TYPE}`,
    `content-length: ${bodyBytes}`,
    "",
    "",
  ].join("\r\n");
  return Buffer.concat([Buffer.from(head), Buffer.alloc(bodyBytes, "x")]);
}
