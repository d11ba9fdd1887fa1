/** Operators on three nodes, from log to log, with exactly-once and digests; clients and workers are processes beside them. */
import { startTidemarkCluster } from "./cluster-processes.ts";
import type { Figure } from "./figure.ts";
import type { Scale } from "./main.ts";
import { benchCosts } from "./operators/costs.ts";
import { benchTakeover } from "./operators/failover.ts";
import { benchLatency } from "./operators/latency.ts";
import { benchRestore } from "./operators/restore.ts";
import { benchSnapshots } from "./operators/snapshots.ts";
import { withFolder } from "./processes.ts";

const NODES = 3;

export async function benchOperators(scale: Scale): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const cluster = await startTidemarkCluster(folder, NODES);
    try {
      const leader = await cluster.leader();
      const url = leader.url.href.replace(/^http/, "ws");
      const figures: Figure[] = [];
      for (const measure of [benchLatency, benchSnapshots, benchTakeover, benchRestore, benchCosts])
        figures.push(...(await measure(url, scale)));
      return figures;
    } finally {
      await cluster.stop();
    }
  });
}
