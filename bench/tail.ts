/** How soon a live subscriber has a record: from when it was to be appended, at a steady rate, to its arrival. */
import { join } from "node:path";
import type { Figure } from "./figure.ts";
import type { Scale } from "./main.ts";
import { runLoad, startTidemark, withFolder } from "./processes.ts";
import { summarize } from "./rounds.ts";
import type { TailLoadOptions, TailLoadResult } from "./tail-load.ts";

const RECORDS_PER_SECOND = 10_000;
const RECORD_BYTES = 100;

export async function benchTail({ rounds, warmUpMs, measureMs }: Scale): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const server = await startTidemark(join(folder, "data"));
    try {
      const options: TailLoadOptions = {
        url: server.url.href.replace(/^http/, "ws"),
        recordBytes: RECORD_BYTES,
        recordsPerSecond: RECORDS_PER_SECOND,
        warmUpMs,
        measureMs,
      };
      const results: TailLoadResult[] = [];
      for (let round = 0; round < rounds; round += 1)
        results.push(await runLoad<TailLoadResult>("tail-load.ts", options));
      const figure = (name: string, values: readonly number[]): Figure => {
        const { value, least, most } = summarize(values);
        return { name, value, unit: "ms", spread: [least, most] };
      };
      return [
        figure(
          "tail.p50-ms",
          results.map(({ p50Ms }) => p50Ms),
        ),
        figure(
          "tail.p99-ms",
          results.map(({ p99Ms }) => p99Ms),
        ),
      ];
    } finally {
      await server.stop();
    }
  });
}
