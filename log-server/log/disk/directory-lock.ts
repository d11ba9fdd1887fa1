/**
 * One process per folder: one server for its data, one worker for its tasks' state. Node has no `flock`; what it has is
 * SQLite, whose exclusive transaction is a lock of the kernel on the file `lock` (fcntl; LockFileEx on Windows). Such a lock
 *
 * - goes away with its process, however that ends, so nothing stale is ever left and no process id is guessed at;
 * - is given to one of two that ask at the same moment;
 * - holds between containers that share a folder, where a socket's name or a process id would mean nothing, and
 *   within one process;
 * - knows no bound on the length of a path, as a socket's 108 bytes would be.
 *
 * Two cautions come with it: on network file systems it may not hold, so data folders are local; and the kernel drops
 * it when the process closes *any* descriptor of the file, so nothing else may ever open `lock`. The file stays empty.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import { LOCK_LIMITS } from "./storage-limits.ts";
import { whyForbidden } from "./unusable.ts";

/** The lock itself, and who has it: the second is for people, and decides nothing. */
export const LOCK_FILES = ["lock", "lock-holder.json"] as const;

/** SQLite's code for a lock that another holds; higher bits say more. */
const BUSY = 5;
const PRIMARY_CODE = 0xff;

export type DirectoryLockError = { readonly kind: "locked" | "unusable"; readonly message: string };

/** Referenced from here while held: a collected handle would let go of its lock. */
const held = new Set<DirectoryLock>();

export class DirectoryLock {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
    held.add(this);
  }

  /** Takes the lock of a folder that exists, or says who has it. */
  static acquire(directory: string): Result<DirectoryLock, DirectoryLockError> {
    const [lockFile, holderFile] = LOCK_FILES.map((name) => join(directory, name)) as [string, string];
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(lockFile, { timeout: LOCK_LIMITS.waitMsMax });
      // Nothing is ever written, so there is nothing to keep a journal of.
      database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    } catch (error) {
      database?.close();
      const { errcode } = error as { errcode?: number };
      if (errcode !== undefined && (errcode & PRIMARY_CODE) === BUSY) {
        return err({
          kind: "locked",
          message: `${directory} is in use by ${describeHolder(holderFile)}`,
        });
      }
      // SQLite does not say why.
      const why = whyForbidden(directory, true) ?? whyForbidden(lockFile, true);
      const message = `${directory} cannot be locked: ${error instanceof Error ? error.message : String(error)}`;
      return err({ kind: "unusable", message: why ?? message });
    }
    try {
      writeFileSync(holderFile, `${JSON.stringify({ pid: process.pid, host: hostname() })}\n`);
    } catch {
      // On a full disk the lock is as good without.
    }
    return ok(new DirectoryLock(database));
  }

  release(): void {
    if (!held.delete(this)) return;
    this.#database.close();
  }
}

function describeHolder(file: string): string {
  try {
    const holder: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof holder === "object" && holder !== null && "pid" in holder && "host" in holder) {
      return `process ${String(holder.pid)} on ${String(holder.host)}`;
    }
  } catch {
    // Not there yet, or just being written.
  }
  return "another process";
}
