/** The nodes of one cluster, each a process of its own on this machine. */
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { answered, type RunningServer, startServer } from "./processes.ts";

export type ClusterNode = {
  readonly name: string;
  readonly url: URL;
  /** One sample of its metrics, by name and labels; undefined: it does not show it. */
  readonly metric: (sample: string) => Promise<number | undefined>;
  /** At once, and resolves when it has ended. */
  readonly kill: () => Promise<void>;
  /** The same, and its disk is lost. */
  readonly wipe: () => Promise<void>;
  /** On the same data; resolves when it is up to date. */
  readonly restart: () => Promise<void>;
};

export type TidemarkCluster = {
  readonly nodes: readonly ClusterNode[];
  /** Resolves when there is one. */
  readonly leader: () => Promise<ClusterNode>;
  readonly stop: () => Promise<void>;
};

class Node implements ClusterNode {
  readonly name: string;
  readonly #data: string;
  readonly #args: readonly string[];
  #server: RunningServer | undefined;

  constructor(name: string, data: string, args: readonly string[]) {
    this.name = name;
    this.#data = data;
    // Nodes are killed here, of which the others warn.
    this.#args = ["serve", "--id", name, "--data", data, ...args, "--log-level", "error"];
  }

  get url(): URL {
    if (this.#server === undefined) throw new Error("the node does not run");
    return this.#server.url;
  }

  async restart(): Promise<void> {
    this.#server = await startServer("client/cli/bin.ts", this.#args);
  }

  async kill(): Promise<void> {
    await this.stop("SIGKILL");
  }

  async wipe(): Promise<void> {
    await this.kill();
    await rm(this.#data, { recursive: true });
  }

  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.stop(signal);
  }

  async metric(sample: string): Promise<number | undefined> {
    if (this.#server === undefined) return undefined;
    const scrape = await (await fetch(new URL("/metrics", this.#server.url))).text();
    const line = scrape.split("\n").find((each) => each.startsWith(`${sample} `));
    return line === undefined ? undefined : Number(line.slice(sample.length));
  }

  async leads(): Promise<boolean> {
    return (await this.metric("tidemark_raft_is_leader")) === 1;
  }
}

/** So many nodes on data folders in `folder`, which found a cluster. Resolves when all serve. */
export async function startTidemarkCluster(folder: string, size: number): Promise<TidemarkCluster> {
  const ports = await freePorts(size);
  const peers = ports.map((port, at) => `n${at + 1}=127.0.0.1:${port}`).join(",");
  const nodes = ports.map((port, at) => {
    const name = `n${at + 1}`;
    const listen = ["--listen", "127.0.0.1:0", "--peer-listen", `127.0.0.1:${port}`, "--peers", peers];
    return new Node(name, join(folder, name), listen);
  });
  await Promise.all(nodes.map((node) => node.restart()));
  return {
    nodes,
    leader: () =>
      answered("a leader", async () => {
        for (const node of nodes) if (await node.leads()) return node;
        return undefined;
      }),
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop("SIGTERM")));
    },
  };
}

/** Ports of this machine that nobody listens on now. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) server.close();
  return ports;
}
