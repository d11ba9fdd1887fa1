/** The demo's app: `tidemark run` with two replicas, of which the one that commits is killed. Who that is, is asked of the log. */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { App } from "../index.ts";
import { TidemarkChild } from "./tidemark-child.ts";

const MODULE = fileURLToPath(new URL(`./04-delayed-flights${extname(import.meta.url)}`, import.meta.url));
const READY = /^ready /;
const REPLICAS = 2;
const ASK_EVERY_MS = 10;

/** The replica that made the last commit. */
export type Committer = {
  readonly replica: string;
  readonly processId: number;
  /** When that was seen, by the process's clock. */
  readonly seenMs: number;
};

export class DemoApp {
  readonly #app: App;
  readonly #child: TidemarkChild;
  readonly #signal: AbortSignal;

  private constructor(app: App, child: TidemarkChild, signal: AbortSignal) {
    this.#app = app;
    this.#child = child;
    this.#signal = signal;
  }

  /** Resolves when both replicas run; `signal` ends all waiting. */
  static async start(app: App, urls: readonly string[], signal: AbortSignal): Promise<DemoApp> {
    const args = ["run", MODULE, "--replicas", String(REPLICAS), "--url", urls.join(",")];
    return new DemoApp(app, await TidemarkChild.start(args, READY), signal);
  }

  /** Resolves once one has committed, and its process is known. */
  committer(except?: Committer): Promise<Committer> {
    return this.#eventually(async () => {
      const { tasks } = await this.#app.describe({ signal: this.#signal });
      const replica = tasks[0]?.committedBy;
      const seenMs = performance.now();
      if (replica === undefined || replica === except?.replica) return undefined;
      const reports = await this.#app.reports({ signal: this.#signal });
      const processId = reports.find((report) => report.replica === replica)?.process;
      return processId === undefined ? undefined : { replica, processId, seenMs };
    });
  }

  /** The process of each replica. */
  processIds(): Promise<readonly number[]> {
    return this.#eventually(async () => {
      const reports = await this.#app.reports({ signal: this.#signal });
      return reports.length < REPLICAS ? undefined : reports.map((report) => report.process);
    });
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }

  /** Its workers end when it does. */
  killNow(): void {
    this.#child.killNow();
  }

  async #eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
    for (;;) {
      this.#signal.throwIfAborted();
      const answer = await ask();
      if (answer !== undefined) return answer;
      await new Promise((resolve) => {
        setTimeout(resolve, ASK_EVERY_MS);
      });
    }
  }
}
