/**
 * A process that reads a stream from its start to its tail: through the SDK (`ws:`), record by record as a user would, or
 * over plain HTTP (`http:`), where the bodies' bytes are counted and thrown away.
 */
import { Agent, get, type IncomingHttpHeaders } from "node:http";
import { connect } from "../client/index.ts";

export type ReadLoadOptions = {
  readonly url: string;
  readonly stream: string;
  readonly records: number;
  readonly recordBytes: number;
};

export type ReadLoadResult = { readonly records: number; readonly seconds: number };

async function readThroughSdk({ url, stream }: ReadLoadOptions): Promise<number> {
  const client = connect(url);
  let records = 0;
  for await (const batch of client.stream(stream).read().batches()) for (const _ of batch) records += 1;
  await client.close();
  return records;
}

async function readOverHttp({ url, stream, recordBytes }: ReadLoadOptions): Promise<number> {
  const agent = new Agent({ keepAlive: true });
  let bytes = 0;
  let offset = "-1";
  for (let upToDate = false; !upToDate;) {
    const answer = await fetchAll(new URL(`/v1/stream/${stream}?offset=${offset}`, url), agent);
    bytes += answer.bytes;
    offset = String(answer.headers["stream-next-offset"]);
    upToDate = answer.headers["stream-up-to-date"] === "true";
  }
  agent.destroy();
  return bytes / recordBytes;
}

function fetchAll(url: URL, agent: Agent): Promise<{ readonly bytes: number; readonly headers: IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, (response) => {
      let bytes = 0;
      response.on("data", (chunk: Buffer) => (bytes += chunk.length));
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode === 200) resolve({ bytes, headers: response.headers });
        else reject(new Error(`a read was answered with ${response.statusCode}`));
      });
    });
    request.on("error", reject);
  });
}

if (import.meta.main) {
  const options = JSON.parse(process.argv[2] as string) as ReadLoadOptions;
  const startedAt = performance.now();
  const records = await (options.url.startsWith("ws:") ? readThroughSdk(options) : readOverHttp(options));
  const seconds = (performance.now() - startedAt) / 1_000;
  if (records !== options.records) throw new Error(`${records} of ${options.records} records were read`);
  console.log(JSON.stringify({ records, seconds } satisfies ReadLoadResult));
}
