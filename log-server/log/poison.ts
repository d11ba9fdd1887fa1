/** The first failure after which nothing more may be written: what the disk holds is not known (P30). */
import { DiskError } from "../../src/ports/disk.ts";

export class Poison {
  #error: DiskError | undefined;

  get error(): DiskError | undefined {
    return this.#error;
  }

  /** Notes a failure of the disk, and returns what to throw. A bug is passed on as it is. */
  with(error: unknown): unknown {
    if (error instanceof DiskError) this.#error ??= error;
    return error;
  }
}
