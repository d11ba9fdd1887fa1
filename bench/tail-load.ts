/** A process that appends at a steady rate and subscribes to what it appends, over a connection of its own. */
import { createHistogram, performance } from "node:perf_hooks";
import { connect } from "../client/index.ts";
import { appendSteadily, TICK_MS } from "./open-loop.ts";

export type TailLoadOptions = {
  readonly url: string;
  readonly recordBytes: number;
  readonly recordsPerSecond: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
};

export type TailLoadResult = { readonly p50Ms: number; readonly p99Ms: number; readonly records: number };

const NANOSECONDS_PER_MS = 1e6;
const MS_PER_SECOND = 1_000;

async function run(options: TailLoadOptions): Promise<TailLoadResult> {
  const { url, warmUpMs, measureMs, recordsPerSecond } = options;
  const writer = connect(url);
  const reader = connect(url);
  const name = `bench/${process.pid}`;
  await writer.stream(name).create();
  const latency = createHistogram();
  const total = Math.floor(((warmUpMs + measureMs) * recordsPerSecond) / MS_PER_SECOND);
  const subscription = reader.stream(name).subscribe();
  await subscription.ready();

  const startAt = performance.now() + TICK_MS;
  const stream = writer.stream(name);
  const write = (): Promise<void> =>
    appendSteadily({ recordsPerSecond, startAt, total }, (_, dueAt) => {
      const value = new Uint8Array(options.recordBytes);
      new DataView(value.buffer).setFloat64(0, dueAt);
      return stream.append(value);
    });
  const read = async (): Promise<void> => {
    let received = 0;
    for await (const { value } of subscription) {
      if (value === null) throw new Error("a record came back as a tombstone");
      const dueAt = new DataView(value.buffer, value.byteOffset).getFloat64(0);
      const ms = performance.now() - dueAt;
      if (dueAt - startAt >= warmUpMs) latency.record(Math.max(1, Math.round(ms * NANOSECONDS_PER_MS)));
      received += 1;
      if (received === total) return;
    }
  };
  await Promise.all([write(), read()]);
  await Promise.all([writer.close(), reader.close()]);
  const at = (percentile: number): number => latency.percentile(percentile) / NANOSECONDS_PER_MS;
  return { p50Ms: at(50), p99Ms: at(99), records: latency.count };
}

if (import.meta.main) {
  console.log(JSON.stringify(await run(JSON.parse(process.argv[2] as string) as TailLoadOptions)));
}
