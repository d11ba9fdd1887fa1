/** State on disk, more than three times as large as a worker's heap may be: made, written as a snapshot, verified, opened again, restored. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { type Client, connect } from "../../client/index.ts";
import { ROOT } from "../source-tree.ts";
import { AppProcess } from "./app-process.ts";
import { temporaryFolder } from "./folders.ts";
import { Server } from "./server.ts";

const OPERATORS = pathToFileURL(join(ROOT, "src/operators/index.ts")).href;
const LIMITS_HOOK = pathToFileURL(join(import.meta.dirname, "patched-limits.ts")).href;
const KEYS = 26_000;
const TEXT_LENGTH = 8_192;
const BATCH = 2_000;
/** Besides, with short texts that come again and again. */
const SHORT_KEYS = 10;
const HEAP_MIB = 64;
/** Hundreds of MiB are written several times, and synced: on a busy machine that takes minutes. */
const PATIENCE_MS = 600_000;
const ASK_EVERY_MS = 100;
/** Snapshots at once, of few pieces, and nothing rests. */
const LIMITS = { everyMs: 1_000, restRatio: 0, verifyEveryMs: 0, sliceBytesMin: 4_194_304 };

const APP = `import { topology, valueState } from "${OPERATORS}";
const app = topology("large");
app.stream("large-in", { trim: true, key: (value) => value }).process({
  state: { text: valueState() },
  *onRecord(value, { state }) {
    state.text.set(value < 0 ? "short" : String(value).padEnd(${TEXT_LENGTH}, "abcdefghijklmnopqrstuvwxyz"));
  },
}).to("large-out");
export default app;
`;

it(
  "state on disk that is larger than the heap is processed, taken as a snapshot, verified, opened again, and restored",
  async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "large.ts"), APP);
    const server = await Server.start(join(folder, "data"));
    await using client = connect(server.url);
    const input = client.stream("large-in");
    await input.create({ contentType: "application/json" });
    for (let from = 0; from < KEYS; from += BATCH) await appendBatch(client, (n) => from + n);

    const stateFolder = join(folder, "state");
    /** Runs it until it is so, and ends it. */
    const run = async (isSo: () => Promise<boolean>): Promise<number | undefined> => {
      const env = {
        NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB} --import ${LIMITS_HOOK}`,
        PATCHED_LIMITS: JSON.stringify(LIMITS),
      };
      const options = ["--replicas", "1", "--state", "disk", "--state-dir", stateFolder];
      const app = new AppProcess({ folder, url: server.url, env }, "large.ts", ...options);
      onTestFinished(() => void app.child.kill("SIGKILL"));
      await app.event("ready");
      while (!(await isSo())) await setTimeout(ASK_EVERY_MS);
      app.child.kill("SIGTERM");
      expect(await app.done).toEqual({ status: 0, err: "" });
      const [report] = await client.app("large").reports();
      return report?.tasks[0]?.rows;
    };

    let appended = KEYS;
    const isRead = async (): Promise<boolean> => {
      const [report] = await client.app("large").reports();
      return report?.tasks[0]?.nextOffsets["large-in"] === appended;
    };
    const rows = await run(async () => {
      // More comes whenever all is read, so there are digest points, and snapshots.
      if (await isRead()) {
        await appendBatch(client, (n) => -1 - (n % SHORT_KEYS));
        appended += BATCH;
      }
      // Verified, and on no other's word than that it could be restored: there is one replica.
      return (await input.describe()).firstOffset >= KEYS;
    });
    expect(rows).toBeGreaterThanOrEqual(KEYS);
    expect(await run(isRead)).toBe(rows);
    rmSync(stateFolder, { recursive: true });
    // The input that made it is gone: only the snapshot has it.
    expect(await run(isRead)).toBe(rows);
  },
  PATIENCE_MS,
);

async function appendBatch(client: Client, keyOf: (n: number) => number): Promise<void> {
  await client.stream("large-in").append(Array.from({ length: BATCH }, (_, n) => ({ json: keyOf(n) })));
}
