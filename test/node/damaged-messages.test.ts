/**
 * Entries that are damaged on the way from node to node: none is kept, and they are sent again without anybody's being elected
 * or any connection's being lost (I13).
 */
import net from "node:net";
import { afterEach, expect, it } from "vitest";
import { LOG_LIMITS } from "../../log-server/log/limits.ts";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { NO_OBSERVER } from "../../log-server/node/observer.ts";
import { openNode } from "../../log-server/node/open-node.ts";
import { FRAME_HEADER_LENGTH, readHeader } from "../../log-server/peer/frame.ts";
import { SimCluster } from "../../log-server/sim/sim-cluster.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { SYSTEM_CLOCK, SYSTEM_ENTROPY, SYSTEM_ZSTD } from "../../log-server/system.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { CALM } from "../../src/sim/network.ts";
import { TestPeer } from "../peer/test-peers.ts";
import { append, asAppended, create, readAll } from "./sim-node.ts";

const COUNT = 20;
/** Of several frames, and of one. */
const VALUES = Array.from({ length: COUNT }, (_, at) => `value ${at} ${"x".repeat(at % 10 === 0 ? 700_000 : 1_000)}`);

const toClose: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close();
});

it("every other message, in a simulated network: the leader stays", async () => {
  const cluster = await SimCluster.started();
  const { name } = await cluster.elected();
  const { term } = cluster.node(name).status();
  await cluster.settle(cluster.propose(name, create("s")));
  for (const { name: from } of cluster.members)
    for (const { name: to } of cluster.members)
      if (from !== to) cluster.network.setFaults(from, to, { ...CALM, damageChance: 0.5 });
  const appends = VALUES.map((value) => cluster.propose(name, append("s", [value])));
  for (const result of await cluster.settle(Promise.all(appends))) asAppended(result);
  for (const value of VALUES) asAppended(await cluster.settle(cluster.propose(name, append("s", [value]))));
  await cluster.agreed();
  expect(cluster.network.counts.damaged).toBeGreaterThan(COUNT);
  for (const { name: at } of cluster.members) {
    expect(await cluster.settle(readAll(cluster.node(at), "s")), at).toEqual([...VALUES, ...VALUES]);
    expect(cluster.node(at).status(), at).toMatchObject({ term, damage: [] });
  }
  expect(cluster.failures).toEqual([]);
});

/** A way to a node on which every seventh frame that proves itself at its end has a wrong bit there. */
async function roughWay(port: number): Promise<number> {
  let count = 0;
  const server = net.createServer((inner) => {
    const outer = net.connect({ host: "127.0.0.1", port });
    const rough = (from: net.Socket, to: net.Socket): void => {
      let held = Buffer.alloc(0);
      from.on("data", (bytes: Buffer) => {
        held = Buffer.concat([held, bytes]);
        for (;;) {
          const header = held.length < FRAME_HEADER_LENGTH ? undefined : readHeader(held, 0);
          const length = FRAME_HEADER_LENGTH + (header?.length ?? 0);
          if (header === undefined || held.length < length) return;
          const frame = held.subarray(0, length);
          held = held.subarray(length);
          if (header.proven > 0 && (count += 1) % 7 === 0) frame[length - 1] = (frame[length - 1] as number) ^ 1;
          to.write(frame);
        }
      });
      from.on("error", () => undefined);
      from.on("close", () => to.destroy());
      toClose.push(() => from.destroy());
    };
    rough(inner, outer);
    rough(outer, inner);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  toClose.push(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

async function opened(peer: TestPeer, voters: readonly string[]): Promise<LogNode> {
  const result = await openNode({
    disk: new SimDisk(),
    kv: new SimKv(),
    clock: SYSTEM_CLOCK,
    entropy: SYSTEM_ENTROPY,
    zstd: SYSTEM_ZSTD,
    logId: 0,
    clusterId: "c1",
    nodeName: peer.node,
    diskId: `disk-${peer.node}`,
    limits: {
      node: { ...NODE_LIMITS, lowWaterBytes: 0 },
      log: { ...LOG_LIMITS, segmentBytes: 4 * 1024 * 1024, sparesKept: 1 },
      streams: STREAMS_LIMITS,
    },
    observer: NO_OBSERVER,
    cluster: { voters, link: peer.peers },
  });
  if (!result.ok) throw new Error(result.error.message);
  toClose.push(() => result.value.stop());
  return result.value;
}

it("every seventh frame, over sockets: the connection stays", async () => {
  const peers = [new TestPeer({ node: "n1" }), new TestPeer({ node: "n2" })] as const;
  for (const { peers: one } of peers) toClose.push(() => one.close());
  const nodes = await Promise.all(peers.map((peer) => opened(peer, ["n1", "n2"])));
  await Promise.all(peers.map((peer) => peer.open()));
  const [one, two] = peers;
  // Only one dials, lest they have two connections at first.
  const port = await roughWay(two.address?.port ?? 0);
  two.peers.know([one.as({ port: 1 })]);
  one.peers.know([two.as({ port })]);
  await Promise.all(nodes.map((node) => node.start()));
  const leader = (): LogNode | undefined => nodes.find((node) => node.leads);
  while (leader() === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
  const node = leader() as LogNode;
  await node.propose(create("s"));
  await Promise.all(VALUES.map(async (value) => asAppended(await node.propose(append("s", [value])))));
  for (const value of VALUES) asAppended(await node.propose(append("s", [value])));
  for (const each of nodes) {
    while (each.position < node.position) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await readAll(each, "s")).toEqual([...VALUES, ...VALUES]);
    expect(each.status().damage).toEqual([]);
  }
  expect(nodes.reduce((sum, each) => sum + each.status().refusedMessages, 0)).toBeGreaterThan(0);
  expect([...one.disconnects, ...two.disconnects]).toEqual([]);
});
