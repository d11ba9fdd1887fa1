/**
 * How much of their append rate clients keep while a follower is shipped a snapshot and the sealed segments, for it lost its
 * disk and was replaced; beside the same three nodes with nothing to ship, in turns.
 */
import { join } from "node:path";
import { type Client, connect } from "../client/index.ts";
import { LOG_LIMITS } from "../log-server/log/limits.ts";
import { TRANSFER_LIMITS } from "../log-server/node/catch-up/transfer-limits.ts";
import { NODE_LIMITS } from "../log-server/node/limits.ts";
import type { AppendLoadOptions, AppendLoadResult } from "./append-load.ts";
import { type ClusterNode, startTidemarkCluster, type TidemarkCluster } from "./cluster-processes.ts";
import { besideFigure, type Figure } from "./figure.ts";
import { fill } from "./fill.ts";
import type { Scale } from "./main.ts";
import { runLoad, wait, withFolder } from "./processes.ts";
import { median, takeTurns } from "./rounds.ts";

const NODES = 3;
const LOAD = { recordBytes: 100, batchRecords: 100, inFlight: 128 } as const;
const STREAM = "shipped";
const MS_PER_SECOND = 1_000;
/** The shipment lasts so much longer than what is measured while it does: a process has to start, and machines differ. */
const LONGER = 1.5;
const LONGER_MS = 2_000;
const LOOK_EVERY_MS = 50;
/** A step that has not come after this long never will. */
const PATIENCE_MS = 180_000;

export async function benchCatchUp(scale: Scale): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const cluster = await startTidemarkCluster(join(folder, "catch-up"), NODES);
    try {
      await prepare(cluster, scale);
      const paces: number[] = [];
      const results = await takeTurns(scale.rounds, [
        { name: "nothing to ship", run: () => appends(cluster, scale) },
        { name: "shipping", run: () => whileShipping(cluster, scale, (pace) => paces.push(pace)) },
      ]);
      const beside = [results("shipping"), "nothing to ship", results("nothing to ship")] as const;
      return [
        besideFigure("cluster.catch-up.append-ratio", "records/s", ...beside),
        { name: "cluster.catch-up.bytes-per-second", value: median(paces), unit: "bytes/s" },
      ];
    } finally {
      await cluster.stop();
    }
  });
}

/** Whoever has nothing is behind what the log has: its first segments are gone, and there is much to ship. */
async function prepare(cluster: TidemarkCluster, { warmUpMs, measureMs }: Scale): Promise<void> {
  const leader = await cluster.leader();
  await fill(leader.url, "gone", 2 * LOG_LIMITS.segmentBytes);
  await using client = clientOf(leader);
  await client.stream("gone").delete();
  const lastsMs = (warmUpMs + measureMs) * LONGER + LONGER_MS;
  const shipped = (TRANSFER_LIMITS.bytesPerSecond * lastsMs) / MS_PER_SECOND;
  await fill(leader.url, STREAM, Math.max(shipped, NODE_LIMITS.snapshotEveryBytes));
  await until("the log's first segments are gone", async () => {
    const dropped = await leader.metric('tidemark_events_total{code="segments-dropped"}');
    return dropped !== undefined && dropped > 0;
  });
}

/** Records a second, at the leader. */
async function appends(cluster: TidemarkCluster, { warmUpMs, measureMs }: Scale): Promise<number> {
  const leader = await cluster.leader();
  const url = leader.url.href.replace(/^http/, "ws");
  const options: AppendLoadOptions = { url, ...LOAD, warmUpMs, measureMs };
  const { recordsPerSecond } = await runLoad<AppendLoadResult>("append-load.ts", options);
  // What the load appended is not to be shipped as well.
  await using client = clientOf(leader);
  for await (const { name } of client.streams({ prefix: "bench/" })) await client.stream(name).delete();
  return recordsPerSecond;
}

async function whileShipping(
  cluster: TidemarkCluster,
  scale: Scale,
  onPace: (bytesPerSecond: number) => void,
): Promise<number> {
  const leader = await cluster.leader();
  const follower = cluster.nodes.find((node) => node !== leader);
  if (follower === undefined) throw new Error("there is nobody to ship to");
  const sentBytes = async (): Promise<number> => (await leader.metric("tidemark_snapshot_sent_bytes_total")) ?? 0;
  const sentBefore = await sentBytes();
  await using client = clientOf(leader);
  await follower.wipe();
  await client.cluster().replace(follower.name);
  const back = follower.restart();
  await until("the snapshot is on its way", async () => (await sentBytes()) > sentBefore);
  const [startedAt, from] = [performance.now(), await sentBytes()];
  const rate = await appends(cluster, scale);
  const seconds = (performance.now() - startedAt) / MS_PER_SECOND;
  onPace(((await sentBytes()) - from) / seconds);
  if ((await leader.metric(`tidemark_snapshot_sending_bytes{follower="${follower.name}"}`)) === undefined)
    throw new Error("the snapshot was there before the appends were measured");
  await back;
  await until("all three vote and keep up", async () => {
    const { changing, members } = await client.cluster().status();
    return !changing && members.every(({ role, lag = 0 }) => role === "voter" && lag === 0);
  });
  return rate;
}

function clientOf({ url }: ClusterNode): Client {
  return connect(url.href.replace(/^http/, "ws"));
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !(await holds()); await wait(LOOK_EVERY_MS))
    if (performance.now() > end) throw new Error(`waited too long until ${what}`);
}
