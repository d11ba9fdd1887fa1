/**
 * Whoever watches a server, wired to whom they watch: the node's and the faces' observers feed metrics and the log,
 * health and metrics get their routes.
 */
import type { HttpServerOptions } from "./http/server.ts";
import type { HttpObserver } from "./http/observer.ts";
import type { LogNode } from "./node/log-node.ts";
import type { NodeStatus } from "./node/node-status.ts";
import type { NodeObserver } from "./node/observer.ts";
import { Health } from "./observe/health.ts";
import type { Detail, EventLog } from "./observe/logging.ts";
import { Metrics } from "./observe/metrics.ts";
import type { PeerFacts } from "./observe/replication-metrics.ts";
import { type Progress, ProgressMeter } from "./observe/progress.ts";
import { SYSTEM_CLOCK } from "./system.ts";

type Routes = NonNullable<HttpServerOptions["plugins"]>[number];

/** Between two lines of progress in the log. */
const PROGRESS_EVERY_MS = 1_000;

export class Watch {
  readonly metrics: Metrics;
  readonly health: Health;
  /** Set once the log is open. */
  node: LogNode | undefined;
  /** Set once there are connections to other nodes. */
  peers: (() => readonly PeerFacts[]) | undefined;
  draining = false;
  readonly #log: EventLog;
  readonly #meter = new ProgressMeter(SYSTEM_CLOCK, "open");
  #progressLoggedAt = Number.NEGATIVE_INFINITY;

  constructor(log: EventLog, processMetrics: boolean) {
    this.#log = log;
    const status = (): NodeStatus | undefined => this.node?.status();
    const progress = (): Progress => this.#progress();
    this.metrics = new Metrics({ status, progress, peers: () => this.peers?.() ?? [], processMetrics });
    this.health = new Health({ status, progress, draining: () => this.draining });
  }

  event(code: string, detail: Detail): void {
    this.metrics.event(code, detail);
    this.#log.event(code, detail);
  }

  /** How far the opening is. Seen in `/readyz?verbose` at once, in the log now and then. */
  progressed(phase: string, done: number, total: number): void {
    this.#meter.update(phase, done, total);
    const now = SYSTEM_CLOCK.monotonic();
    if (now - this.#progressLoggedAt < PROGRESS_EVERY_MS) return;
    this.#progressLoggedAt = now;
    this.#log.event("recovery-progress", { ...this.#meter.progress });
  }

  get nodeObserver(): NodeObserver {
    const { metrics } = this;
    return {
      proposed: (result, milliseconds) => metrics.proposed(result, milliseconds),
      synced: (entries, bytes, milliseconds) => metrics.synced(entries, bytes, milliseconds),
      event: (code, detail) => this.event(code, detail),
    };
  }

  get httpObserver(): HttpObserver {
    const { metrics } = this;
    return {
      appended: (records, bytes) => metrics.appended(records, bytes),
      read: (records, bytes) => metrics.read(records, bytes),
      liveReaders: (change) => metrics.liveReaders(change),
      slowReaderDropped: () => metrics.slowReaderDropped(),
      webhook: (outcome) => metrics.webhook(outcome),
      event: (code, detail) => this.event(code, detail),
    };
  }

  /** `/livez`, `/readyz`, `/metrics`. */
  get routes(): Routes {
    return async (server) => {
      for (const path of ["/livez", "/readyz"]) {
        server.get(path, (request, reply) => {
          const found = this.health.answer(request.raw.url ?? "");
          void reply
            .code(found?.status ?? 404)
            .header("cache-control", "no-store")
            .type("application/json")
            .send(found?.body ?? "");
        });
      }
      server.get("/metrics", async (_request, reply) => {
        return reply
          .header("cache-control", "no-store")
          .type(this.metrics.contentType)
          .send(await this.metrics.text());
      });
    };
  }

  /** The node's own once it re-applies, before that the log's. */
  #progress(): Progress {
    const { node } = this;
    if (node !== undefined && node.phase === "recovering") {
      const { phase, done, total } = node.status().progress;
      this.#meter.update(phase, done, total);
    } else if (node !== undefined) {
      this.#meter.update(node.phase, 0, 0);
    }
    return this.#meter.progress;
  }
}
