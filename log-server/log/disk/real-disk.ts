/**
 * The `Disk` port over node:fs. The callback API is used, for on the path of every append a promise per call of
 * `fs.promises` is measurable; buffers are the caller's and must not change while a call runs.
 */
import fs from "node:fs";
import { join } from "node:path";
import { assert } from "../../../src/lib/assert.ts";
import { type Disk, DiskError, type DiskErrorCode, type DiskFile, type OpenMode } from "../../../src/ports/disk.ts";
import { DirectMemory, DirectWriter } from "./direct-writer.ts";
import { DISK_LIMITS } from "./storage-limits.ts";

/** The disk whose paths are below `root`, an existing folder or one made by `createDirectory("")`. */
export function openRealDisk(root: string): Disk {
  return new RealDisk(root);
}

const FLAGS: Readonly<Record<OpenMode, number>> = {
  "read": fs.constants.O_RDONLY,
  "read-write": fs.constants.O_RDWR,
  "create": fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
};

/** What is stored is nobody else's to read. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

class RealDisk implements Disk {
  readonly #root: string;
  #memory: DirectMemory | undefined;

  constructor(root: string) {
    this.#root = root;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const file = this.#resolve(path);
    const descriptor = await call<number>(path, (done) => fs.open(file, FLAGS[mode], FILE_MODE, done));
    return new RealFile(path, descriptor, () => (this.#memory ??= new DirectMemory()));
  }

  async list(directory: string): Promise<string[]> {
    const folder = this.#resolve(directory);
    const names = await call<string[]>(directory, (done) => fs.readdir(folder, done));
    return names.sort();
  }

  async createDirectory(directory: string): Promise<void> {
    const folder = this.#resolve(directory);
    await call<string | undefined>(directory, (done) =>
      fs.mkdir(folder, { recursive: true, mode: DIRECTORY_MODE }, done),
    );
  }

  async rename(from: string, to: string): Promise<void> {
    const source = this.#resolve(from);
    const target = this.#resolve(to);
    await call<void>(from, (done) => fs.rename(source, target, done));
  }

  async remove(path: string): Promise<void> {
    const target = this.#resolve(path);
    const stats = await call<fs.Stats>(path, (done) => fs.lstat(target, done));
    await call<void>(path, (done) => (stats.isDirectory() ? fs.rmdir(target, done) : fs.unlink(target, done)));
  }

  async syncDirectory(directory: string): Promise<void> {
    const folder = this.#resolve(directory);
    const descriptor = await call<number>(directory, (done) =>
      fs.open(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY, done),
    );
    try {
      await call<void>(directory, (done) => fs.fsync(descriptor, done));
    } finally {
      await call<void>(directory, (done) => fs.close(descriptor, done));
    }
  }

  async freeBytes(): Promise<number> {
    const stats = await call<fs.StatsFs>("", (done) => fs.statfs(this.#root, done));
    return stats.bavail * stats.bsize;
  }

  /** The place of a path. One that leaves the root, or is written in two ways, is a bug of the caller. */
  #resolve(path: string): string {
    const parts = path === "" ? [] : path.split("/");
    assert(
      parts.every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\0")),
      `a path below the disk's root, not ${JSON.stringify(path)}`,
    );
    return join(this.#root, ...parts);
  }
}

class RealFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;
  #running = 0;
  #closing: Promise<void> | undefined;
  readonly #idle: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  /** A failed sync is final: the kernel has marked the lost pages clean, so a second one would "succeed" (P30). */
  #poisoned = false;
  /** Something was written that was not synced since. */
  #unsynced = false;
  readonly #memory: () => DirectMemory;
  /** Asked for once. */
  #direct: Promise<DirectWriter | undefined> | undefined;

  constructor(path: string, descriptor: number, memory: () => DirectMemory) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#memory = memory;
  }

  size(): Promise<number> {
    return this.#run(() => this.#size());
  }

  read(position: number, target: Uint8Array): Promise<number> {
    return this.#run(async () => {
      let filled = 0;
      while (filled < target.length) {
        const start = filled;
        const count = await call<number>(this.path, (done) =>
          fs.read(this.#descriptor, target, start, target.length - start, position + start, done),
        );
        if (count === 0) break;
        filled += count;
      }
      return filled;
    });
  }

  write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#run(() => this.#write(position, chunks));
  }

  sync(): Promise<void> {
    return this.#run(() => this.#sync());
  }

  writeSynced(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#run(async () => {
      this.#requireHealthy();
      if (!this.#unsynced && (await this.#writeDirect(position, chunks))) return;
      await this.#write(position, chunks);
      await this.#sync();
    });
  }

  allocate(size: number): Promise<void> {
    return this.#run(async () => {
      const before = await this.#size();
      if (size < before) {
        await call<void>(this.path, (done) => fs.ftruncate(this.#descriptor, size, done));
        (await this.#direct)?.changed(size);
      } else if (size - before < ZEROS.length || !(await this.#growDirect(size))) {
        const { allocationBytesMax } = DISK_LIMITS;
        // Begun anew, for nobody knows how far the other way came.
        for (let at = before; at < size; at += allocationBytesMax)
          await this.#write(at, zeros(Math.min(allocationBytesMax, size - at)));
      }
    });
  }

  /** Waits for what is running: a descriptor closed under a running call may by then be another file's. */
  async close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    this.#closing = this.#idle.promise.then(async () => {
      await (await this.#direct)?.close();
      await call<void>(this.path, (done) => fs.close(this.#descriptor, done));
    });
    if (this.#running === 0) this.#idle.resolve();
    return this.#closing;
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw new DiskError("closed", this.path, "the file is closed");
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
      if (this.#running === 0 && this.#closing !== undefined) this.#idle.resolve();
    }
  }

  async #size(): Promise<number> {
    return (await call<fs.Stats>(this.path, (done) => fs.fstat(this.#descriptor, done))).size;
  }

  async #write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#requireHealthy();
    let rest = chunks.filter((chunk) => chunk.length > 0);
    let at = position;
    try {
      while (rest.length > 0) {
        const gathered = rest.slice(0, DISK_LIMITS.gatheredChunksMax);
        const start = at;
        const written = await call<number>(this.path, (done) => fs.writev(this.#descriptor, gathered, start, done));
        at += written;
        rest = remainder(rest, written);
      }
    } finally {
      this.#unsynced = true;
      if (this.#direct !== undefined) (await this.#direct)?.changed(await this.#size());
    }
  }

  async #sync(): Promise<void> {
    this.#requireHealthy();
    this.#unsynced = false;
    try {
      await call<void>(this.path, (done) => fs.fdatasync(this.#descriptor, done));
    } catch (error) {
      this.#poisoned = true;
      throw error;
    }
  }

  async #writeDirect(position: number, chunks: readonly Uint8Array[]): Promise<boolean> {
    const direct = await this.#openDirect();
    if (direct === undefined) return false;
    try {
      return await direct.write(position, chunks);
    } catch (error) {
      this.#poisoned = true;
      throw asDiskError(this.path, error as NodeJS.ErrnoException);
    }
  }

  async #growDirect(size: number): Promise<boolean> {
    this.#requireHealthy();
    const direct = await this.#openDirect();
    try {
      return (await direct?.grow(size)) === true;
    } catch (error) {
      throw asDiskError(this.path, error as NodeJS.ErrnoException);
    }
  }

  #openDirect(): Promise<DirectWriter | undefined> {
    this.#direct ??= this.#size()
      .then((size) => DirectWriter.open(this.#memory(), this.#descriptor, size))
      // No memory for it, or no way to ask how it is aligned: the other way is always there.
      .catch(() => undefined);
    return this.#direct;
  }

  #requireHealthy(): void {
    if (this.#poisoned)
      throw new DiskError("io", this.path, "an earlier sync failed; nothing more is written to this file");
  }
}

/** Few enough to stay in the processor's cache, for allocating writes as much as all that is appended. Never written to. */
const ZEROS = new Uint8Array(DISK_LIMITS.zerosBytes);

function zeros(length: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let left = length; left > 0; left -= ZEROS.length) chunks.push(ZEROS.subarray(0, left));
  return chunks;
}

/** The chunks that are left once `written` bytes are gone from the front. */
function remainder(chunks: readonly Uint8Array[], written: number): Uint8Array[] {
  let left = written;
  for (const [index, chunk] of chunks.entries()) {
    if (left < chunk.length) return [chunk.subarray(left), ...chunks.slice(index + 1)];
    left -= chunk.length;
  }
  return [];
}

/** One callback-style call as a promise, its failure as a `DiskError`. */
function call<T>(
  path: string,
  start: (done: (error: NodeJS.ErrnoException | null, value?: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error === null || error === undefined) resolve(value as T);
      else reject(asDiskError(path, error));
    });
  });
}

function asDiskError(path: string, error: NodeJS.ErrnoException): DiskError {
  return new DiskError(codeOf(error), path, error.message, { cause: error });
}

function codeOf(error: NodeJS.ErrnoException): DiskErrorCode {
  switch (error.code) {
    case "ENOENT":
    case "ENOTDIR":
      return "not-found";
    case "EEXIST":
    case "ENOTEMPTY":
    case "EISDIR":
      return "exists";
    case "ENOSPC":
    case "EDQUOT":
      return "no-space";
    case "EBUSY":
    case "EAGAIN":
      return "locked";
    default:
      return "io";
  }
}
