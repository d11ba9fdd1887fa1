/** Catching up: a stream of small records from its start to its tail, through the SDK and over plain HTTP. */
import { join } from "node:path";
import type { Figure } from "./figure.ts";
import { appendBatches } from "./fill.ts";
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
      await appendBatches(server.url, {
        streams: [STREAM],
        batches: Math.ceil(readRecords / BATCH_RECORDS),
        batchRecords: BATCH_RECORDS,
        recordBytes: RECORD_BYTES,
        inFlight: IN_FLIGHT,
      });
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
