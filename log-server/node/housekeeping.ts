/**
 * What a node does now and then, beside its loop: looks for room and damage, saves what is due, lets go of what nobody may
 * read any more. What of this is proposed to the log is the leader's to propose; what is done to the disk, each node's.
 */
import type { Damage } from "../log/repair/damage.ts";
import type { Checkpointer } from "./checkpointer.ts";
import type { Compactor } from "./compaction/compactor.ts";
import type { DiskSpace } from "./disk-space.ts";
import type { NodeParts } from "./node-parts.ts";
import type { Retention } from "./retention.ts";
import { Rounds } from "./rounds.ts";

export type HousekeepingParts = Pick<NodeParts, "log" | "clock" | "limits" | "observer"> & {
  readonly space: DiskSpace;
  readonly checkpointer: Checkpointer;
  readonly retention: Retention;
  readonly compactor: Compactor;
};

export class Housekeeping {
  readonly #parts: HousekeepingParts;
  readonly #blocked: () => boolean;
  readonly #failed: (error: unknown) => void;
  readonly #rounds: Rounds;
  #damageReported: readonly Damage[] = [];

  /** `blocked`: the log cannot be applied past damage. `failed`: something beside the appends has failed for good. */
  constructor(parts: HousekeepingParts, blocked: () => boolean, failed: (error: unknown) => void) {
    this.#parts = parts;
    this.#blocked = blocked;
    this.#failed = failed;
    this.#rounds = new Rounds(parts.clock, {
      everyMs: parts.limits.housekeepingEveryMs,
      work: () => this.#work(),
      failed: (error) => this.#told(error),
    });
  }

  start(): void {
    this.#rounds.start(0);
  }

  /** Resolves when what was begun has ended. */
  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  async #work(): Promise<void> {
    const { log, space, checkpointer, retention, compactor } = this.#parts;
    // Sealing, or a snapshot.
    if (log.poisoned !== undefined) return this.#failed(log.poisoned);
    this.#reportDamage();
    await space.sample();
    // Only below a snapshot may the log be trimmed: with a full disk it is worth one, though nothing may be sealed there.
    if (space.full) await checkpointer.snapshot(true);
    checkpointer.due();
    if (this.#blocked()) return undefined;
    await retention.run(checkpointer);
    // Not waited for: it may take long, and what else is done here must not.
    void compactor.run().catch((error: unknown) => this.#told(error));
    return undefined;
  }

  #told(error: unknown): void {
    this.#parts.observer.event("housekeeping-failed", { error: String(error) });
  }

  /** What was found since the last look, at the start or by a reader. */
  #reportDamage(): void {
    const { damage } = this.#parts.log;
    const reported = new Set(this.#damageReported);
    for (const found of damage) if (!reported.has(found)) this.#parts.observer.event("damage", found);
    this.#damageReported = damage;
  }
}
