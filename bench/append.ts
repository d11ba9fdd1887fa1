/**
 * Appends, every one synced before it is acknowledged. Over HTTP, one record to a request: beside a bare route of the same
 * framework, beside one that only writes and syncs, and beside the official file-backed server. Over WebSocket, through the
 * SDK: beside the bare floor.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { ALONE, createStream, httpAppends, webSocketAppends } from "./append-subjects.ts";
import { besideFigure, type Figure } from "./figure.ts";
import type { Scale } from "./main.ts";
import { type RunningServer, startServer, startTidemark, withFolder } from "./processes.ts";
import { type Subject, takeTurns } from "./rounds.ts";

const CONNECTIONS = 64;
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

async function appendOverHttp(scale: Scale): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const servers: RunningServer[] = [];
    const subject = (name: string, server: RunningServer): Subject<number> => {
      servers.push(server);
      return httpAppends(name, server.url, CONNECTIONS, scale);
    };
    try {
      installDurableStreams();
      const ours = await startTidemark(join(folder, "data"));
      const official = await startServer("bench/peers/durable-streams/server.mjs", [join(folder, "official")]);
      for (const { url } of [ours, official]) await createStream(url);
      const subjects = [
        subject("tidemark", ours),
        subject("bare fastify", await startServer("bench/peers/bare-route.ts")),
        subject("fastify and fdatasync", await startServer("bench/peers/synced-route.ts", [join(folder, "file")])),
        subject("the official server", official),
      ];
      const results = await takeTurns(scale.rounds, subjects);
      const beside = (name: string, peer: string): Figure =>
        besideFigure(name, "requests/s", results("tidemark"), peer, results(peer));
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

async function appendOverWebSocket(scale: Scale): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const ours = await startTidemark(join(folder, "data"));
    const floor = await startServer("bench/floor/server.ts", [join(folder, "floor")]);
    const urls = { "tidemark": ours.url.href.replace(/^http/, "ws"), "the floor": floor.url.href };
    try {
      const figures: Figure[] = [];
      for (const load of BATCHES) {
        const name = `append.ws.b${load.batchRecords}.vs-floor`;
        figures.push(await webSocketAppends(name, urls, load, "rate", scale));
      }
      figures.push(await webSocketAppends("append.ws.p50.vs-floor", urls, ALONE, "p50", scale));
      return figures;
    } finally {
      await ours.stop();
      await floor.stop();
    }
  });
}

function installDurableStreams(): void {
  if (existsSync(join(DURABLE_STREAMS, "node_modules"))) return;
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: DURABLE_STREAMS, stdio: "ignore" });
  if (status !== 0) throw new Error("the official server cannot be installed");
}
