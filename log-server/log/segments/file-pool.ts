/** The files of sealed segments, opened when read, a bounded number of them kept open: the most recently used. */
import { DiskError, type Disk, type DiskFile } from "../../../src/ports/disk.ts";
import type { LogLimits } from "../limits.ts";
import { SharedFile } from "./shared-file.ts";

export class FilePool {
  readonly #disk: Disk;
  readonly #limits: LogLimits;
  /** By path, the longest unused first. */
  readonly #open = new Map<string, Promise<SharedFile>>();

  constructor(disk: Disk, limits: LogLimits) {
    this.#disk = disk;
    this.#limits = limits;
  }

  async use<T>(path: string, work: (file: DiskFile) => Promise<T>): Promise<T> {
    let opening = this.#open.get(path);
    if (opening === undefined) {
      const started = this.#disk.open(path, "read").then((file) => new SharedFile(file));
      started.catch(() => {
        if (this.#open.get(path) === started) this.#open.delete(path);
      });
      opening = started;
      this.#makeRoom();
    } else {
      this.#open.delete(path);
    }
    this.#open.set(path, opening);
    const file = await opening;
    try {
      return await file.use(work);
    } catch (error) {
      // It left the pool between being found and being used.
      if (error instanceof DiskError && error.code === "closed" && this.#open.get(path) !== opening)
        return this.use(path, work);
      throw error;
    }
  }

  /** Lets go of a file that is about to be removed. */
  async forget(path: string): Promise<void> {
    const opening = this.#open.get(path);
    this.#open.delete(path);
    const file = await opening?.catch(() => undefined);
    await file?.retire();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((path) => this.forget(path)));
  }

  #makeRoom(): void {
    for (const path of this.#open.keys()) {
      if (this.#open.size < this.#limits.openFilesMax) return;
      void this.forget(path).catch(() => undefined);
    }
  }
}
