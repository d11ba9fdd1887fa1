/** Three nodes of one log, each behind a real server with all faces on loopback; disks and the links between are simulated. */
import type { FastifyInstance } from "fastify";
import { NO_HTTP_OBSERVER } from "../../log-server/http/observer.ts";
import { createHttpServer } from "../../log-server/http/server.ts";
import { secretsOfKeys } from "../../log-server/http/subscriptions/secrets.ts";
import { generateSigningKeyPem } from "../../log-server/http/subscriptions/signing.ts";
import { LOG_LIMITS } from "../../log-server/log/limits.ts";
import { NODE_LIMITS, type NodeLimits } from "../../log-server/node/limits.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { NO_OBSERVER } from "../../log-server/node/observer.ts";
import { openNode } from "../../log-server/node/open-node.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { SYSTEM_CLOCK, SYSTEM_ENTROPY, SYSTEM_ZSTD } from "../../log-server/system.ts";
import { WS_PATH, wsRoute } from "../../log-server/ws/route.ts";
import { Prng } from "../../src/lib/prng.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { SimNetwork } from "../../src/sim/network.ts";

export type ServedNode = { readonly name: string; readonly url: string; readonly node: LogNode };

/** Elections in less than half of the usual time: tests wait for some. */
const QUICK: Partial<NodeLimits> = { tickMs: 20, lowWaterBytes: 0, unsettledMsMax: 1_000, stopWaitMsMax: 1_000 };
/** Without a cache: what is read is read from the disk. */
const LOG = { ...LOG_LIMITS, segmentBytes: 4 * 1024 * 1024, sparesKept: 1, tailCacheBytes: 0 };
const NAMES = ["n1", "n2", "n3"] as const;
const POLL_MS = 2;

export class ThreeNodes {
  readonly network: SimNetwork = new SimNetwork({ clock: SYSTEM_CLOCK, prng: new Prng(1), silenceMs: 300 });
  /** Configured on every node: each makes its own of it, and signs for all. */
  readonly #webhookKey = generateSigningKeyPem();
  readonly #disks = new Map<string, { readonly disk: SimDisk; readonly kv: SimKv }>();
  readonly #up = new Map<string, ServedNode & { readonly http: FastifyInstance }>();

  readonly #clusterId: string;

  private constructor(clusterId: string) {
    this.#clusterId = clusterId;
  }

  static async started(limits: Partial<NodeLimits> = {}, clusterId = "test"): Promise<ThreeNodes> {
    const nodes = new ThreeNodes(clusterId);
    await Promise.all(NAMES.map((name) => nodes.start(name, limits)));
    await nodes.led();
    return nodes;
  }

  get up(): readonly ServedNode[] {
    return [...this.#up.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  get leader(): ServedNode {
    const leader = this.up.find(({ node }) => node.leads);
    if (leader === undefined) throw new Error("nobody leads");
    return leader;
  }

  get followers(): [ServedNode, ServedNode] {
    return this.up.filter(({ node }) => !node.leads) as [ServedNode, ServedNode];
  }

  /** Resolves when one leads. */
  async led(): Promise<ServedNode> {
    await until(() => this.up.some(({ node }) => node.leads));
    return this.leader;
  }

  /** On what it had, if it was here before. `keyed`: it was told what webhooks are signed with. */
  async start(name: string, limits: Partial<NodeLimits> = {}, keyed = true): Promise<ServedNode> {
    const { disk, kv } = this.#disks.get(name) ?? { disk: new SimDisk(), kv: new SimKv() };
    this.#disks.set(name, { disk, kv });
    const opened = await openNode({
      disk,
      kv,
      clock: SYSTEM_CLOCK,
      entropy: SYSTEM_ENTROPY,
      zstd: SYSTEM_ZSTD,
      logId: 0,
      clusterId: this.#clusterId,
      nodeName: name,
      diskId: `disk-of-${name}`,
      limits: { node: { ...NODE_LIMITS, ...QUICK, ...limits }, log: LOG, streams: STREAMS_LIMITS },
      observer: NO_OBSERVER,
      cluster: { voters: NAMES, link: this.network.join(name) },
    });
    if (!opened.ok) throw new Error(opened.error.message);
    const node = opened.value;
    await node.start();
    const http = createHttpServer({
      node,
      access: { kind: "loopback" },
      subscriptions: {
        secrets: keyed ? secretsOfKeys(this.#webhookKey) : undefined,
        policy: { allowLoopback: true },
      },
      zstd: SYSTEM_ZSTD,
      upgrade: {
        path: WS_PATH,
        plugin: (requests) => wsRoute({ node, requests, observer: NO_HTTP_OBSERVER, zstd: SYSTEM_ZSTD }),
      },
    });
    const url = await http.listen({ host: "127.0.0.1", port: 0 });
    const served = { name, url, node, http };
    this.#up.set(name, served);
    return served;
  }

  /** As a process that gets SIGTERM: hands over, ends its answers, stops. */
  async stop(name: string): Promise<void> {
    const served = this.#up.get(name);
    if (served === undefined) return;
    this.#up.delete(name);
    await served.http.close();
    await served.node.stop();
    this.network.leave(name);
  }

  /** A bit of where this text stands on its disk is not what was written. */
  damage(name: string, text: string): void {
    const { disk } = this.#disks.get(name) as { readonly disk: SimDisk };
    for (const path of disk.files().filter((file) => file.endsWith(".log"))) {
      const place = Buffer.from(disk.bytes(path)).indexOf(text);
      if (place >= 0) return disk.flip(path, place, 2);
    }
    throw new Error(`"${text}" is not on the disk of ${name}`);
  }

  /** Clients reach it no more; the other nodes do. */
  async closeServer(name: string): Promise<void> {
    const served = this.#up.get(name);
    served?.http.server.closeAllConnections();
    await served?.http.close();
  }

  /** As a machine that is gone: clients and nodes hear nothing more of it. */
  async cutOff(name: string): Promise<void> {
    const served = this.#up.get(name);
    if (served === undefined) return;
    this.#up.delete(name);
    this.network.leave(name);
    served.http.server.closeAllConnections();
    await served.http.close();
    void served.node.stop();
  }

  async close(): Promise<void> {
    for (const { name } of this.up) await this.stop(name);
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
