/**
 * The load: a process of its own that keeps real connections busy, one request in flight on each, and times every
 * answer. By hand, because it must cost less than what it measures: a prepared request, and the least parsing that
 * finds where an answer ends.
 *
 *     node bench/http-load.ts '{ "host": …, "port": …, "request": base64, "connections": …, "warmUpMs": …, "measureMs": … }'
 *
 * prints one line of JSON, `LoadResult`.
 */
import { connect, type Socket } from "node:net";
import { createHistogram, performance } from "node:perf_hooks";

export type LoadOptions = {
  readonly host: string;
  readonly port: number;
  /** A whole request, headers and body, in base64. */
  readonly request: string;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
};

export type LoadResult = {
  readonly requests: number;
  readonly seconds: number;
  /** Answers of 400 and above. */
  readonly refused: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
};

const HEAD_END = Buffer.from("\r\n\r\n");
const NANOSECONDS_PER_MS = 1e6;
const EMPTY = Buffer.alloc(0);

/** How long the first answer in `bytes` is, and its status; undefined while it is not complete. */
export function firstAnswer(bytes: Buffer): { readonly length: number; readonly status: number } | undefined {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = bytes.toString("latin1", 0, headEnd);
  const status = Number(head.slice(9, 12));
  const declared = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  const length = headEnd + HEAD_END.length + Number(declared ?? 0);
  return bytes.length < length ? undefined : { length, status };
}

async function run(options: LoadOptions): Promise<LoadResult> {
  const request = Buffer.from(options.request, "base64");
  const latency = createHistogram();
  let measuring = false;
  let stopped = false;
  let requests = 0;
  let refused = 0;

  const drive = (socket: Socket): void => {
    let sentAt = 0;
    let pending: Buffer = EMPTY;
    const send = (): void => {
      sentAt = performance.now();
      socket.write(request);
    };
    socket.on("data", (chunk: Buffer) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const answer = firstAnswer(pending);
      if (answer === undefined) return;
      pending = pending.subarray(answer.length);
      if (measuring) {
        requests += 1;
        latency.record(Math.max(1, Math.round((performance.now() - sentAt) * NANOSECONDS_PER_MS)));
        if (answer.status >= 400) refused += 1;
      }
      if (!stopped) send();
    });
    send();
  };

  const sockets = await Promise.all(
    Array.from({ length: options.connections }, () => open(options.host, options.port)),
  );
  const broken = new Promise<never>((_, reject) => {
    for (const socket of sockets) {
      socket.on("error", reject);
      socket.on("close", () => (stopped ? undefined : reject(new Error("the server closed a connection"))));
    }
  });
  sockets.forEach(drive);
  await Promise.race([broken, wait(options.warmUpMs)]);
  measuring = true;
  const startedAt = performance.now();
  await Promise.race([broken, wait(options.measureMs)]);
  measuring = false;
  stopped = true;
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const socket of sockets) socket.destroy();
  const at = (percentile: number): number => latency.percentile(percentile) / NANOSECONDS_PER_MS;
  return { requests, seconds, refused, latencyMs: { p50: at(50), p99: at(99), max: latency.max / NANOSECONDS_PER_MS } };
}

function open(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true }, () => resolve(socket));
    socket.once("error", reject);
  });
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

if (import.meta.main) {
  console.log(JSON.stringify(await run(JSON.parse(process.argv[2] as string) as LoadOptions)));
}
