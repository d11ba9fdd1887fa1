/** A real node on simulated disks behind a real HTTP server on loopback. */
import type { FastifyInstance } from "fastify";
import type { AccessConfig } from "../../log-server/http/auth.ts";
import { HTTP_LIMITS, type HttpLimits } from "../../log-server/http/limits.ts";
import { type HttpObserver, NO_HTTP_OBSERVER } from "../../log-server/http/observer.ts";
import { createHttpServer, type UpgradeFace } from "../../log-server/http/server.ts";
import { temporarySecrets } from "../../log-server/http/subscriptions/secrets.ts";
import { LOG_LIMITS } from "../../log-server/log/limits.ts";
import { NODE_LIMITS, type NodeLimits } from "../../log-server/node/limits.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { NO_OBSERVER } from "../../log-server/node/observer.ts";
import { openNode } from "../../log-server/node/open-node.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { SYSTEM_CLOCK, SYSTEM_ENTROPY, SYSTEM_ZSTD } from "../../log-server/system.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";

export type TestServer = {
  readonly url: string;
  readonly node: LogNode;
  readonly http: FastifyInstance;
  /** Leaves less free space than the node wants, and resolves once it knows. */
  fillDisk(): Promise<void>;
  close(): Promise<void>;
};

export type TestServerOptions = {
  readonly http?: HttpLimits;
  readonly node?: Partial<NodeLimits>;
  readonly access?: AccessConfig;
  readonly observer?: Partial<HttpObserver>;
  readonly upgrade?: (node: LogNode) => UpgradeFace;
};

const MIB = 1_024 * 1_024;
const LOG = { ...LOG_LIMITS, segmentBytes: 4 * MIB, sparesKept: 1 };
const CAPACITY_BYTES = 1_024 * MIB;

export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  let capacityBytes = CAPACITY_BYTES;
  let onDiskFull: (() => void) | undefined;
  const disk = new SimDisk();
  const freeBytes = disk.freeBytes.bind(disk);
  disk.freeBytes = async () => Math.max(0, Math.min(await freeBytes(), capacityBytes));
  const opened = await openNode({
    disk,
    kv: new SimKv(),
    clock: SYSTEM_CLOCK,
    entropy: SYSTEM_ENTROPY,
    zstd: SYSTEM_ZSTD,
    logId: 0,
    clusterId: "test",
    nodeName: "node",
    diskId: "disk",
    limits: {
      node: { ...NODE_LIMITS, lowWaterBytes: MIB, housekeepingEveryMs: 20, ...options.node },
      log: LOG,
      streams: STREAMS_LIMITS,
    },
    observer: {
      ...NO_OBSERVER,
      event: (code) => {
        if (code === "disk-full") onDiskFull?.();
      },
    },
  });
  if (!opened.ok) throw new Error(opened.error.message);
  const node = opened.value;
  await node.start();
  const http = createHttpServer({
    node,
    access: options.access ?? { kind: "loopback" },
    subscriptions: { secrets: temporarySecrets(), policy: { allowLoopback: true } },
    limits: options.http ?? HTTP_LIMITS,
    zstd: SYSTEM_ZSTD,
    observer: { ...NO_HTTP_OBSERVER, ...options.observer },
    ...(options.upgrade !== undefined && { upgrade: options.upgrade(node) }),
  });
  const url = await http.listen({ host: "127.0.0.1", port: 0 });
  return {
    url,
    node,
    http,
    fillDisk: () => {
      capacityBytes = 0;
      return new Promise((resolve) => {
        onDiskFull = resolve;
      });
    },
    close: async () => {
      await http.close();
      await node.stop();
    },
  };
}
