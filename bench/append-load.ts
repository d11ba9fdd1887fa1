/**
 * A process that appends batches, so many in flight, each from its call to its acknowledgement; to our server through the
 * SDK as a user would, or to the floor through the least that can be called a client. Everything but the way to the server
 * is the same code.
 *
 *     node bench/append-load.ts '{ "url": "ws://…" | "tcp://…", "recordBytes": …, "batchRecords": …, "inFlight": …, … }'
 */
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { createHistogram, performance } from "node:perf_hooks";
import { connect } from "../client/index.ts";
import { encodeFloorBatch } from "./floor/protocol.ts";
import { wait } from "./processes.ts";

export type AppendLoadOptions = {
  readonly url: string;
  readonly recordBytes: number;
  readonly batchRecords: number;
  readonly inFlight: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
};

export type AppendLoadResult = { readonly recordsPerSecond: number; readonly p50Ms: number };

type Appender = {
  readonly append: (records: readonly Uint8Array[]) => Promise<unknown>;
  readonly close: () => unknown;
};

const NANOSECONDS_PER_MS = 1e6;

async function sdkAppender(url: string): Promise<Appender> {
  const client = connect(url);
  const stream = client.stream(`bench/${process.pid}`);
  await stream.create();
  return { append: (records) => stream.append(records), close: () => client.close() };
}

async function floorAppender(url: string): Promise<Appender> {
  const { hostname, port } = new URL(url);
  const socket = connectTcp({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, "connect");
  const waiting: (() => void)[] = [];
  let first = 0;
  socket.on("data", (acknowledged: Buffer) => {
    for (let count = acknowledged.length; count > 0; count -= 1) waiting[first++]?.();
    if (first * 2 > waiting.length) waiting.splice(0, first).length = first = 0;
  });
  let corked = false;
  return {
    append: (records) => {
      if (!corked) {
        corked = true;
        socket.cork();
        process.nextTick(() => {
          corked = false;
          socket.uncork();
        });
      }
      socket.write(encodeFloorBatch(records));
      return new Promise<void>((resolve) => waiting.push(resolve));
    },
    close: () => socket.destroy(),
  };
}

async function run(options: AppendLoadOptions): Promise<AppendLoadResult> {
  const { url, inFlight, batchRecords } = options;
  const appender = await (url.startsWith("tcp:") ? floorAppender(url) : sdkAppender(url));
  const records = Array.from({ length: batchRecords }, () => new Uint8Array(options.recordBytes).fill(0x78));
  const latency = createHistogram();
  let measuring = false;
  let stopped = false;
  let batches = 0;
  const work = async (): Promise<void> => {
    while (!stopped) {
      const startedAt = performance.now();
      await appender.append(records);
      if (!measuring) continue;
      batches += 1;
      latency.record(Math.max(1, Math.round((performance.now() - startedAt) * NANOSECONDS_PER_MS)));
    }
  };
  const workers = Array.from({ length: inFlight }, work);
  await Promise.race([wait(options.warmUpMs), ...workers]);
  measuring = true;
  const startedAt = performance.now();
  await Promise.race([wait(options.measureMs), ...workers]);
  measuring = false;
  const seconds = (performance.now() - startedAt) / 1_000;
  stopped = true;
  await Promise.all(workers);
  await appender.close();
  return {
    recordsPerSecond: (batches * batchRecords) / seconds,
    p50Ms: latency.percentile(50) / NANOSECONDS_PER_MS,
  };
}

if (import.meta.main) {
  console.log(JSON.stringify(await run(JSON.parse(process.argv[2] as string) as AppendLoadOptions)));
}
