/** What appends, as subjects that take turns: over HTTP one record to a request, over WebSocket batches through the SDK. */
import type { AppendLoadOptions, AppendLoadResult } from "./append-load.ts";
import { besideFigure, type Figure } from "./figure.ts";
import type { LoadOptions, LoadResult } from "./http-load.ts";
import type { Scale } from "./main.ts";
import { runLoad } from "./processes.ts";
import { type Subject, takeTurns } from "./rounds.ts";

export type BatchLoad = Pick<AppendLoadOptions, "batchRecords" | "inFlight">;

/** What latency is measured with. */
export const ALONE: BatchLoad = { batchRecords: 1, inFlight: 1 };

const RECORD_BYTES = 100;
const STREAM = "/v1/stream/bench";
const CONTENT_TYPE = "application/octet-stream";

/** For `httpAppends`: at a server that speaks Durable Streams. */
export async function createStream(url: URL): Promise<void> {
  const answer = await fetch(new URL(STREAM, url), { method: "PUT", headers: { "content-type": CONTENT_TYPE } });
  if (!answer.ok) throw new Error(`the stream was not created: ${answer.status} ${await answer.text()}`);
}

/** Requests a second, one in flight on each connection. None may be refused. */
export function httpAppends(
  name: string,
  url: URL,
  connections: number,
  { warmUpMs, measureMs }: Scale,
): Subject<number> {
  const { hostname: host, port } = url;
  const request = appendRequest(url).toString("base64");
  const options: LoadOptions = { host, port: Number(port), request, connections, warmUpMs, measureMs };
  return {
    name,
    run: async () => {
      const { requests, seconds, refused } = await runLoad<LoadResult>("http-load.ts", options);
      if (refused > 0) throw new Error(`${name} refused ${refused} requests`);
      return requests / seconds;
    },
  };
}

/** Records a second, or the median time of an append, of the server at `tidemark` beside `the floor`. */
export async function webSocketAppends(
  name: string,
  urls: { readonly "tidemark": string; readonly "the floor": string },
  load: BatchLoad,
  measured: "rate" | "p50",
  { rounds, warmUpMs, measureMs }: Scale,
): Promise<Figure> {
  const subjects = Object.entries(urls).map(([subject, url]): Subject<number> => {
    const options: AppendLoadOptions = { url, recordBytes: RECORD_BYTES, ...load, warmUpMs, measureMs };
    return {
      name: subject,
      run: async () => {
        const { recordsPerSecond, p50Ms } = await runLoad<AppendLoadResult>("append-load.ts", options);
        return measured === "rate" ? recordsPerSecond : p50Ms;
      },
    };
  });
  const results = await takeTurns(rounds, subjects);
  const unit = measured === "rate" ? "records/s" : "ms";
  return besideFigure(name, unit, results("tidemark"), "the floor", results("the floor"));
}

function appendRequest(url: URL): Buffer {
  const head = [
    `POST ${STREAM} HTTP/1.1`,
    `host: ${url.host}`,
    `content-type: ${CONTENT_TYPE}`,
    `content-length: ${RECORD_BYTES}`,
    "",
    "",
  ].join("\r\n");
  return Buffer.concat([Buffer.from(head), Buffer.alloc(RECORD_BYTES, "x")]);
}
