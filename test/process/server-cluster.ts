/** A cluster of servers as processes, on loopback, and what its tests do with it. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { ROOT } from "../source-tree.ts";
import { temporaryFolder } from "./folders.ts";
import { freePorts } from "./free-ports.ts";
import { append, describe as shown, send } from "./http.ts";
import { Server } from "./server.ts";

export const NAMES = ["n1", "n2", "n3"] as const;
/** One joins later. */
const ALL = [...NAMES, "n4"] as readonly string[];
export const STREAM = "flights";
export const LOOK_EVERY_MS = 50;
export const PATIENCE_MS = 30_000;

export class Cluster {
  readonly #folder = temporaryFolder();
  readonly #ports: readonly number[];
  readonly servers = new Map<string, Server>();

  readonly #limits: Readonly<Record<string, number>>;
  /** What each is told beside addresses. */
  readonly #argsOf: (name: string) => readonly string[];

  private constructor(
    ports: readonly number[],
    limits: Readonly<Record<string, number>>,
    argsOf: (name: string) => readonly string[],
  ) {
    this.#ports = ports;
    this.#limits = limits;
    this.#argsOf = argsOf;
  }

  static async started(
    limits: Readonly<Record<string, number>> = {},
    argsOf: (name: string) => readonly string[] = () => [],
  ): Promise<Cluster> {
    const cluster = new Cluster(await freePorts(2 * ALL.length), limits, argsOf);
    for (const name of NAMES) cluster.spawn(name);
    await Promise.all(NAMES.map((name) => cluster.server(name).ready()));
    return cluster;
  }

  addressOf(name: string): string {
    return `127.0.0.1:${this.#ports[ALL.indexOf(name)]}`;
  }

  /** Where it serves, whether it is up or not. */
  listenOf(name: string): string {
    return `127.0.0.1:${this.#ports[ALL.length + ALL.indexOf(name)]}`;
  }

  spawn(name: string): Server {
    const names = new Set([...NAMES, name]);
    const peers = [...names].map((each) => `${each}=${this.addressOf(each)}`).join(",");
    const peerListen = this.addressOf(name);
    const args = ["--id", name, "--peer-listen", peerListen, "--peers", peers, ...this.#argsOf(name)];
    const server = Server.spawn(this.dataOf(name), { listen: this.listenOf(name), args, limits: this.#limits });
    this.servers.set(name, server);
    return server;
  }

  dataOf(name: string): string {
    return join(this.#folder, name);
  }

  server(name: string): Server {
    const server = this.servers.get(name);
    if (server === undefined) throw new Error(`no server ${name}`);
    return server;
  }

  async metricsOf(name: string): Promise<string> {
    const { body } = await send(`${this.server(name).url}/metrics`, { method: "GET" });
    return Buffer.from(body).toString();
  }

  /** Which of these leads, by its metrics, once one does. */
  async leader(among: readonly string[] = NAMES): Promise<string> {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(LOOK_EVERY_MS)) {
      for (const name of among) {
        if (/^tidemark_raft_is_leader(?:\{.*\})? 1$/m.test(await this.metricsOf(name))) return name;
      }
    }
    throw new Error(`no leader among ${among.join(", ")}`);
  }
}

/** Acknowledged, and if it takes a new leader to do so. */
export async function appended(url: string, sequence: number): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; ;) {
    const producer = { id: "p", epoch: 0, sequence };
    const answer = await append(url, STREAM, { body: JSON.stringify(sequence), producer }).catch(
      (error: unknown) => error,
    );
    const status = answer instanceof Error ? 0 : (answer as Awaited<ReturnType<typeof append>>).status;
    // 204: it was there already, from an attempt whose answer was lost.
    if (status === 200 || status === 204) return;
    if (Date.now() > end) throw new Error(`not appended: ${status === 0 ? String(answer) : shown(answer as never)}`);
    await sleep(LOOK_EVERY_MS);
  }
}

export type View = { readonly members: readonly { readonly node: string; readonly role: string }[] };

/** What a command line of `tidemark` prints. */
export async function cli(args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, "client/cli/bin.ts"), ...args]);
  return stdout;
}

export function others(name: string): string[] {
  return NAMES.filter((each) => each !== name);
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, sequence) => sequence);
}
