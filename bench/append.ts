/**
 * Appends, every one synced before it is acknowledged. Over HTTP, one record to a request: beside a bare route of the same
 * framework, beside one that only writes and syncs, and beside the official file-backed server. Over WebSocket, through the
 * SDK: beside the bare floor.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import type { AppendLoadOptions, AppendLoadResult } from "./append-load.ts";
import type { Figure } from "./figure.ts";
import type { LoadOptions, LoadResult } from "./http-load.ts";
import type { Scale } from "./main.ts";
import { runLoad, type RunningServer, startServer, startTidemark, withFolder } from "./processes.ts";
import { median, ratios, type Subject, takeTurns } from "./rounds.ts";

const RECORD_BYTES = 100;
const CONNECTIONS = 64;
const STREAM = "/v1/stream/bench";
const CONTENT_TYPE = "application/octet-stream";
const DURABLE_STREAMS = join(import.meta.dirname, "peers/durable-streams");
/** Batches in flight: of one record as many as the target says, of larger ones about as many bytes as a session holds. */
const BATCHES = [
  { batchRecords: 1, inFlight: 512 },
  { batchRecords: 100, inFlight: 128 },
  { batchRecords: 1_000, inFlight: 32 },
] as const;

export async function benchAppend(scale: Scale): Promise<readonly Figure[]> {
  return [...(await appendOverHttp(scale)), ...(await appendOverWebSocket(scale))];
}

async function appendOverHttp({ rounds, warmUpMs, measureMs }: Scale): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const servers: RunningServer[] = [];
    const subject = async (name: string, server: RunningServer): Promise<Subject<number>> => {
      servers.push(server);
      const { hostname: host, port } = server.url;
      const request = appendRequest(server.url).toString("base64");
      const options: LoadOptions = { host, port: Number(port), request, connections: CONNECTIONS, warmUpMs, measureMs };
      return {
        name,
        run: async () => {
          const { requests, seconds, refused } = await runLoad<LoadResult>("http-load.ts", options);
          if (refused > 0) throw new Error(`${name} refused ${refused} requests`);
          return requests / seconds;
        },
      };
    };
    try {
      installDurableStreams();
      const ours = await startTidemark(join(folder, "data"));
      const official = await startServer("bench/peers/durable-streams/server.mjs", [join(folder, "official")]);
      for (const { url } of [ours, official]) await createStream(url);
      const subjects = [
        await subject("tidemark", ours),
        await subject("bare fastify", await startServer("bench/peers/bare-route.ts")),
        await subject(
          "fastify and fdatasync",
          await startServer("bench/peers/synced-route.ts", [join(folder, "file")]),
        ),
        await subject("the official server", official),
      ];
      const results = await takeTurns(rounds, subjects);
      const beside = (name: string, peer: string): Figure =>
        toFigure(name, "requests/s", results("tidemark"), peer, results(peer));
      return [
        beside("append.http.vs-fastify", "bare fastify"),
        beside("append.http.vs-fdatasync", "fastify and fdatasync"),
        beside("append.http.vs-ds-server", "the official server"),
      ];
    } finally {
      for (const server of servers) await server.stop();
    }
  });
}

async function appendOverWebSocket({ rounds, warmUpMs, measureMs }: Scale): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const ours = await startTidemark(join(folder, "data"));
    const floor = await startServer("bench/floor/server.ts", [join(folder, "floor")]);
    const urls = { "tidemark": ours.url.href.replace(/^http/, "ws"), "the floor": floor.url.href };
    const measure = async (
      name: string,
      load: Pick<AppendLoadOptions, "batchRecords" | "inFlight">,
      figure: (result: AppendLoadResult) => number,
      unit: string,
    ): Promise<Figure> => {
      const subjects = Object.entries(urls).map(([subject, url]): Subject<number> => {
        const options: AppendLoadOptions = { url, recordBytes: RECORD_BYTES, ...load, warmUpMs, measureMs };
        return { name: subject, run: async () => figure(await runLoad<AppendLoadResult>("append-load.ts", options)) };
      });
      const results = await takeTurns(rounds, subjects);
      return toFigure(name, unit, results("tidemark"), "the floor", results("the floor"));
    };
    try {
      const figures: Figure[] = [];
      for (const load of BATCHES) {
        const name = `append.ws.b${load.batchRecords}.vs-floor`;
        figures.push(await measure(name, load, (result) => result.recordsPerSecond, "records/s"));
      }
      const alone = { batchRecords: 1, inFlight: 1 };
      figures.push(await measure("append.ws.p50.vs-floor", alone, (result) => result.p50Ms, "ms"));
      return figures;
    } finally {
      await ours.stop();
      await floor.stop();
    }
  });
}

function toFigure(
  name: string,
  unit: string,
  values: readonly number[],
  versus: string,
  beside: readonly number[],
): Figure {
  const { value: ratio, least, most } = ratios(values, beside);
  return { name, value: median(values), unit, versus, ratio, spread: [least, most] };
}

function installDurableStreams(): void {
  if (existsSync(join(DURABLE_STREAMS, "node_modules"))) return;
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: DURABLE_STREAMS, stdio: "ignore" });
  if (status !== 0) throw new Error("the official server cannot be installed");
}

async function createStream(url: URL): Promise<void> {
  const answer = await fetch(new URL(STREAM, url), { method: "PUT", headers: { "content-type": CONTENT_TYPE } });
  if (!answer.ok) throw new Error(`the stream was not created: ${answer.status} ${await answer.text()}`);
}

function appendRequest(url: URL): Buffer {
  const head = [
    `POST ${STREAM} HTTP/1.1`,
    `host: ${url.host}`,
    `content-type: ${CONTENT_TYPE}`,
    `content-length: ${RECORD_BYTES}`,
    "",
    "",
  ].join("\r\n");
  return Buffer.concat([Buffer.from(head), Buffer.alloc(RECORD_BYTES, "x")]);
}
