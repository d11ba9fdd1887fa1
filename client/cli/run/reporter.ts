/** Tells the log now and then how the replicas of a run go, for `tidemark apps show`, wherever that is asked. Nothing waits for it. */
import { hostname } from "node:os";
import { statusStream } from "../../../src/wire/app-streams.ts";
import type { Client } from "../../client.ts";
import { asTidemarkError } from "../../error.ts";
import type { CallOptions } from "../../deadline.ts";
import type { ToldReport } from "../../worker-report.ts";
import type { WorkerSample } from "./replica-reports.ts";

const REPORT_EVERY_MS = 2_000;
/** With more replicas it is told of them less often, so that reports stay few beside what they tell of. */
const REPLICAS_PER_REPORT = 128;
const END_TIMEOUT_MS = 1_000;
/** The last ones stay, of those, too, who died. */
const KEPT_BYTES = 4 * 1024 * 1024;

export class Reporter {
  readonly everyMs: number;
  readonly #client: Client;
  readonly #stream: string;
  readonly #host = hostname();
  #telling = false;

  constructor(client: Client, app: string, replicas: number) {
    this.#client = client;
    this.#stream = statusStream(app);
    this.everyMs = REPORT_EVERY_MS * Math.ceil(replicas / REPLICAS_PER_REPORT);
  }

  /** One at a time: while the log cannot be reached, what would have been told is forgotten. */
  async tell(samples: readonly WorkerSample[], call: CallOptions): Promise<void> {
    if (this.#telling) return;
    this.#telling = true;
    const records = samples.flatMap(({ replica, process, tasks }) => {
      if (replica === undefined || process === undefined) return [];
      const json: ToldReport = { host: this.#host, process, everyMs: this.everyMs, tasks };
      return [{ key: replica, json }];
    });
    try {
      if (records.length > 0) await this.#append(records, call);
    } catch {
      // Another time.
    } finally {
      this.#telling = false;
    }
  }

  /** The last word: these run no more. */
  async tellEnd(samples: readonly WorkerSample[]): Promise<void> {
    const ended = samples.map((sample) => {
      return { ...sample, tasks: sample.tasks.map((report) => ({ ...report, state: "stopped" })) };
    });
    await this.tell(ended, { timeout: END_TIMEOUT_MS });
  }

  /** The stream is made where it is missing: for the first time, or after a reset. */
  async #append(
    records: readonly { readonly key: string; readonly json: ToldReport }[],
    call: CallOptions,
  ): Promise<void> {
    const stream = this.#client.stream(this.#stream);
    try {
      await stream.append(records, call);
    } catch (error) {
      if (asTidemarkError(error).code !== "stream-not-found") throw error;
      await stream.create({ contentType: "application/json", retention: { maxBytes: KEPT_BYTES }, ...call });
      await stream.append(records, call);
    }
  }
}
