/** An app on a cluster for as long as it is measured: its streams, and its workers, each a process of its own. */
import { deploy } from "../../client/cli/run/deploy.ts";
import { type Client, connect } from "../../client/index.ts";
import { SYSTEM_ZSTD } from "../../log-server/system.ts";
import { type RunningServer, startServer, wait } from "../processes.ts";
import { type BenchApp, topologyOf } from "./apps.ts";
import type { WorkerOptions } from "./worker.ts";

export type Worker = Pick<RunningServer, "stop" | "tell"> & { readonly replica: string };

/** How a worker differs from those that users run. */
export type WorkerVariant = Partial<Pick<WorkerOptions, "commits" | "snapshotEveryMs">> & {
  readonly script?: "worker.ts" | "worker-without-digests.ts";
};

const ASK_AGAIN_MS = 20;

export class RunningApp {
  readonly app: BenchApp;
  readonly client: Client;
  readonly #url: string;
  readonly #workers = new Set<Worker>();

  private constructor(url: string, app: BenchApp) {
    this.app = app;
    this.#url = url;
    this.client = connect(url, { zstd: SYSTEM_ZSTD });
  }

  /** Its streams are there and it is deployed; nothing runs it yet. */
  static async deploy(url: string, app: BenchApp): Promise<RunningApp> {
    const running = new RunningApp(url, app);
    await running.client.stream(app.input).create({ contentType: "application/json" });
    const topology = topologyOf(app);
    await deploy(running.client, topology, { poison: "dead-letter" }, new AbortController().signal);
    return running;
  }

  get workers(): readonly Worker[] {
    return [...this.#workers];
  }

  /** Resolves when it has come to where the app is committed. */
  async start({ script = "worker.ts", ...variant }: WorkerVariant = {}): Promise<Worker> {
    const options: WorkerOptions = { url: this.#url, app: this.app, commits: "transactions", ...variant };
    const { url, tell, stop } = await startServer(`bench/operators/${script}`, [JSON.stringify(options)]);
    const worker: Worker = {
      replica: url.pathname,
      tell,
      stop: (signal) => {
        this.#workers.delete(worker);
        return stop(signal);
      },
    };
    this.#workers.add(worker);
    return worker;
  }

  /** Who made the last commit, once one of those that run has. */
  async committing(): Promise<Worker> {
    for (;;) {
      const { tasks } = await this.client.app(this.app.name).describe();
      const found = this.workers.find(({ replica }) => replica === tasks[0]?.committedBy);
      if (found !== undefined) return found;
      await wait(ASK_AGAIN_MS);
    }
  }

  /** Resolves when so many of its outputs are committed. */
  async reached(outputs: number): Promise<void> {
    for (;;) {
      const { tasks } = await this.client.app(this.app.name).describe();
      if ((tasks[0]?.place.outputs ?? 0) >= outputs) return;
      await wait(ASK_AGAIN_MS);
    }
  }

  async stop(): Promise<void> {
    for (const worker of this.workers) await worker.stop();
    await this.client.close();
  }
}
