/** An app on a cluster for as long as it is measured: its streams, and its workers, each a process of its own. */
import { deploy } from "../../client/cli/run/deploy.ts";
import { type AppTaskDescription, type Client, connect } from "../../client/index.ts";
import { SYSTEM_ZSTD } from "../../log-server/system.ts";
import type { Offset } from "../../src/record/offset.ts";
import { answered, type RunningServer, startServer, within } from "../processes.ts";
import { type BenchApp, topologyOf } from "./apps.ts";
import type { WorkerOptions } from "./worker.ts";

export type Worker = Pick<RunningServer, "stop" | "tell"> & { readonly replica: string };

/** How a worker differs from those that users run. */
export type WorkerVariant = Partial<Pick<WorkerOptions, "commits" | "snapshotEveryMs">> & {
  readonly script?: "worker.ts" | "worker-without-digests.ts";
};

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
    const deployed = deploy(running.client, topology, { poison: "dead-letter" }, new AbortController().signal);
    await within(`${app.name} to be deployed`, deployed);
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
  committing(): Promise<Worker> {
    return this.#told("a commit of a worker that runs", ({ committedBy }) =>
      this.workers.find(({ replica }) => replica === committedBy),
    );
  }

  /** Resolves when so many of its outputs are committed. */
  async reached(outputs: number): Promise<void> {
    await this.#told(`${outputs} outputs of ${this.app.name}`, ({ place }) => place.outputs >= outputs || undefined);
  }

  /** Resolves when so many more snapshots stand. */
  async newSnapshots(count: number): Promise<void> {
    let last: Offset | undefined;
    for (let more = 0; more <= count; more += 1) {
      last = await this.#told(`snapshot ${more} of ${count}`, ({ verified, snapshot }) => {
        const newest = Math.max(verified?.manifest ?? -1, snapshot?.manifest ?? -1);
        return last === undefined || newest > last ? newest : undefined;
      });
    }
  }

  async stop(): Promise<void> {
    for (const worker of this.workers) await worker.stop();
    await this.client.close();
  }

  #told<Fact>(what: string, find: (task: AppTaskDescription) => Fact | undefined): Promise<Fact> {
    return answered(what, async () => {
      const { tasks } = await this.client.app(this.app.name).describe();
      return tasks[0] && find(tasks[0]);
    });
  }
}
