/** Three whole servers in this process, on real disks and sockets: for what they show together. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { loadConfig } from "../../log-server/config/load.ts";
import { type RunningServer, runServer } from "../../log-server/run-server.ts";
import { freePorts } from "../process/free-ports.ts";

const NAMES = ["n1", "n2", "n3"] as const;
const LOOK_EVERY_MS = 20;
const HOST = "127.0.0.1";

export class LiveCluster {
  readonly names: readonly string[] = NAMES;
  readonly #folder: string;
  readonly #servers: ReadonlyMap<string, RunningServer>;

  private constructor(folder: string, servers: ReadonlyMap<string, RunningServer>) {
    this.#folder = folder;
    this.#servers = servers;
  }

  /** Resolves when all serve. */
  static async started(): Promise<LiveCluster> {
    const folder = await mkdtemp(join(tmpdir(), "tidemark-ops-"));
    const ports = await freePorts(NAMES.length);
    const addresses = NAMES.map((_, at) => `${HOST}:${ports[at]}`);
    const peers = NAMES.map((node, at) => `${node}=${addresses[at]}`).join(",");
    const log = { event: () => undefined };
    const servers = await Promise.all(
      NAMES.map(async (node, at) => {
        const member = ["--id", node, "--peer-listen", addresses[at] as string, "--peers", peers];
        const own = ["--data", join(folder, node), "--listen", `${HOST}:0`, "--segment-bytes", "1MiB"];
        const loaded = loadConfig({ args: [...own, ...member], env: {}, readFile: noFile });
        if (!loaded.ok) throw new Error(loaded.error.join("\n"));
        const started = await runServer(loaded.value.config, { log, processMetrics: false });
        if (!started.ok) throw new Error(started.error.message);
        return [node, started.value] as const;
      }),
    );
    return new LiveCluster(folder, new Map(servers));
  }

  urlOf(name: string): string {
    return this.#servers.get(name)?.url ?? "";
  }

  /** What each shows, by its name. */
  async scrapes(): Promise<ReadonlyMap<string, string>> {
    const texts = this.names.map(async (name) => {
      const answer = await fetch(`${this.urlOf(name)}/metrics`);
      return [name, await answer.text()] as const;
    });
    return new Map(await Promise.all(texts));
  }

  async roles(): Promise<{ readonly leader: string; readonly others: readonly [string, string] }> {
    let leader: string | undefined;
    await this.until((scrapes) => {
      leader = this.names.find((name) => /^tidemark_raft_is_leader 1$/m.test(scrapes.get(name) ?? ""));
      return leader !== undefined;
    });
    return { leader: leader as string, others: this.names.filter((name) => name !== leader) as [string, string] };
  }

  /** The test's own limit of time ends it. */
  async until(holds: (scrapes: ReadonlyMap<string, string>) => boolean): Promise<void> {
    while (!holds(await this.scrapes())) await sleep(LOOK_EVERY_MS);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server.close()));
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function noFile(path: string): never {
  throw new Error(`nothing names ${path}`);
}
