/** The leader is killed: how long a client waits for an append at another node, and how long until the killed one is back. */
import { connect } from "../client/index.ts";
import type { TidemarkCluster } from "./cluster-processes.ts";

export type Failover = {
  /** From the leader's end until an append that was begun after it is acknowledged. */
  readonly pauseMs: number;
  /** From the start of the killed node until it is up to date and serves. */
  readonly restartMs: number;
};

export async function killLeader(cluster: TidemarkCluster): Promise<Failover> {
  const leader = await cluster.leader();
  const [other] = cluster.nodes.filter((node) => node !== leader);
  if (other === undefined) throw new Error("there is nobody to go on with");
  const client = connect(other.url.href.replace(/^http/, "ws"));
  const stream = client.stream("failover");
  await stream.create();
  await stream.append("before");
  const killedAt = performance.now();
  await leader.kill();
  for (let resumed = false; !resumed;) {
    resumed = await stream.append("after").then(
      () => true,
      () => false,
    );
  }
  const pauseMs = performance.now() - killedAt;
  await client.close();
  const startedAt = performance.now();
  await leader.restart();
  return { pauseMs, restartMs: performance.now() - startedAt };
}
