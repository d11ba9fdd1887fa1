/**
 * A server inside a process: for users' tests, and for programs that bring their own. A temporary folder and a free
 * port unless told otherwise; nothing is logged unless someone listens.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OPTIONS, type ServerConfig } from "./config/config.ts";
import { exposedProblem } from "./config/load.ts";
import { isLoopback, parseHostPort, parseToken } from "./config/values.ts";
import { type RunningServer, runServer } from "./run-server.ts";

export type StartOptions = {
  /** Default: a temporary folder, removed at the end. */
  readonly dataDirectory?: string;
  /** `HOST:PORT`. Default: this machine, a free port. */
  readonly listen?: string;
  readonly nodeName?: string;
  /** What clients must present. Default: nothing. */
  readonly token?: string;
  /** Without a token, listening beyond this machine must be meant. */
  readonly insecure?: boolean;
  /** How large a segment file of the log is. Default 64 MiB; 4 MiB in a temporary folder. */
  readonly segmentBytes?: number;
  /** What would be a line in a server's log. */
  readonly onEvent?: (code: string, detail: Readonly<Record<string, unknown>>) => void;
};

export type RunningNode = {
  /** `http://HOST:PORT` */
  readonly url: string;
  readonly nodeName: string;
  readonly clusterId: string;
  readonly dataDirectory: string;
  /** Resolves if the node can no longer go on, for one a disk that failed. */
  readonly failed: Promise<Error>;
  /** Finishes what is under way and syncs. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

const TEMPORARY_SEGMENT_BYTES = 4 * 1024 * 1024;
const LISTEN_DEFAULT = "127.0.0.1:0";

/** Starts a node; resolves once it serves. Rejects with an `Error` that says in one line why it cannot. */
export async function startNode(options: StartOptions = {}): Promise<RunningNode> {
  const temporary = options.dataDirectory === undefined;
  const dataDirectory = options.dataDirectory ?? (await mkdtemp(join(tmpdir(), "tidemark-")));
  const removeTemporary = async (): Promise<void> => {
    if (temporary) await rm(dataDirectory, { recursive: true, force: true });
  };
  let server: RunningServer;
  try {
    const config = configOf(options, dataDirectory, temporary);
    const log = { event: (code: string, detail = {}) => options.onEvent?.(code, detail) };
    const started = await runServer(config, { log, processMetrics: false });
    if (!started.ok) throw new Error(started.error.message);
    server = started.value;
  } catch (error) {
    await removeTemporary();
    throw error;
  }
  const close = async (): Promise<void> => {
    await server.close();
    await removeTemporary();
  };
  const { url, nodeName, clusterId, failed } = server;
  return { url, nodeName, clusterId, dataDirectory, failed, close, [Symbol.asyncDispose]: close };
}

function configOf(options: StartOptions, data: string, temporary: boolean): ServerConfig {
  const listen = parseHostPort(options.listen ?? LISTEN_DEFAULT);
  if (!listen.ok) throw new Error(`listen ${listen.error}`);
  const token = options.token === undefined ? undefined : parseToken(options.token);
  if (token?.ok === false) throw new Error(`token ${token.error}`);
  const config: ServerConfig = {
    data,
    listen: listen.value,
    id: options.nodeName,
    peerListen: undefined,
    peers: undefined,
    peerTlsCert: undefined,
    peerTlsKey: undefined,
    peerTlsCa: undefined,
    token: token?.value,
    webhookKey: undefined,
    insecure: options.insecure ?? false,
    publicUrl: undefined,
    logLevel: OPTIONS.logLevel.fallback,
    lowWaterBytes: OPTIONS.lowWaterBytes.fallback,
    segmentBytes: options.segmentBytes ?? (temporary ? TEMPORARY_SEGMENT_BYTES : OPTIONS.segmentBytes.fallback),
  };
  if (config.token === undefined && !config.insecure && !isLoopback(config.listen.host))
    throw new Error(exposedProblem(config));
  return config;
}
