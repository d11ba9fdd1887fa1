/**
 * A process that appends at a steady rate and subscribes to what it appends, over a connection of its own. An open loop:
 * it waits for no acknowledgement, and a record's time begins when the tick that appends it was due, so that neither a
 * server that stalls nor a load that comes late can hide it (no coordinated omission). What falls due between two ticks is
 * appended together, at the second.
 */
import { createHistogram, performance } from "node:perf_hooks";
import { connect } from "../client/index.ts";

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
const TICK_MS = 1;

async function run(options: TailLoadOptions): Promise<TailLoadResult> {
  const { url, warmUpMs, measureMs, recordsPerSecond } = options;
  const writer = connect(url);
  const reader = connect(url);
  const name = `bench/${process.pid}`;
  await writer.stream(name).create();
  const latency = createHistogram();
  const total = Math.floor(((warmUpMs + measureMs) * recordsPerSecond) / MS_PER_SECOND);
  const intervalMs = MS_PER_SECOND / recordsPerSecond;
  const subscription = reader.stream(name).subscribe();
  await subscription.ready();

  const startAt = performance.now() + TICK_MS;
  const write = async (): Promise<void> => {
    // Not a promise for each: a hundred thousand of them, kept, would make the load's own garbage collection the figure.
    let unacknowledged = 0;
    const stream = writer.stream(name);
    let sent = 0;
    let tickDueAt = startAt;
    await new Promise<void>((resolve, reject) => {
      const acknowledge = (): void => {
        unacknowledged -= 1;
        if (sent === total && unacknowledged === 0) resolve();
      };
      const tick = (): void => {
        const now = performance.now();
        const due = Math.min(total, Math.floor((now - startAt) / intervalMs) + 1);
        for (; sent < due; sent += 1) {
          const value = new Uint8Array(options.recordBytes);
          new DataView(value.buffer).setFloat64(0, Math.max(startAt + sent * intervalMs, tickDueAt));
          unacknowledged += 1;
          void stream.append(value).then(acknowledge, reject);
        }
        tickDueAt = now + TICK_MS;
        if (sent < total) setTimeout(tick, TICK_MS);
      };
      tick();
    });
  };
  const read = async (): Promise<void> => {
    let received = 0;
    for await (const { value } of subscription) {
      if (value === null) throw new Error("a record came back without its value");
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
