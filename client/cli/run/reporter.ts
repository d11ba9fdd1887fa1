/** Tells the log now and then how the replicas of a run go, for `tidemark apps show`, wherever that is asked. Nothing waits for it. */
import { hostname } from "node:os";
import { statusStream } from "../../../src/wire/app-streams.ts";
import type { Client } from "../../client.ts";
import type { CallOptions } from "../../deadline.ts";
import type { Stream } from "../../stream.ts";
import type { ToldReport } from "../../apps/worker-report.ts";
import type { WorkerSample } from "./replica-reports.ts";

const REPORT_EVERY_MS = 2_000;
/** With more replicas it is told of them less often, so that reports stay few beside what they tell of. */
const REPLICAS_PER_REPORT = 128;
const END_TIMEOUT_MS = 1_000;

export class Reporter {
  readonly everyMs: number;
  readonly #stream: Stream;
  readonly #host = hostname();
  #telling = false;
  /** Those of which the log was told that they run. */
  #running: readonly WorkerSample[] = [];

  constructor(client: Client, app: string, replicas: number) {
    this.#stream = client.stream(statusStream(app));
    this.everyMs = REPORT_EVERY_MS * Math.ceil(replicas / REPLICAS_PER_REPORT);
  }

  /** One at a time: while the log cannot be reached, what would have been told is forgotten, but for the last word on those that are gone. */
  async tell(samples: readonly WorkerSample[], call: CallOptions): Promise<void> {
    if (this.#telling) return;
    this.#telling = true;
    const there = new Set(samples.map(({ replica }) => replica));
    const gone = this.#running.filter(({ replica }) => !there.has(replica));
    const records = [...samples, ...gone.map(ended)].flatMap(({ replica, process, tasks }) => {
      if (replica === undefined || process === undefined) return [];
      const json: ToldReport = { host: this.#host, process, everyMs: this.everyMs, tasks };
      return [{ key: replica, json }];
    });
    try {
      if (records.length > 0) await this.#stream.append(records, call);
      this.#running = samples;
    } catch {
      // Another time. Where the stream is missing the app was deleted, or reset, which makes it anew.
    } finally {
      this.#telling = false;
    }
  }

  /** The last word: these run no more. */
  async tellEnd(samples: readonly WorkerSample[]): Promise<void> {
    await this.tell(samples.map(ended), { timeout: END_TIMEOUT_MS });
  }
}

/** What told why it ended keeps saying so. */
function ended(sample: WorkerSample): WorkerSample {
  const tasks = sample.tasks.map((report) => (report.why === undefined ? { ...report, state: "stopped" } : report));
  return { ...sample, tasks };
}
