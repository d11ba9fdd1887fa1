/**
 * A whole server, put together: the ports' real implementations, the data folder, the node, its faces, and whoever
 * watches. `main.ts` runs it as a process, `start-node.ts` inside one. The only place that knows all parts.
 */
import { join, resolve } from "node:path";
import { err, ok, type Result } from "../src/lib/result.ts";
import type { ServerConfig } from "./config/config.ts";
import { formatHostPort, type HostPort, isLoopback } from "./config/values.ts";
import { IMAGE_FOLDER, LOG_ID, SECRETS_FOLDER } from "./folder-layout.ts";
import type { AccessConfig } from "./http/auth.ts";
import { createHttpServer } from "./http/server.ts";
import { loadSecrets, type Secrets, secretsOfKeys } from "./http/subscriptions/secrets.ts";
import { type DataDirectory, openDataDirectory } from "./log/data-directory.ts";
import { LOG_LIMITS } from "./log/limits.ts";
import { openLmdbKv } from "./log/disk/lmdb-kv.ts";
import { whyUnusable } from "./log/disk/unusable.ts";
import { NODE_LIMITS } from "./node/limits.ts";
import type { LogNode } from "./node/log-node.ts";
import { openNode } from "./node/open-node.ts";
import type { Health } from "./observe/health.ts";
import type { EventLog } from "./observe/logging.ts";
import { type Belonging, openPeers } from "./open-peers.ts";
import { finishInFolder } from "./recover.ts";
import { StartupServer } from "./startup-server.ts";
import { STREAMS_LIMITS } from "./streams/limits.ts";
import { SYSTEM_CLOCK, SYSTEM_ENTROPY, SYSTEM_ZSTD } from "./system.ts";
import { Watch } from "./watch.ts";
import { WS_PATH, wsRoute } from "./ws/route.ts";

export type RunOptions = {
  readonly log: EventLog;
  /** See `MetricsOptions`. */
  readonly processMetrics: boolean;
};

export type RunningServer = {
  readonly url: string;
  readonly nodeName: string;
  readonly clusterId: string;
  /** Resolves if the server can no longer go on: a disk that failed to sync, a broken invariant. Close it then. */
  readonly failed: Promise<Error>;
  /** Unready, no new connections, live answers ended, everything under way finished and synced, the folder let go. */
  readonly close: () => Promise<void>;
};

/** Why it did not start, for people in one line. */
export type StartError = { readonly code: string; readonly message: string };

/** Of a server that was sent another state: it closes, and starts anew on the same address. */
export async function runServer(config: ServerConfig, options: RunOptions): Promise<Result<RunningServer, StartError>> {
  const first = await startLife(config, options);
  if (!first.ok) return first;
  const { url, nodeName, clusterId, listen } = first.value;
  const failed = Promise.withResolvers<Error>();
  let life = first.value;
  let between: Promise<void> | undefined;
  let closing = false;
  const startAnew = async (): Promise<void> => {
    await life.close();
    const next = await startLife({ ...config, listen }, options);
    if (!next.ok) return failed.resolve(new Error(next.error.message));
    life = next.value;
    watchOver();
  };
  const watchOver = (): void => {
    void life.failed.then((error) => {
      if (!life.startsAnew() || closing) return failed.resolve(error);
      between = startAnew().catch((cause: unknown) => failed.resolve(new Error("it cannot start anew", { cause })));
    });
  };
  watchOver();
  const close = once(async () => {
    closing = true;
    await between;
    await life.close();
  });
  return ok({ url, nodeName, clusterId, failed: failed.promise, close });
}

/** Everything from the data folder up, until it fails or is closed. */
type Life = RunningServer & {
  readonly listen: HostPort;
  /** See `LogNode.startsAnew`. */
  readonly startsAnew: () => boolean;
};

async function startLife(config: ServerConfig, options: RunOptions): Promise<Result<Life, StartError>> {
  for (;;) {
    // What to undo, newest first, when the start fails and when the server closes.
    const closers: Closer[] = [];
    const opening: { node?: LogNode } = {};
    try {
      const started = await start(config, options, closers, opening);
      if (!started.ok) await closeAll(closers);
      return started;
    } catch (error) {
      const again = opening.node?.startsAnew === true;
      if (!again) options.log.event("start-failed", { error });
      await closeAll(closers);
      if (!again) return err(whyNotStarted(error, config.data));
    }
  }
}

function whyNotStarted(error: unknown, data: string): StartError {
  const unusable = whyUnusable(error, resolve(data));
  if (unusable !== undefined) return { code: "unusable", message: unusable };
  return { code: "internal", message: error instanceof Error ? error.message : String(error) };
}

type Closer = () => void | Promise<void>;

