/** Where a worker's tasks have their rows: in memory, or on disk, in a folder that is its own while it runs. Both begin with a snapshot. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { openLmdbKv } from "../../../log-server/log/disk/lmdb-kv.ts";
import { SYSTEM_CLOCK, THREADED_ZSTD } from "../../../log-server/system.ts";
import type { Kv } from "../../../src/ports/kv.ts";
import type { OpenTaskState } from "../../../src/runtime/app-run.ts";
import { openTaskState } from "../../../src/runtime/snapshots/open-task-state.ts";
import type { TaskName } from "../../../src/wire/app-command.ts";
import { snapshotsStream } from "../../../src/wire/app-streams.ts";
import type { Client } from "../../client.ts";
import { ClientSnapshots } from "../../apps/snapshot-stream.ts";

export class TaskStates {
  readonly #app: string;
  readonly #client: Client;
  readonly #folder: string | undefined;
  readonly #kvs = new Map<TaskName, Kv>();

  /** Without a folder, in memory. */
  constructor(app: string, client: Client, folder: string | undefined) {
    this.#app = app;
    this.#client = client;
    this.#folder = folder;
  }

  readonly open: OpenTaskState = (task, facts, opening) => {
    const stream = new ClientSnapshots(this.#client.stream(snapshotsStream(this.#app, task)));
    const kv = this.#openKv(task);
    return openTaskState({
      plan: { stream, zstd: THREADED_ZSTD },
      clock: SYSTEM_CLOCK,
      facts,
      opening,
      ...(kv !== undefined && { disk: { kv, label: `${this.#app} ${task} ${facts.born}` } }),
      onObjection: (message) => process.stderr.write(`tidemark: task ${task}: ${message}\n`),
    });
  };

  /** The task's rows may be what is wrong with it. */
  async discard(task: TaskName): Promise<void> {
    await this.#kvs.get(task)?.close();
    this.#kvs.delete(task);
    if (this.#folder !== undefined) rmSync(join(this.#folder, task), { recursive: true, force: true });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#kvs.values()].map((kv) => kv.close()));
  }

  #openKv(task: TaskName): Kv | undefined {
    if (this.#folder === undefined) return undefined;
    const kv = this.#kvs.get(task) ?? openLmdbKv(join(this.#folder, task));
    this.#kvs.set(task, kv);
    return kv;
  }
}
