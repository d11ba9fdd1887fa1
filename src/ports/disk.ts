/**
 * The file system as the log sees it. Two implementations: `log-server/log/disk/real-disk.ts` (node:fs) and
 * `src/sim/disk.ts` (in memory, loses and tears unsynced writes); one contract suite holds both.
 *
 * Paths are relative to the disk's root, with `/` between parts. Nothing is durable before the matching
 * sync: bytes before `DiskFile.sync`, a created, renamed or removed name before `syncDirectory` of its folder.
 */

/** Why a disk operation failed. `io` after a `sync` is final: the file must be poisoned, never retried. */
export type DiskErrorCode = "io" | "no-space" | "not-found" | "exists" | "locked" | "closed";

export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: DiskErrorCode;
  readonly path: string;

  constructor(code: DiskErrorCode, path: string, message: string, options?: ErrorOptions) {
    super(`${path}: ${message}`, options);
    this.code = code;
    this.path = path;
  }
}

export interface DiskFile {
  readonly path: string;
  /** Bytes, as written so far (not necessarily durable). */
  size(): Promise<number>;
  /** Fills `target` from `position` on; short only at the end of the file. Returns the bytes read. */
  read(position: number, target: Uint8Array): Promise<number>;
  /** Writes the chunks one behind the other from `position` on, in one gathered write; short writes are looped. */
  write(position: number, chunks: readonly Uint8Array[]): Promise<void>;
  /** `fdatasync`: all writes finished before this call are durable when it resolves. */
  sync(): Promise<void>;
  /**
   * `write` and then `sync`, by fewer calls where the platform has them. For what is written in order, one call behind the
   * other: what stands behind it in the same 4 KiB may be zeros afterwards.
   */
  writeSynced(position: number, chunks: readonly Uint8Array[]): Promise<void>;
  /** Makes the file exactly `size` bytes long, filling what is new with written (not sparse) zeros. Not synced. */
  allocate(size: number): Promise<void>;
  close(): Promise<void>;
}

export type OpenMode = "read" | "read-write" | "create";

export interface Disk {
  /** `create` makes a new file and fails with `exists` where there is one; the others fail with `not-found`. */
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** Names in a folder, sorted; a missing folder is `not-found`. */
  list(directory: string): Promise<string[]>;
  /** Makes a folder and its parents; an existing one is fine. The parent still has to be synced. */
  createDirectory(directory: string): Promise<void>;
  /** Atomic; replaces the target. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  syncDirectory(directory: string): Promise<void>;
  /** Bytes left on the file system, for the low-water mark. */
  freeBytes(): Promise<number>;
}
