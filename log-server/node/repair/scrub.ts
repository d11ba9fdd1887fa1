/**
 * Reads all that is sealed, and the snapshots, once in a while, so slowly that nobody notices: what rots where nobody looks would be found only
 * when the other copies have rotted, too.
 */
import type { Timer } from "../../../src/ports/clock.ts";
import type { NodeParts } from "../node-parts.ts";

const SECOND_MS = 1_000;

/** Since the start. */
export type ScrubStatus = {
  /** Through all segments. */
  readonly passes: number;
  readonly bytes: number;
  readonly underWay: boolean;
  /** Segments that the pass under way has read, of how many. */
  readonly checked: number;
  readonly segments: number;
};

export interface ScrubOwner {
  /** The newest snapshot is damaged. */
  replaceSnapshot(): Promise<void>;
  failed(error: unknown): void;
}

export class Scrub {
  readonly #parts: Pick<NodeParts, "log" | "clock" | "limits" | "observer">;
  readonly #owner: ScrubOwner;
  #timer: Timer | undefined;
  /** Ends a pause. */
  #wake: (() => void) | undefined;
  #stopped = false;
  #running: Promise<void> | undefined;
  #passes = 0;
  #bytes = 0;
  #checked = 0;
  #segments = 0;
  /** Up to this pass somebody waits. */
  #hurried = 0;

  constructor(parts: Pick<NodeParts, "log" | "clock" | "limits" | "observer">, owner: ScrubOwner) {
    this.#parts = parts;
    this.#owner = owner;
  }

  get status(): ScrubStatus {
    const underWay = this.#running !== undefined;
    return { passes: this.#passes, bytes: this.#bytes, underWay, checked: this.#checked, segments: this.#segments };
  }

  start(): void {
    this.#later(this.#parts.limits.scrubFirstMs);
  }

  /** A pass begins now, or behind the one under way, and goes as fast as it may: over once `passes` has reached the answer. */
  hurry(): number {
    this.#hurried = this.#passes + (this.#running === undefined ? 1 : 2);
    if (this.#running !== undefined) return this.#hurried;
    this.#timer?.cancel();
    this.#later(0);
    return this.#hurried;
  }

  /** Resolves when what was begun has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#wake?.();
    await this.#running;
  }

  #later(delayMs: number): void {
    this.#timer = this.#parts.clock.schedule(delayMs, () => {
      this.#running = this.#run()
        .catch((error: unknown) => this.#tell(error))
        .finally(() => {
          this.#running = undefined;
          if (!this.#stopped) this.#later(this.#passes < this.#hurried ? 0 : this.#parts.limits.scrubEveryMs);
        });
    });
  }

  async #run(): Promise<void> {
    const { log, observer } = this.#parts;
    const before = { bytes: this.#bytes, damage: log.damage.length };
    const sequences = log.sequences();
    this.#segments = sequences.length;
    this.#checked = 0;
    for (const sequence of sequences) {
      if (this.#stopped) return;
      await log.scrub(sequence, (bytes) => this.#pace(bytes));
      this.#checked += 1;
    }
    if (this.#stopped) return;
    if (!(await log.scrubSnapshots((bytes) => this.#pace(bytes))) && !this.#stopped)
      await this.#owner.replaceSnapshot();
    this.#passes += 1;
    observer.event("scrubbed", { bytes: this.#bytes - before.bytes, found: log.damage.length - before.damage });
  }

  #pace(bytes: number): Promise<void> {
    this.#bytes += bytes;
    if (this.#stopped) return Promise.resolve();
    const { clock, limits } = this.#parts;
    const perSecond = this.#passes < this.#hurried ? limits.verifyBytesPerSecond : limits.scrubBytesPerSecond;
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = clock.schedule((bytes / perSecond) * SECOND_MS, resolve);
    });
  }

  #tell(error: unknown): void {
    this.#hurried = 0;
    if (this.#parts.log.poisoned !== undefined) this.#owner.failed(error);
    else this.#parts.observer.event("scrub-failed", { error: String(error) });
  }
}
