/** Very many small streams: how fast they are made and appended to once, what they cost in memory, and at a restart. */
import { join } from "node:path";
import { connect } from "../client/index.ts";
import type { Figure } from "./figure.ts";
import type { Scale } from "./main.ts";
import { startTidemark, wait, withFolder } from "./processes.ts";

const IN_FLIGHT = 512;
const RECORD_BYTES = 100;
/** Long enough for what was still to be saved. */
const SETTLE_MS = 12_000;

export async function benchStreams({ streams }: Scale): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    const data = join(folder, "data");
    let server = await startTidemark(data);
    try {
      const seconds = await createAndAppend(server.url.href.replace(/^http/, "ws"), streams);
      await wait(SETTLE_MS);
      const residentBytes = await server.residentBytes();
      // The longer one counts: after kill -9, or after a clean stop.
      await server.stop("SIGKILL");
      server = await startTidemark(data);
      const killed = server.readyMs;
      await server.stop();
      server = await startTidemark(data);
      return [
        { name: "streams.per-second", value: streams / seconds, unit: "streams/s" },
        { name: "streams.rss-bytes", value: residentBytes, unit: "bytes" },
        { name: "streams.restart-s", value: Math.max(killed, server.readyMs) / 1_000, unit: "s" },
      ];
    } finally {
      await server.stop();
    }
  });
}

async function createAndAppend(url: string, count: number): Promise<number> {
  const client = connect(url);
  const value = new Uint8Array(RECORD_BYTES).fill(0x78);
  const startedAt = performance.now();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const stream = client.stream(`bench/${next++}`);
      await stream.create();
      await stream.append(value);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  const seconds = (performance.now() - startedAt) / 1_000;
  await client.close();
  return seconds;
}
