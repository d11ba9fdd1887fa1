/** Catching up: a stream of small records from its start to its tail, through the SDK and over plain HTTP. */
import { join } from "node:path";
import { connect } from "../client/index.ts";
import type { Figure } from "./figure.ts";
import type { Scale } from "./main.ts";
import { runLoad, startTidemark, withFolder } from "./processes.ts";
import type { ReadLoadOptions, ReadLoadResult } from "./read-load.ts";
import { summarize, takeTurns } from "./rounds.ts";

const STREAM = "bench";
const RECORD_BYTES = 100;
const BATCH_RECORDS = 1_000;
const IN_FLIGHT = 16;

export async function benchRead({ rounds, readRecords }: Scale): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const server = await startTidemark(join(folder, "data"));
    try {
      const webSocket = server.url.href.replace(/^http/, "ws");
      await fill(webSocket, readRecords);
      const subject = (url: string): { readonly name: string; readonly run: () => Promise<ReadLoadResult> } => {
        const options: ReadLoadOptions = { url, stream: STREAM, records: readRecords, recordBytes: RECORD_BYTES };
        return { name: url, run: () => runLoad<ReadLoadResult>("read-load.ts", options) };
      };
      const results = await takeTurns(rounds, [subject(webSocket), subject(server.url.href)]);
      const figure = (name: string, unit: string, url: string, perRecord: number): Figure => {
        const rates = results(url).map(({ records, seconds }) => (records * perRecord) / seconds);
        const { value, least, most } = summarize(rates);
        return { name, value, unit, spread: [least, most] };
      };
      return [
        figure("read.ws.records-per-second", "records/s", webSocket, 1),
        figure("read.http.bytes-per-second", "bytes/s", server.url.href, RECORD_BYTES),
      ];
    } finally {
      await server.stop();
    }
  });
}

async function fill(url: string, records: number): Promise<void> {
  const client = connect(url);
  const stream = client.stream(STREAM);
  await stream.create();
  const batch = Array.from({ length: BATCH_RECORDS }, () => new Uint8Array(RECORD_BYTES).fill(0x78));
  let left = Math.ceil(records / BATCH_RECORDS);
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await stream.append(batch);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  await client.close();
}
