/** The nodes of one cluster, each a process of its own on this machine. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { type RunningServer, startServer, wait } from "./processes.ts";

export type ClusterNode = {
  readonly url: URL;
  /** At once, and resolves when it has ended. */
  readonly kill: () => Promise<void>;
  /** On the same data; resolves when it is up to date. */
  readonly restart: () => Promise<void>;
};

export type TidemarkCluster = {
  readonly nodes: readonly ClusterNode[];
  /** Resolves when there is one. */
  readonly leader: () => Promise<ClusterNode>;
  readonly stop: () => Promise<void>;
};

const ASK_AGAIN_MS = 50;

class Node implements ClusterNode {
  readonly #args: readonly string[];
  #server: RunningServer | undefined;

  constructor(args: readonly string[]) {
    this.#args = args;
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

  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.stop(signal);
  }

  async leads(): Promise<boolean> {
    if (this.#server === undefined) return false;
    const metrics = await (await fetch(new URL("/metrics", this.#server.url))).text();
    return /^tidemark_raft_is_leader 1$/m.test(metrics);
  }
}

/** So many nodes on data folders in `folder`, which found a cluster. Resolves when all serve. */
export async function startTidemarkCluster(folder: string, size: number): Promise<TidemarkCluster> {
  const ports = await freePorts(size);
  const peers = ports.map((port, at) => `n${at + 1}=127.0.0.1:${port}`).join(",");
  const nodes = ports.map((port, at) => {
    const id = `n${at + 1}`;
    const listen = ["--listen", "127.0.0.1:0", "--peer-listen", `127.0.0.1:${port}`, "--peers", peers];
    return new Node(["serve", "--id", id, "--data", join(folder, id), ...listen, "--log-level", "warn"]);
  });
  await Promise.all(nodes.map((node) => node.restart()));
  return {
    nodes,
    leader: async () => {
      for (;;) {
        for (const node of nodes) if (await node.leads()) return node;
        await wait(ASK_AGAIN_MS);
      }
    },
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