async function start(
  config: ServerConfig,
  { log, processMetrics }: RunOptions,
  closers: Closer[],
  opening: { node?: LogNode },
): Promise<Result<Life, StartError>> {
  const folder = await openDataDirectory({
    path: config.data,
    nodeName: config.id,
    alone: config.peers === undefined,
    entropy: SYSTEM_ENTROPY,
  });
  if (!folder.ok) return err({ code: folder.error.kind, message: folder.error.message });
  closers.push(folder.value.close);
  log.event("data-folder", { path: folder.value.path, node: folder.value.nodeName, created: folder.value.created });

  const watch = new Watch(log, processMetrics);
  closers.push(() => watch.metrics.stop());
  const startup = await listenEarly(config.listen, watch.health);
  if (!startup.ok) return startup;
  const leave = once(() => startup.value.close());
  closers.push(leave);

  const whole = await recovered(folder.value, watch);
  if (!whole.ok) return whole;
  const belonging = await openPeers({
    config,
    folder: whole.value,
    logId: LOG_ID,
    observer: watch.nodeObserver,
    whyNot: whyNotListening,
    onPeers: (statuses) => {
      watch.peers = statuses;
    },
    onClose: (close) => closers.push(close),
  });
  if (!belonging.ok) return belonging;
  const opened = await open(config, whole.value, belonging.value, watch, closers);
  if (!opened.ok) return opened;
  const node = opened.value;
  watch.node = node;
  opening.node = node;
  const failed = new Promise<Error>((resolve) => node.onFailure(resolve));
  closers.push(() => node.stop());
  await node.start();

  const secrets = await secretsOf(config, folder.value.path);
  if (secrets === undefined) watch.event("subscriptions-off", { needs: "--webhook-key-file" });
  const http = createHttpServer({
    node,
    access: accessOf(config),
    subscriptions: { secrets, policy: { allowLoopback: isLoopback(config.listen.host) } },
    zstd: SYSTEM_ZSTD,
    ...(config.publicUrl !== undefined && { publicUrl: config.publicUrl }),
    observer: watch.httpObserver,
    plugins: [watch.routes],
    upgrade: {
      path: WS_PATH,
      plugin: (requests) => wsRoute({ node, requests, observer: watch.httpObserver, zstd: SYSTEM_ZSTD }),
    },
  });
  await leave();
  closers.push(() => http.close());
  const { host, port } = startup.value.address;
  await http.listen({ host, port });
  closers.push(() => {
    watch.draining = true;
  });

  const url = `http://${formatHostPort({ host, port })}`;
  const { nodeName, clusterId } = belonging.value.identity;
  watch.event("ready", { url, node: nodeName, cluster: clusterId, position: node.position });
  if (config.insecure && config.token === undefined) watch.event("insecure", { url });
  const close = once(() => closeAll(closers));
  const startsAnew = (): boolean => node.startsAnew;
  return ok({ url, nodeName, clusterId, failed, close, listen: { host, port }, startsAnew });
}

/** A recovery that a crash has cut short is finished first. */
async function recovered(folder: DataDirectory, watch: Watch): Promise<Result<DataDirectory, StartError>> {
  if (folder.since?.kind !== "recovering") return ok(folder);
  const finished = await finishInFolder(folder, watch.nodeObserver);
  return finished.ok ? ok({ ...folder, ...finished.value }) : finished;
}

/** Of a cluster they are told, for a callback may come to another node than the one that signed for it. */
async function secretsOf({ webhookKey, peers }: ServerConfig, path: string): Promise<Secrets | undefined> {
  if (webhookKey !== undefined) return secretsOfKeys(webhookKey);
  return peers === undefined ? await loadSecrets(join(path, SECRETS_FOLDER)) : undefined;
}

async function open(
  config: ServerConfig,
  folder: DataDirectory,
  { identity, cluster }: Belonging,
  watch: Watch,
  closers: Closer[],
): Promise<Result<LogNode, StartError>> {
  const kv = openLmdbKv(join(folder.path, IMAGE_FOLDER), (reason) => watch.event("image-discarded", { reason }));
  closers.push(() => kv.close());
  const opened = await openNode({
    disk: folder.disk,
    kv,
    clock: SYSTEM_CLOCK,
    entropy: SYSTEM_ENTROPY,
    zstd: SYSTEM_ZSTD,
    logId: LOG_ID,
    clusterId: identity.clusterId,
    nodeName: folder.nodeName,
    diskId: folder.diskId,
    limits: {
      node: { ...NODE_LIMITS, lowWaterBytes: config.lowWaterBytes },
      log: { ...LOG_LIMITS, segmentBytes: config.segmentBytes },
      streams: STREAMS_LIMITS,
    },
    observer: watch.nodeObserver,
    ...(cluster && { cluster }),
    ...(identity.since !== undefined && { since: identity.since }),
    onProgress: (phase, done, total) => watch.progressed(phase, done, total),
  });
  return opened.ok ? opened : err({ code: opened.error.kind, message: `${folder.path}: ${opened.error.message}` });
}

async function listenEarly(listen: HostPort, health: Health): Promise<Result<StartupServer, StartError>> {
  try {
    return ok(await StartupServer.listen(listen, health));
  } catch (error) {
    const why = whyNotListening(error as NodeJS.ErrnoException);
    return err({ code: "cannot-listen", message: `${formatHostPort(listen)} ${why}` });
  }
}

function whyNotListening({ code = "", message }: NodeJS.ErrnoException): string {
  return LISTEN_ERRORS[code] ?? message;
}

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use by another program",
  EADDRNOTAVAIL: "is not an address of this machine",
  EACCES: "may not be listened on by this user",
  ENOTFOUND: "has no address",
};

function accessOf(config: ServerConfig): AccessConfig {
  if (config.token !== undefined) return { kind: "token", token: config.token };
  return isLoopback(config.listen.host) ? { kind: "loopback" } : { kind: "insecure" };
}

async function closeAll(closers: Closer[]): Promise<void> {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
}

/** However often it is called, it is done once. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}
