/** From the start of the process to `ready`, with much data: after a clean stop, and after kill -9 under load. */
import { join } from "node:path";
import type { Figure } from "./figure.ts";
import { appendBatches } from "./fill.ts";
import type { Scale } from "./main.ts";
import { type RunningServer, startTidemark, withFolder } from "./processes.ts";

const STREAMS = 50;
const RECORD_BYTES = 100;
const BATCH_RECORDS = 1_000;
const IN_FLIGHT = 32;
/** It is killed after this share of the bytes again. */
const KILL_SHARE = 50;

export async function benchRestart({ restartBytes }: Scale): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const data = join(folder, "data");
    let server = await startTidemark(data);
    try {
      await append(server, restartBytes);
      await server.stop();
      server = await startTidemark(data);
      const clean = server.readyMs;
      // Under load: some of what is under way is never acknowledged.
      const stop = new AbortController();
      const load = append(server, restartBytes, stop.signal).catch(() => undefined);
      await append(server, restartBytes / KILL_SHARE);
      await server.stop("SIGKILL");
      stop.abort();
      await load;
      server = await startTidemark(data);
      const killed = server.readyMs;
      return [
        { name: "restart.clean-s", value: clean / 1_000, unit: "s" },
        { name: "restart.kill-s", value: killed / 1_000, unit: "s" },
      ];
    } finally {
      await server.stop();
    }
  });
}

function append({ url }: RunningServer, bytes: number, signal?: AbortSignal): Promise<void> {
  return appendBatches(url, {
    streams: Array.from({ length: STREAMS }, (_, place) => `bench/${place}`),
    batches: Math.ceil(bytes / (RECORD_BYTES * BATCH_RECORDS)),
    batchRecords: BATCH_RECORDS,
    recordBytes: RECORD_BYTES,
    inFlight: IN_FLIGHT,
    ...(signal && { signal }),
  });
}
