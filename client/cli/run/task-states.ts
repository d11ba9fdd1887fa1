/**
 * Where a worker's tasks have their rows: in memory, or on disk, in a folder that is its own while it runs. Both begin with a snapshot.
 *
 * The worker itself holds the folder's lock, besides the process that started it, for it may outlive that one: killed, or stopped, it is
 * followed by another run while it still has rows to keep.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DirectoryLock } from "../../../log-server/log/disk/directory-lock.ts";
import { openLargeLmdbKv } from "../../../log-server/log/disk/lmdb-kv.ts";
import { SYSTEM_CLOCK, THREADED_ZSTD } from "../../../log-server/system.ts";
import type { Kv } from "../../../src/ports/kv.ts";
import type { OpenTaskState } from "../../../src/runtime/app-run.ts";
import { openTaskState, type OpenTaskStateOptions } from "../../../src/runtime/snapshots/open-task-state.ts";
import type { SpareKv } from "../../../src/runtime/snapshots/snapshotter.ts";
import type { TaskName } from "../../../src/wire/app-command.ts";
import { snapshotsStream } from "../../../src/wire/app-streams.ts";
import type { Client } from "../../client.ts";
import { ClientSnapshots } from "../../apps/snapshot-stream.ts";

/** In the worker's folder, where snapshots are restored to see that they are whole. */
const SPARES = "spare";

export class TaskStates {
  readonly #app: string;
  readonly #client: Client;
  readonly #folder: string | undefined;
  readonly #lock: DirectoryLock | undefined;
  /** Where the rows on disk come from: another cluster may have an app of the same name. */
  #cluster: Promise<string> | undefined;
  readonly #kvs = new Map<TaskName, Kv>();
  readonly #opening = new AbortController();

  /** Without a folder, in memory. Throws where another worker has the folder. */
  constructor(app: string, client: Client, folder: string | undefined) {
    this.#app = app;
    this.#client = client;
    this.#folder = folder;
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const lock = DirectoryLock.acquire(folder);
    if (!lock.ok) throw new Error(`state cannot be kept: ${lock.error.message}`);
    this.#lock = lock.value;
    // A process that was killed may have left some.
    rmSync(join(folder, SPARES), { recursive: true, force: true });
  }

  readonly open: OpenTaskState = async (task, facts, opening) => {
    const stream = new ClientSnapshots(this.#client.stream(snapshotsStream(this.#app, task)));
    const disk = this.#folder === undefined ? undefined : await this.#disk(this.#folder, task, facts.born);
    return openTaskState({
      plan: { stream, zstd: THREADED_ZSTD },
      clock: SYSTEM_CLOCK,
      facts,
      opening,
      ...(disk !== undefined && { disk }),
      onObjection: (message) => process.stderr.write(`tidemark: task ${task}: ${message}\n`),
    });
  };

  /** The task's rows may be what is wrong with it. */
  async discard(task: TaskName): Promise<void> {
    await this.#kvs.get(task)?.close();
    this.#kvs.delete(task);
    if (this.#folder !== undefined) rmSync(join(this.#folder, task), { recursive: true, force: true });
  }

  /** What is being opened need not be any more: that may take long. */
  interrupt(): void {
    this.#opening.abort();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#kvs.values()].map((kv) => kv.close()));
    this.#lock?.release();
  }

  async #disk(folder: string, task: TaskName, born: number): Promise<OpenTaskStateOptions["disk"]> {
    this.#cluster ??= this.#client
      .cluster()
      .status({ signal: this.#opening.signal })
      .then(({ cluster }) => cluster);
    const label = `${await this.#cluster} ${this.#app} ${task} ${born}`;
    const kv = this.#kvs.get(task) ?? (await openLargeLmdbKv(join(folder, task), this.#opening.signal));
    this.#kvs.set(task, kv);
    return { kv, label, openSpare: () => this.#openSpare(folder, task) };
  }

  async #openSpare(folder: string, task: TaskName): Promise<SpareKv> {
    const spares = join(folder, SPARES);
    mkdirSync(spares, { recursive: true });
    const path = mkdtempSync(join(spares, `${task}-`));
    const kv = await openLargeLmdbKv(path, this.#opening.signal);
    return {
      kv,
      discard: async () => {
        await kv.close();
        rmSync(path, { recursive: true, force: true });
      },
    };
  }
}
