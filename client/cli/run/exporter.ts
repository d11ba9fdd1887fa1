/** Serves a run's metrics, and asks the log meanwhile for what only it knows: snapshots, and how far the inputs reach. */
import type { HostPort } from "../../../log-server/config/values.ts";
import { Rounds } from "../../../log-server/node/rounds.ts";
import { SYSTEM_CLOCK } from "../../../log-server/system.ts";
import type { Graph } from "../../../src/operators/engine/graph.ts";
import { taskSpecsOf } from "../../../src/runtime/app-streams.ts";
import type { Client } from "../../client.ts";
import { inputEnds } from "../../apps/input-ends.ts";
import { AppMetrics } from "./app-metrics.ts";
import { MetricsServer } from "./metrics-server.ts";

const ASK_EVERY_MS = 2_000;

export class Exporter {
  readonly metrics: AppMetrics;
  readonly #server: MetricsServer;
  readonly #asking: Rounds;

  private constructor(metrics: AppMetrics, server: MetricsServer, ask: () => Promise<void>) {
    this.metrics = metrics;
    this.#server = server;
    // Where the log cannot be asked, what it said before stands.
    this.#asking = new Rounds(SYSTEM_CLOCK, { everyMs: ASK_EVERY_MS, work: ask, failed: () => undefined });
    this.#asking.start();
  }

  /** Resolves when it serves; `signal` ends what it asks. */
  static async listen(place: HostPort, client: Client, graph: Graph, signal: AbortSignal): Promise<Exporter> {
    const metrics = new AppMetrics(graph);
    const inputs = taskSpecsOf(graph).flatMap((task) => task.inputs);
    return new Exporter(metrics, await MetricsServer.listen(place, metrics.set), async () => {
      const [app, ends] = await Promise.all([
        client.app(graph.app).describe({ signal }),
        inputEnds((stream) => client.stream(stream), inputs, { signal }),
      ]);
      metrics.asked(app.tasks, ends);
    });
  }

  get url(): string {
    return this.#server.url;
  }

  async close(): Promise<void> {
    // What it asks just now ends with the client.
    void this.#asking.stop();
    await this.#server.close();
  }
}
