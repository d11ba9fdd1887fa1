/**
 * Three nodes on this machine, every append synced by a majority before it is acknowledged: their rates beside the bare
 * floor of a leader and two followers, and how long clients wait when the leader is killed.
 */
import { join } from "node:path";
import { NODE_LIMITS } from "../log-server/node/limits.ts";
import { ALONE, createStream, httpAppends, webSocketAppends } from "./append-subjects.ts";
import { benchCatchUp } from "./catch-up.ts";
import { startTidemarkCluster, type TidemarkCluster } from "./cluster-processes.ts";
import { killLeader } from "./failover.ts";
import type { Figure } from "./figure.ts";
import type { Scale } from "./main.ts";
import { startServer, wait, withFolder } from "./processes.ts";
import { median, takeTurns } from "./rounds.ts";

const NODES = 3;
const CONNECTIONS = 256;
const BATCHES = [
  { batchRecords: 1, inFlight: 512 },
  { batchRecords: 10, inFlight: 256 },
  { batchRecords: 100, inFlight: 128 },
  { batchRecords: 1_000, inFlight: 32 },
] as const;
const MS_PER_SECOND = 1_000;
/** Long enough for what the appends before left to be saved: the pause is to be an election's, not the disk's. */
const SETTLE_MS = 12_000;
/** The upper end of the time after which a follower that hears nothing stands for election. */
const ELECTION_TIMEOUT_MS = NODE_LIMITS.tickMs * NODE_LIMITS.electionTicks * 2;

export async function benchCluster(scale: Scale): Promise<readonly Figure[]> {
  return [...(await benchNodes(scale)), ...(await benchCatchUp(scale))];
}

async function benchNodes(scale: Scale): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const cluster = await startTidemarkCluster(folder, NODES);
    try {
      return [...(await appends(cluster, join(folder, "floor"), scale)), ...(await failover(cluster, scale))];
    } finally {
      await cluster.stop();
    }
  });
}

async function appends(cluster: TidemarkCluster, floorFiles: string, scale: Scale): Promise<readonly Figure[]> {
  const { url } = await cluster.leader();
  const followers = [await startServer("bench/floor/server.ts", [`${floorFiles}-2`])];
  followers.push(await startServer("bench/floor/server.ts", [`${floorFiles}-3`]));
  const floor = await startServer("bench/floor/server.ts", [
    `${floorFiles}-1`,
    ...followers.map((each) => each.url.href),
  ]);
  const urls = { "tidemark": url.href.replace(/^http/, "ws"), "the floor": floor.url.href };
  try {
    const figures: Figure[] = [];
    for (const load of BATCHES) {
      const name = `cluster.ws.b${load.batchRecords}.vs-floor`;
      figures.push(await webSocketAppends(name, urls, load, "rate", scale));
    }
    figures.push(await webSocketAppends("cluster.ws.p50.vs-floor", urls, ALONE, "p50", scale));
    await createStream(url);
    const results = await takeTurns(scale.rounds, [httpAppends("tidemark", url, CONNECTIONS, scale)]);
    const rates = results("tidemark");
    const spread = [Math.min(...rates), Math.max(...rates)] as const;
    figures.push({ name: "cluster.http.per-second", value: median(rates), unit: "requests/s", spread });
    return figures;
  } finally {
    for (const server of [floor, ...followers]) await server.stop();
  }
}

async function failover(cluster: TidemarkCluster, { kills }: Scale): Promise<readonly Figure[]> {
  await wait(SETTLE_MS);
  const pauses: number[] = [];
  for (let kill = 0; kill < kills; kill += 1) pauses.push((await killLeader(cluster)).pauseMs);
  const worst = Math.max(...pauses);
  const timeout = { versus: "the election timeout", ratio: worst / ELECTION_TIMEOUT_MS };
  return [
    { name: "cluster.failover.max.vs-election-timeout", value: worst / MS_PER_SECOND, unit: "s", ...timeout },
    { name: "cluster.failover.p50-s", value: median(pauses) / MS_PER_SECOND, unit: "s" },
  ];
}
