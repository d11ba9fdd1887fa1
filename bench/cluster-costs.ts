/**
 * What more of it costs a cluster: five nodes instead of three, very many streams instead of one, a long log instead of a short
 * one. There is no target: README.md beside this says what grows, what does not, and why.
 */
import { join } from "node:path";
import { type Client, connect } from "../client/index.ts";
import type { AppendLoadOptions, AppendLoadResult } from "./append-load.ts";
import { ALONE, type BatchLoad } from "./append-subjects.ts";
import { startTidemarkCluster, type TidemarkCluster } from "./cluster-processes.ts";
import { killLeader } from "./failover.ts";
import type { Figure } from "./figure.ts";
import { fill } from "./fill.ts";
import type { Scale } from "./main.ts";
import { runLoad, wait, withFolder } from "./processes.ts";
import { median, summarize, takeTurns } from "./rounds.ts";

const NODES = [3, 5] as const;
const RECORD_BYTES = 100;
const BATCHES: BatchLoad = { batchRecords: 100, inFlight: 128 };
const IN_FLIGHT = 512;
const RECORD = new Uint8Array(RECORD_BYTES).fill(0x78);
const MS_PER_SECOND = 1_000;
const GB = 1e9;
/** Long enough for what was still to be saved, and for memory that is only garbage to go. */
const SETTLE_MS = 12_000;

export async function benchClusterCosts(scale: Scale): Promise<readonly Figure[]> {
  return [...(await ofNodes(scale)), ...(await ofStreams(scale)), ...(await ofLog(scale))];
}

async function ofNodes(scale: Scale): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const clusters: TidemarkCluster[] = [];
    try {
      for (const size of NODES) clusters.push(await startTidemarkCluster(join(folder, `${size}`), size));
      const subjects = clusters.flatMap((cluster) => [
        {
          name: `${cluster.nodes.length} rate`,
          run: async () => (await load(cluster, BATCHES, scale)).recordsPerSecond,
        },
        { name: `${cluster.nodes.length} p50`, run: async () => (await load(cluster, ALONE, scale)).p50Ms },
      ]);
      const results = await takeTurns(scale.rounds, subjects);
      return NODES.flatMap((size) => [
        rounded(`costs.nodes.${size}.records-per-second`, "records/s", results(`${size} rate`)),
        rounded(`costs.nodes.${size}.p50-ms`, "ms", results(`${size} p50`)),
      ]);
    } finally {
      for (const cluster of clusters) await cluster.stop();
    }
  });
}

async function ofStreams(scale: Scale): Promise<readonly Figure[]> {
  return inOneCluster(async (cluster) => {
    const figures: Figure[] = [];
    let made = 0;
    for (const count of scale.costStreams) {
      await createStreams(cluster, made, count);
      made = count;
      const rates: number[] = [];
      for (let round = 0; round < scale.rounds; round += 1) rates.push(await appendsTo(cluster, count, scale));
      const name = `costs.streams.${count}`;
      figures.push(
        rounded(`${name}.appends-per-second`, "appends/s", rates),
        ...(await whatStays(cluster, name, scale)),
      );
    }
    return figures;
  });
}

async function ofLog(scale: Scale): Promise<readonly Figure[]> {
  return inOneCluster(async (cluster) => {
    const figures: Figure[] = [];
    let held = 0;
    for (const bytes of scale.costLogBytes) {
      await fill((await cluster.leader()).url, "costs", bytes - held);
      held = bytes;
      const rates: number[] = [];
      for (let round = 0; round < scale.rounds; round += 1)
        rates.push((await load(cluster, BATCHES, scale)).recordsPerSecond);
      const name = `costs.log.${bytes / GB}-gb`;
      figures.push(
        rounded(`${name}.records-per-second`, "records/s", rates),
        ...(await whatStays(cluster, name, scale)),
      );
    }
    return figures;
  });
}

function inOneCluster(work: (cluster: TidemarkCluster) => Promise<readonly Figure[]>): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const cluster = await startTidemarkCluster(folder, NODES[0]);
    try {
      return await work(cluster);
    } finally {
      await cluster.stop();
    }
  });
}

/** Appends through the leader: what its rate is, or how long each takes. */
async function load(cluster: TidemarkCluster, batches: BatchLoad, scale: Scale): Promise<AppendLoadResult> {
  const { warmUpMs, measureMs } = scale;
  const url = (await cluster.leader()).url.href.replace(/^http/, "ws");
  const options: AppendLoadOptions = { url, recordBytes: RECORD_BYTES, ...batches, warmUpMs, measureMs };
  return runLoad<AppendLoadResult>("append-load.ts", options);
}

/** The leader's memory at rest, the pause when it is killed, and how long it takes to come back. */
async function whatStays(cluster: TidemarkCluster, name: string, scale: Scale): Promise<readonly Figure[]> {
  await wait(SETTLE_MS);
  const residentBytes = await (await cluster.leader()).metric("process_resident_memory_bytes");
  const pauses: number[] = [];
  const restarts: number[] = [];
  for (let round = 0; round < scale.rounds; round += 1) {
    const { pauseMs, restartMs } = await killLeader(cluster);
    pauses.push(pauseMs / MS_PER_SECOND);
    restarts.push(restartMs / MS_PER_SECOND);
  }
  return [
    { name: `${name}.rss-bytes`, value: residentBytes ?? Number.NaN, unit: "bytes" },
    rounded(`${name}.failover-s`, "s", pauses),
    rounded(`${name}.restart-s`, "s", restarts),
  ];
}

/** Each with a record. */
function createStreams(cluster: TidemarkCluster, from: number, to: number): Promise<void> {
  return inFlight(cluster, async (client, place) => {
    if (from + place >= to) return false;
    const stream = client.stream(`costs/${from + place}`);
    await stream.create();
    await stream.append(RECORD);
    return true;
  });
}

/** Appends a second of one record each, to one stream after the other. */
async function appendsTo(cluster: TidemarkCluster, streams: number, { warmUpMs, measureMs }: Scale): Promise<number> {
  let done = 0;
  const from = performance.now() + warmUpMs;
  await inFlight(cluster, async (client, place) => {
    await client.stream(`costs/${place % streams}`).append(RECORD);
    const now = performance.now();
    if (now >= from && now < from + measureMs) done += 1;
    return now < from + measureMs;
  });
  return done / (measureMs / MS_PER_SECOND);
}

/** Works at one place after the other, so many at a time, until there is no more to do. */
async function inFlight(
  cluster: TidemarkCluster,
  work: (client: Client, place: number) => Promise<boolean>,
): Promise<void> {
  const client = connect((await cluster.leader()).url.href.replace(/^http/, "ws"));
  let next = 0;
  const worker = async (): Promise<void> => {
    while (await work(client, next++));
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  await client.close();
}

function rounded(name: string, unit: string, values: readonly number[]): Figure {
  const { least, most } = summarize(values);
  return { name, value: median(values), unit, spread: [least, most] };
}
