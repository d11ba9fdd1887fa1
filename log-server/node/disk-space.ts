/**
 * Refuses what needs more space before the disk is full (DESIGN, "disk full is refused before it happens"): below a
 * low-water mark only commands that free space or move time go on. Free space is sampled now and then, and sooner the
 * more is written, so that a fast writer cannot run past the mark between two samples. What it refuses as leader, another may
 * have room for: the owner is told when that changes.
 */
import type { NodeParts } from "./node-parts.ts";

export class DiskSpace {
  readonly #parts: NodeParts;
  readonly #onChange: (full: boolean) => void;
  #freeBytes = Number.MAX_SAFE_INTEGER;
  #writtenSinceSample = 0;
  #full = false;
  #sampling: Promise<void> | undefined;

  constructor(parts: NodeParts, onChange: (full: boolean) => void) {
    this.#parts = parts;
    this.#onChange = onChange;
  }

  /** When last sampled. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  get full(): boolean {
    return this.#full;
  }

  /** So much was written: at the latest a quarter of the way to the mark, the disk is asked again. */
  wrote(bytes: number): void {
    this.#writtenSinceSample += bytes;
    const { lowWaterBytes } = this.#parts.limits;
    const left = this.#freeBytes - this.#writtenSinceSample - lowWaterBytes;
    if (left <= 0 || this.#writtenSinceSample * 4 >= lowWaterBytes) void this.sample();
  }

  /** The disk had no room for an append: it is full, whatever the last sample said. */
  ranOut(): void {
    this.#set(true);
  }

  /** Asks the disk. Resolves with what it said; an error of the disk leaves what was known. */
  sample(): Promise<void> {
    this.#sampling ??= this.#sample().finally(() => {
      this.#sampling = undefined;
    });
    return this.#sampling;
  }

  async #sample(): Promise<void> {
    this.#writtenSinceSample = 0;
    try {
      this.#freeBytes = await this.#parts.log.freeBytes();
    } catch (error) {
      this.#parts.observer.event("disk-not-sampled", { error: String(error) });
      return;
    }
    this.#set(this.#freeBytes < this.#parts.limits.lowWaterBytes);
  }

  #set(full: boolean): void {
    if (full === this.#full) return;
    this.#full = full;
    this.#parts.observer.event(full ? "disk-full" : "disk-freed", { freeBytes: this.#freeBytes });
    this.#onChange(full);
  }
}
