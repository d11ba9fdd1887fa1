/**
 * Reads the whole log, and the snapshots, once in a while, so slowly that nobody notices: what rots where nobody looks would be
 * found only when the other copies have rotted, too. The segment that is being written is closed for it: of a log that is
 * written seldom that may be the newest data of weeks.
 */
import type { Timer } from "../../../src/ports/clock.ts";
import type { NodeParts } from "../node-parts.ts";
import { Rounds } from "../rounds.ts";

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
  /** The newest snapshot is damaged, or gone. */
  replaceSnapshot(): Promise<void>;
  failed(error: unknown): void;
}

export class Scrub {
  readonly #parts: Pick<NodeParts, "log" | "clock" | "limits" | "observer">;
  readonly #owner: ScrubOwner;
  readonly #rounds: Rounds;
  #pausing: Timer | undefined;
  /** Ends a pause. */
  #wake: (() => void) | undefined;
  #passes = 0;
  #bytes = 0;
  #checked = 0;
  #segments = 0;
  /** Up to this pass somebody waits. */
  #hurried = 0;

  constructor(parts: Pick<NodeParts, "log" | "clock" | "limits" | "observer">, owner: ScrubOwner) {
    this.#parts = parts;
    this.#owner = owner;
    this.#rounds = new Rounds(parts.clock, {
      everyMs: parts.limits.scrubEveryMs,
      work: () => this.#readAll(),
      failed: (error) => this.#tell(error),
    });
  }

  get status(): ScrubStatus {
    const { underWay } = this.#rounds;
    return { passes: this.#passes, bytes: this.#bytes, underWay, checked: this.#checked, segments: this.#segments };
  }

  start(): void {
    this.#rounds.start(this.#parts.limits.scrubFirstMs);
  }

  /** A pass begins now, or behind the one under way, and goes as fast as it may: over once `passes` has reached the answer. */
  hurry(): number {
    const hurried = this.#passes + (this.#rounds.underWay ? 2 : 1);
    this.#hurried = hurried;
    this.#rounds.again();
    return hurried;
  }

  /** Resolves when what was begun has ended. */
  async stop(): Promise<void> {
    const stopped = this.#rounds.stop();
    this.#pausing?.cancel();
    this.#wake?.();
    await stopped;
  }

  async #readAll(): Promise<void> {
    const { log, observer } = this.#parts;
    const before = { bytes: this.#bytes, damage: log.damage.length };
    await log.roll();
    const sequences = log.sequences();
    this.#segments = sequences.length;
    this.#checked = 0;
    for (const sequence of sequences) {
      if (this.#rounds.stopped) return;
      await log.scrub(sequence, (bytes) => this.#pace(bytes));
      this.#checked += 1;
    }
    if (this.#rounds.stopped) return;
    if (!(await log.scrubSnapshots((bytes) => this.#pace(bytes))) && !this.#rounds.stopped)
      await this.#owner.replaceSnapshot();
    this.#passes += 1;
    observer.event("scrubbed", { bytes: this.#bytes - before.bytes, found: log.damage.length - before.damage });
  }

  #pace(bytes: number): Promise<void> {
    this.#bytes += bytes;
    if (this.#rounds.stopped) return Promise.resolve();
    const { clock, limits } = this.#parts;
    const perSecond = this.#passes < this.#hurried ? limits.verifyBytesPerSecond : limits.scrubBytesPerSecond;
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#pausing = clock.schedule((bytes / perSecond) * SECOND_MS, resolve);
    });
  }

  #tell(error: unknown): void {
    this.#hurried = 0;
    if (this.#parts.log.poisoned !== undefined) this.#owner.failed(error);
    else this.#parts.observer.event("scrub-failed", { error: String(error) });
  }
}
