/**
 * Events at a steady rate into an app, and what comes out of it as a subscriber sees it: how long each took, or for how long nothing
 * came. It holds the app to its promise meanwhile: each event comes out once, in order.
 */
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { type Client, connect } from "../../client/index.ts";
import { SYSTEM_ZSTD } from "../../log-server/system.ts";
import { appendSteadily, TICK_MS } from "../open-loop.ts";
import { within } from "../processes.ts";
import { type BenchApp, type BenchEvent, type BenchOutput, outputOf } from "./apps.ts";

export type EventLoadOptions = {
  readonly url: string;
  readonly app: BenchApp;
  readonly eventsPerSecond: number;
  readonly eventOf: (n: number) => Omit<BenchEvent, "n" | "dueAt">;
  /** The output of an event with this number is the first of the load's. */
  readonly first: number;
};

export type Latencies = { readonly p50Ms: number; readonly p99Ms: number };

/** Of the outputs of events that are due until then; what comes later ends it. */
type Watch = {
  readonly untilMs: number;
  readonly see: (dueAt: number, nowMs: number) => void;
  readonly done: () => void;
};

const NANOSECONDS_PER_MS = 1e6;

export class EventLoad {
  readonly #writer: Client;
  readonly #reader: Client;
  readonly #end = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  #writing: Promise<void> = Promise.resolve();
  #next: number;
  #lastMs = performance.now();
  #watch: Watch | undefined;

  private constructor({ url, first }: EventLoadOptions) {
    this.#next = first;
    this.#writer = connect(url, { zstd: SYSTEM_ZSTD });
    this.#reader = connect(url, { zstd: SYSTEM_ZSTD });
    this.#failed.promise.catch(() => undefined);
  }

  static async start(options: EventLoadOptions): Promise<EventLoad> {
    const load = new EventLoad(options);
    const outputs = load.#reader.stream(outputOf(options.app)).subscribe({ from: options.first });
    await within("a subscription to the outputs", outputs.ready());
    const read = async (): Promise<void> => {
      for await (const batch of outputs.batches()) {
        const nowMs = performance.now();
        for (const { value } of batch) load.#see(JSON.parse(String(Buffer.from(value ?? []))) as BenchOutput, nowMs);
      }
    };
    const { app, eventsPerSecond, eventOf, first } = options;
    const input = load.#writer.stream(app.input);
    const startAt = performance.now() + TICK_MS;
    const pace = { recordsPerSecond: eventsPerSecond, startAt, total: Number.POSITIVE_INFINITY };
    load.#writing = appendSteadily({ ...pace, signal: load.#end.signal }, (n, dueAt) =>
      input.append(JSON.stringify({ n: first + n, dueAt, ...eventOf(first + n) } satisfies BenchEvent)),
    );
    for (const work of [read(), load.#writing]) work.catch(load.#failed.reject);
    return load;
  }

  /** How long the events took that are due within so long from now on: from then until they were out. */
  async latencies(ms: number): Promise<Latencies> {
    const latency: RecordableHistogram = createHistogram();
    const fromMs = performance.now();
    await this.#seen(fromMs + ms, (dueAt, nowMs) => {
      if (dueAt >= fromMs) latency.record(Math.max(1, Math.round((nowMs - dueAt) * NANOSECONDS_PER_MS)));
    });
    const at = (percentile: number): number => latency.percentile(percentile) / NANOSECONDS_PER_MS;
    return { p50Ms: at(50), p99Ms: at(99) };
  }

  /** The longest time that nothing came out, from the output before this on until all is out that is due within so long. */
  async longestGap(ms: number): Promise<number> {
    let longestMs = 0;
    let lastMs = this.#lastMs;
    await this.#seen(performance.now() + ms, (_, nowMs) => {
      longestMs = Math.max(longestMs, nowMs - lastMs);
      lastMs = nowMs;
    });
    return longestMs;
  }

  /** Rejects when the load fails meanwhile: of what it does not do, nothing comes. */
  during<Result>(work: Promise<Result>): Promise<Result> {
    return Promise.race([work, this.#failed.promise]);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await within("events to be appended", this.#writing);
    await Promise.all([this.#writer.close(), this.#reader.close()]);
  }

  #seen(untilMs: number, see: Watch["see"]): Promise<void> {
    const all = new Promise<void>((resolve) => {
      this.#watch = { untilMs, see, done: resolve };
    });
    return this.during(within("outputs of the load's events", all));
  }

  #see({ n, dueAt }: BenchOutput, nowMs: number): void {
    if (n !== this.#next) throw new Error(`event ${n} came out where ${this.#next} is next`);
    this.#next += 1;
    this.#watch?.see(dueAt, nowMs);
    this.#lastMs = nowMs;
    if (this.#watch === undefined || dueAt < this.#watch.untilMs) return;
    this.#watch.done();
    this.#watch = undefined;
  }
}
