/**
 * The `Kv` port over LMDB. The only file that loads the native module.
 *
 * LMDB's pages have no checksums, so nothing is kept here that cannot be rebuilt from the log; `image.ts` hashes
 * what it stores. A damaged page may even end the process, where it is read or where it is taken for new rows:
 * `openLmdbKv` therefore looks up all rows once under a mark on the file system, and so is the first transaction made.
 * Where a mark was left behind, by one of these or by anything that failed, the next start begins with an empty store.
 */
import { accessSync, constants, existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { open, type RootDatabase } from "lmdb";
import { assert } from "../../../src/lib/assert.ts";
import { compareBytes } from "../../../src/lib/bytes.ts";
import { DiskError } from "../../../src/ports/disk.ts";
import type { Kv, KvWrite } from "../../../src/ports/kv.ts";
import { DATA_FILE, mayBeStore } from "./lmdb-header.ts";
import { KV_LIMITS } from "./storage-limits.ts";

const MARK_FILE = "doubtful";

/**
 * Opens the store in the folder `path` of the real file system, making it if need be. Local disks only, never NFS.
 * `onErased` is told why, if it begins empty for another reason than being new.
 */
export function openLmdbKv(path: string, onErased?: (reason: string) => void): Kv {
  const opening = openInTurns(path, onErased);
  for (;;) {
    const { done, value } = opening.next();
    if (done === true) return value;
  }
}

/** The same of a store so large that who opens it must be heard of meanwhile. Aborted, it rejects, and the store is as it was. */
export async function openLargeLmdbKv(path: string, signal: AbortSignal): Promise<Kv> {
  signal.throwIfAborted();
  const opening = openInTurns(path);
  for (;;) {
    const { done, value } = opening.next();
    if (done === true) return value;
    await nextTurn();
    if (!signal.aborted) continue;
    await value.close();
    // What was looked at was well, and this process did not end by it.
    rmSync(join(path, MARK_FILE));
    signal.throwIfAborted();
  }
}

/** Yields between turns. Nothing is read between them. */
function* openInTurns(
  path: string,
  onErased: (reason: string) => void = () => undefined,
): Generator<RootDatabase<Uint8Array, Uint8Array>, Kv> {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const mark = join(path, MARK_FILE);
  // What this user may not touch is not damaged for that, nor to be erased: the system's error says which it is.
  if (existsSync(join(path, DATA_FILE))) accessSync(join(path, DATA_FILE), constants.R_OK | constants.W_OK);
  const erase = (reason: string): void => {
    eraseStore(path);
    onErased(reason);
  };
  if (existsSync(mark)) erase("it could not be used, or ended a process");
  else if (!mayBeStore(join(path, DATA_FILE))) erase("its header is damaged, or it was cut short");
  writeFileSync(mark, "");
  let database: RootDatabase<Uint8Array, Uint8Array>;
  try {
    database = yield* openAndWalk(path);
  } catch (error) {
    // What it held is rebuilt from the log.
    erase(error instanceof Error ? error.message : String(error));
    database = yield* openAndWalk(path);
  }
  rmSync(mark);
  return new LmdbKv(database, path);
}

function* openAndWalk(
  path: string,
): Generator<RootDatabase<Uint8Array, Uint8Array>, RootDatabase<Uint8Array, Uint8Array>> {
  const database = open<Uint8Array, Uint8Array>(path, {
    noSubdir: false,
    keyEncoding: "binary",
    encoding: "binary",
    // A commit is then synced before its promise resolves: durability is not a matter of modes.
    overlappingSync: false,
    noSync: false,
    noMetaSync: false,
    // Each `batch` is a transaction by itself. With it on, a failed one also rejects a promise that nobody can reach.
    eventTurnBatching: false,
    // Without this a path that is open already, in this thread, would be shared.
    cache: false,
    compression: false,
  });
  const limit: number = KV_LIMITS.rowsPerTurn;
  let before: Uint8Array | undefined;
  for (let looked = limit; looked === limit;) {
    looked = 0;
    const behind = before === undefined ? {} : { start: before, exclusiveStart: true };
    for (const { key } of database.getRange({ ...behind, limit })) {
      const copy = new Uint8Array(key);
      const found = (before === undefined || compareBytes(before, copy) < 0) && database.getBinary(copy) !== undefined;
      if (!found) throw new Error("a row is not found by its key");
      before = copy;
      looked += 1;
    }
    if (looked === limit) yield database;
  }
  return database;
}

function eraseStore(path: string): void {
  for (const name of [DATA_FILE, "lock.mdb"]) rmSync(join(path, name), { force: true });
}

class LmdbKv implements Kv {
  readonly #database: RootDatabase<Uint8Array, Uint8Array>;
  readonly #path: string;
  #state: "open" | "closed" = "open";
  /** After it nothing more is written. */
  #failure: DiskError | undefined;
  #last: Promise<unknown> | undefined;

  constructor(database: RootDatabase<Uint8Array, Uint8Array>, path: string) {
    this.#database = database;
    this.#path = path;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#requireOpen();
    try {
      const value = this.#database.getBinary(key);
      return value === undefined ? undefined : new Uint8Array(value);
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  *range(
    from: Uint8Array,
    to: Uint8Array,
    options: { readonly reverse?: boolean; readonly limit?: number } = {},
  ): Iterable<readonly [Uint8Array, Uint8Array]> {
    this.#requireOpen();
    const { reverse = false, limit = Number.MAX_SAFE_INTEGER } = options;
    // `from` is in the range and `to` is not, whichever end the walk begins at.
    const rows = reverse
      ? this.#database.getRange({ start: to, exclusiveStart: true, end: from, inclusiveEnd: true, reverse, limit })
      : this.#database.getRange({ start: from, end: to, limit });
    // The store's buffers are reused: what leaves here is a copy.
    try {
      for (const { key, value } of rows) yield [new Uint8Array(key), new Uint8Array(value)];
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  write(writes: readonly KvWrite[]): Promise<void> {
    for (const { key } of writes) {
      assert(key.length > 0 && key.length <= KV_LIMITS.keyBytesMax, "a key has 1 to 1,000 bytes");
    }
    return this.#transaction(() =>
      this.#database.batch(() => {
        for (const write of writes) {
          if (write.kind === "delete") void this.#database.remove(write.key);
          // LMDB's thread reads the value later: it gets its own copy.
          else void this.#database.put(write.key, Buffer.from(write.value));
        }
      }),
    );
  }

  clear(): Promise<void> {
    return this.#transaction(() => this.#database.clearAsync());
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    await this.#last?.catch(() => undefined);
    await this.#database.close();
  }

  async #transaction(run: () => Promise<unknown>): Promise<void> {
    this.#requireOpen();
    if (this.#failure !== undefined)
      throw new DiskError("io", this.#path, `nothing more is written: ${this.#failure.message}`);
    // The first shows whether the free pages are sound: a damaged one may end the process.
    const isFirst = this.#last === undefined;
    if (isFirst) this.#markDoubtful();
    const done = run();
    this.#last = done;
    try {
      await done;
      if (isFirst && this.#failure === undefined) this.#unmark();
    } catch (error) {
      const reason = await this.#explain(error);
      // On a full disk the old pages are as they were (they are never overwritten), and trimming the log, which needs
      // this store, must go on once there is room. After anything else it is as with a file: the last write (P30).
      if (reason.code !== "no-space") {
        this.#failure ??= reason;
        this.#markDoubtful();
      } else if (isFirst && this.#failure === undefined) {
        this.#unmark();
      }
      throw reason;
    }
  }

  /** The store rejects at once and tells why on a second promise, which must not stay unhandled. */
  async #explain(error: unknown): Promise<DiskError> {
    const { commitError } = error as { commitError?: Promise<unknown> };
    const tooLate = sleep(KV_LIMITS.reasonWaitMsMax, error, { ref: false });
    const cause =
      commitError === undefined ? error : await Promise.race([commitError.catch((reason: unknown) => reason), tooLate]);
    const message = cause instanceof Error ? cause.message : String(cause);
    return new DiskError(this.#diskIsFull() ? "no-space" : "io", this.#path, `the transaction failed: ${message}`, {
      cause,
    });
  }

  /** LMDB reports a full disk as an input/output error, like any other short write. */
  #diskIsFull(): boolean {
    try {
      const { bavail, bsize } = statfsSync(this.#path);
      return bavail * bsize < KV_LIMITS.fullBelowBytes;
    } catch {
      return false;
    }
  }

  /** A damaged free list fails every transaction while all rows still read well: begin anew next time. */
  #markDoubtful(): void {
    try {
      writeFileSync(join(this.#path, MARK_FILE), "");
    } catch {
      // The transaction's own error says more.
    }
  }

  #unmark(): void {
    rmSync(join(this.#path, MARK_FILE), { force: true });
  }

  #unreadable(error: unknown): DiskError {
    this.#markDoubtful();
    const message = error instanceof Error ? error.message : String(error);
    return new DiskError("io", this.#path, `the store cannot be read; the next start begins a new one: ${message}`, {
      cause: error,
    });
  }

  #requireOpen(): void {
    if (this.#state === "closed") throw new DiskError("closed", this.#path, "the store is closed");
  }
}
