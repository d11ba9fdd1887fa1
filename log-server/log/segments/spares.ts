/**
 * Spares: segments preallocated in the background, so that appends overwrite instead of growing a file. Running out
 * of space here is no failure of the log: there are fewer spares until there is space again.
 */
import { type Disk, DiskError } from "../../../src/ports/disk.ts";
import type { LogLimits } from "../limits.ts";
import type { LogLayout } from "../log-layout.ts";
import { SharedFile } from "./shared-file.ts";
import type { Spare } from "./unsealed-segment.ts";
import type { Poison } from "../poison.ts";
import { syncSegments } from "./sync-segments.ts";

export class Spares {
  readonly #disk: Disk;
  readonly #layout: LogLayout;
  readonly #limits: LogLimits;
  readonly #poison: Poison;
  readonly #ready: Spare[];
  #nextSequence: number;
  #preparing: Promise<void> | undefined;
  /** Why the last preparation failed. */
  #fault: DiskError | undefined;
  #closed = false;

  /** `ready`: what recovery found, by sequence. */
  constructor(options: {
    readonly disk: Disk;
    readonly layout: LogLayout;
    readonly limits: LogLimits;
    readonly poison: Poison;
    readonly ready: readonly Spare[];
    readonly nextSequence: number;
  }) {
    this.#disk = options.disk;
    this.#layout = options.layout;
    this.#limits = options.limits;
    this.#poison = options.poison;
    this.#ready = [...options.ready];
    this.#nextSequence = options.nextSequence;
  }

  get ready(): number {
    return this.#ready.length;
  }

  get fault(): DiskError | undefined {
    return this.#fault;
  }

  /** A sequence for a file that is not a spare. */
  takeSequence(): number {
    const sequence = this.#nextSequence;
    this.#nextSequence += 1;
    return sequence;
  }

  /** A spare of at least this size. Rejects, with nothing changed, when the disk has no space for one. */
  async take(bytes: number): Promise<Spare> {
    let spare = await this.#first();
    if (spare.allocatedBytes < bytes) {
      try {
        await spare.file.raw.allocate(bytes);
      } catch (error) {
        await spare.file.raw.allocate(spare.allocatedBytes);
        throw error;
      }
      spare = { ...spare, allocatedBytes: bytes };
    }
    this.#ready.shift();
    this.prepare();
    return spare;
  }

  /** The newest one taken was not used after all. */
  giveBack(spare: Spare): void {
    this.#ready.unshift(spare);
  }

  /** Gives the space of one spare back, if another is left for appending. Whether it did. */
  async release(): Promise<boolean> {
    if (this.#closed || this.#ready.length < 2) return false;
    const spare = this.#ready.pop() as Spare;
    await spare.file.retire();
    await this.#disk.remove(spare.path);
    return true;
  }

  /** Fills the stock, in the background; tries again what failed before. */
  prepare(): void {
    if (this.#closed || this.#preparing !== undefined || this.#ready.length >= this.#limits.sparesKept) return;
    this.#preparing = this.#fill().finally(() => {
      this.#preparing = undefined;
    });
  }

  /** Resolves once nothing is being prepared. */
  async idle(): Promise<void> {
    await this.#preparing;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#preparing;
    await Promise.all(this.#ready.map((spare) => spare.file.retire()));
  }

  async #first(): Promise<Spare> {
    while (this.#ready.length === 0) {
      this.prepare();
      await this.#preparing;
      if (this.#ready.length === 0)
        throw this.#fault ?? new DiskError("closed", this.#layout.segments, "the log is closed");
    }
    return this.#ready[0] as Spare;
  }

  async #fill(): Promise<void> {
    try {
      while (!this.#closed && this.#ready.length < this.#limits.sparesKept) {
        this.#ready.push(await this.#create());
        this.#fault = undefined;
      }
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#fault = error;
    }
  }

  async #create(): Promise<Spare> {
    const sequence = this.takeSequence();
    const path = this.#layout.file(sequence, "log");
    const { segmentBytes, allocationStepBytes } = this.#limits;
    const raw = await this.#disk.open(path, "create");
    try {
      for (let size = 0; size < segmentBytes;) {
        size = Math.min(segmentBytes, size + allocationStepBytes);
        await raw.allocate(size);
        await raw.sync();
      }
      await syncSegments({ disk: this.#disk, layout: this.#layout, poison: this.#poison });
    } catch (error) {
      await raw.close().catch(() => undefined);
      // Half a spare is only in the way; the next start removes it if this fails.
      await this.#disk.remove(path).catch(() => undefined);
      throw error;
    }
    return { sequence, path, file: new SharedFile(raw), allocatedBytes: segmentBytes };
  }
}
