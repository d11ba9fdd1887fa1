/**
 * An open file that several readers use at once: closed when it is no longer wanted and the last of them is done, so
 * that nobody reads through a descriptor that has become another file's.
 */
import { DiskError, type DiskFile } from "../../../src/ports/disk.ts";

export class SharedFile {
  readonly #file: DiskFile;
  #users = 0;
  #retired = false;
  #closed: Promise<void> | undefined;
  readonly #idle: PromiseWithResolvers<void> = Promise.withResolvers<void>();

  constructor(file: DiskFile) {
    this.#file = file;
  }

  /** For the one who writes, and retires it only afterwards. */
  get raw(): DiskFile {
    return this.#file;
  }

  get inUse(): boolean {
    return this.#users > 0;
  }

  async use<T>(work: (file: DiskFile) => Promise<T>): Promise<T> {
    if (this.#retired) throw new DiskError("closed", this.#file.path, "the file is no longer in use");
    this.#users += 1;
    try {
      return await work(this.#file);
    } finally {
      this.#users -= 1;
      if (this.#users === 0 && this.#retired) this.#idle.resolve();
    }
  }

  retire(): Promise<void> {
    this.#retired = true;
    if (this.#users === 0) this.#idle.resolve();
    this.#closed ??= this.#idle.promise.then(() => this.#file.close());
    return this.#closed;
  }
}
