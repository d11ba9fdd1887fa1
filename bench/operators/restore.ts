/** How long it takes a new process to restore a task's state from its snapshots in a stream. */
import { connect, type Client } from "../../client/index.ts";
import { ClientSnapshots } from "../../client/apps/snapshot-stream.ts";
import { SYSTEM_CLOCK, SYSTEM_ZSTD } from "../../log-server/system.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { Stage } from "../../src/operators/engine/graph.ts";
import { Task } from "../../src/operators/engine/task.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import { SNAPSHOT_SIZES } from "../../src/runtime/snapshots/limits.ts";
import { SnapshotWriter } from "../../src/runtime/snapshots/snapshot-writer.ts";
import { snapshotsStream } from "../../src/wire/app-streams.ts";
import type { Figure } from "../figure.ts";
import type { Scale } from "../main.ts";
import { runLoad } from "../processes.ts";
import { median } from "../rounds.ts";
import { type BenchApp, topologyOf } from "./apps.ts";
import type { RestoreLoadOptions, RestoreLoadResult } from "./restore-load.ts";
import { ROW_BYTES, textOf } from "./texts.ts";

const APP: BenchApp = { kind: "texts", name: "bench-restore", input: "bench-restore/in" };
const STREAM = snapshotsStream(APP.name, "0.0");
/** Between two snapshots one key in so many changes; after so many snapshots a restore reads deltas as it mostly does. */
const CHANGED_SHARE = 100;
const SNAPSHOTS = 25;
const POINT_MS = 10_000;
const TAKE_EVERY = 1_000;

export async function benchRestore(url: string, { rounds, operatorStateBytes }: Scale): Promise<readonly Figure[]> {
  const state = new State(Math.round(operatorStateBytes / ROW_BYTES));
  const client = connect(url, { zstd: SYSTEM_ZSTD });
  await state.write(client);
  await client.close();
  const { digest } = state.task.totals;
  const options: RestoreLoadOptions = { url, stream: STREAM, digest: String(digest) };
  const results: RestoreLoadResult[] = [];
  for (let round = 0; round < rounds; round += 1) results.push(await runLoad("operators/restore-load.ts", options));
  const seconds = results.map((result) => result.seconds);
  const spread = [Math.min(...seconds), Math.max(...seconds)] as const;
  const cpuSeconds = median(results.map((result) => result.cpuSeconds));
  return [
    { name: "operators.restore-100mb-s", value: median(seconds), unit: "s", spread },
    { name: "operators.restore-100mb.cpu-s", value: cpuSeconds, unit: "s" },
  ];
}

/** A task that keeps a text for each of many keys. */
class State {
  readonly task = new Task(topologyOf(APP).build().stages[0] as Stage, 0, new MemoryStore());
  readonly #keys: number;
  readonly #prng = new Prng(1);
  #records = 0;
  #logTime = 1;

  constructor(keys: number) {
    this.#keys = keys;
  }

  /** And its snapshots. */
  async write(client: Client): Promise<void> {
    const config = { born: 0, replica: "writer", restRatio: 0, sizes: SNAPSHOT_SIZES };
    const writer = new SnapshotWriter(new ClientSnapshots(client.stream(STREAM)), SYSTEM_ZSTD, SYSTEM_CLOCK, config);
    this.task.trackChanges();
    for (let key = 0; key < this.#keys; key += 1) this.#put(key);
    for (let snapshot = 0; snapshot < SNAPSHOTS; snapshot += 1) {
      for (let left = this.#keys / CHANGED_SHARE; left > 0; left -= 1) this.#put(this.#prng.below(this.#keys));
      for (const earlier of this.task.take().captures) this.task.settle(earlier, false);
      this.task.requestCapture();
      this.#logTime += POINT_MS;
      check(this.task.advance(this.#logTime));
      const [capture] = this.task.take().captures;
      if (capture === undefined) throw new Error("no digest point");
      check(await writer.write(capture, () => Promise.resolve(true)));
      this.task.settle(capture, true);
    }
  }

  #put(key: number): void {
    this.#records += 1;
    const place = { position: this.#records, ordinal: 0, index: 0 };
    const value = utf8(JSON.stringify({ n: this.#records, key, dueAt: 0, text: textOf(this.#prng) }));
    check(this.task.process({ source: APP.input, offset: this.#records - 1, place, value, logTime: this.#logTime }));
    if (this.#records % TAKE_EVERY === 0) this.task.take();
  }
}

function check(result: { readonly ok: boolean }): void {
  if (!result.ok) throw new Error(`the task failed: ${JSON.stringify(result)}`);
}
