/**
 * What a node does now and then, beside its loop: looks for room and damage, saves what is due, lets go of what nobody may
 * read any more. What of this is proposed to the log is the leader's to propose; what is done to the disk, each node's.
 */
import type { Timer } from "../../src/ports/clock.ts";
import type { Damage } from "../log/repair/damage.ts";
import type { Checkpointer } from "./checkpointer.ts";
import type { Compactor } from "./compaction/compactor.ts";
import type { DiskSpace } from "./disk-space.ts";
import type { NodeParts } from "./node-parts.ts";
import type { Retention } from "./retention.ts";

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
  #timer: Timer | undefined;
  #running = false;
  #damageReported: readonly Damage[] = [];

  /** `blocked`: the log cannot be applied past damage. `failed`: something beside the appends has failed for good. */
  constructor(parts: HousekeepingParts, blocked: () => boolean, failed: (error: unknown) => void) {
    this.#parts = parts;
    this.#blocked = blocked;
    this.#failed = failed;
  }

  start(): void {
    this.#running = true;
    this.#run();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
  }

  #run(): void {
    this.#work()
      .catch((error: unknown) => this.#told(error))
      .finally(() => {
        if (!this.#running) return;
        this.#timer = this.#parts.clock.schedule(this.#parts.limits.housekeepingEveryMs, () => this.#run());
      });
  }

  async #work(): Promise<void> {
    const { log, space, checkpointer, retention, compactor } = this.#parts;
    // Sealing, or a snapshot.
    if (log.poisoned !== undefined) return this.#failed(log.poisoned);
    this.#reportDamage();
    await space.sample();
    // Only below a snapshot may the log be trimmed: with a full disk it is worth one.
    if (space.full) await checkpointer.snapshot();
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
