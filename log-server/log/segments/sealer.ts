/**
 * Seals segments in the background: one that is closed, and all of whose entries are applied, gets its index block
 * and its rows in the sparse index, and leaves memory. An empty one is removed, once another follows it: the last one says
 * where the log ends.
 *
 * The block is durable under its name before the sparse index knows of it; until then a restart scans the segment.
 */
import { type Disk, DiskError } from "../../../src/ports/disk.ts";
import type { BatchIndex } from "../index/batch-index.ts";
import { createAnew } from "../disk/create-anew.ts";
import type { DamageList } from "../repair/damage.ts";
import { writeIndexBlock } from "../index/index-block-writer.ts";
import type { LogLimits } from "../limits.ts";
import type { LogLayout } from "../log-layout.ts";
import type { Poison } from "../poison.ts";
import type { NewestSegment } from "./newest-segment.ts";
import { SealedSegment } from "./sealed-segment.ts";
import type { SegmentList } from "./segment-list.ts";
import type { Spares } from "./spares.ts";
import type { TailCache } from "../index/tail-cache.ts";
import type { UnsealedSegment } from "./unsealed-segment.ts";
import { syncSegments } from "./sync-segments.ts";

export type SealerParts = {
  readonly disk: Disk;
  readonly layout: LogLayout;
  readonly limits: LogLimits;
  readonly logId: number;
  readonly segments: SegmentList;
  readonly spares: Spares;
  readonly newest: NewestSegment;
  readonly batchIndex: BatchIndex;
  readonly cache: TailCache;
  readonly poison: Poison;
  readonly damage: DamageList;
};

export class Sealer {
  readonly #parts: SealerParts;
  #running: Promise<void> | undefined;
  #paused = 0;
  #fault: DiskError | undefined;
  /** Called when it has sealed what could be sealed, or has failed to. */
  onRested: () => void = () => undefined;

  constructor(parts: SealerParts) {
    this.#parts = parts;
  }

  /** Why a segment could not be sealed for lack of space; tried again with the next one. */
  get fault(): DiskError | undefined {
    return this.#fault;
  }

  /** There may be something to seal. */
  kick(): void {
    if (this.#running !== undefined || this.#paused > 0 || this.#parts.poison.error !== undefined) return;
    if (this.#next() === undefined) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      this.onRested();
    });
  }

  async idle(): Promise<void> {
    await this.#running;
  }

  /** Runs something that must not meet a seal. */
  async whilePaused<T>(work: () => Promise<T>): Promise<T> {
    this.#paused += 1;
    try {
      await this.#running;
      return await work();
    } finally {
      this.#paused -= 1;
    }
  }

  /** Starts nothing more, and resolves when what runs has ended. */
  async close(): Promise<void> {
    this.#paused += 1;
    await this.#running;
  }

  #next(): UnsealedSegment | undefined {
    const { unsealed, last } = this.#parts.segments;
    return unsealed.find(
      (segment) => segment.closed && segment.index.complete && (segment.index.count > 0 || segment !== last),
    );
  }

  async #run(): Promise<void> {
    try {
      for (let segment = this.#next(); segment !== undefined && this.#paused === 0; segment = this.#next()) {
        if (segment.index.count === 0) await this.#remove(segment);
        else await this.#sealWithin(segment);
        this.#fault = undefined;
      }
    } catch (error) {
      if (error instanceof DiskError && error.code === "no-space") this.#fault = error;
      else if (error instanceof DiskError) this.#parts.poison.with(error);
      else throw error;
    }
  }

  /** On a full disk a spare makes room: without sealing there is no trimming, and so never space again. */
  async #sealWithin(segment: UnsealedSegment): Promise<void> {
    try {
      await this.#seal(segment);
    } catch (error) {
      const full = error instanceof DiskError && error.code === "no-space";
      if (!full || !(await this.#parts.spares.release())) throw error;
      await this.#seal(segment);
    }
  }

  async #seal(segment: UnsealedSegment): Promise<void> {
    const { disk, layout, logId, segments, batchIndex, cache } = this.#parts;
    const { sequence, index, end } = segment;
    const temporary = layout.file(sequence, "index.new");
    const file = await createAnew(disk, temporary);
    let block: Awaited<ReturnType<typeof writeIndexBlock>>;
    try {
      block = await writeIndexBlock(file, { logId, sequence, end, fileBytes: segment.allocatedBytes, index });
      await file.sync();
    } catch (error) {
      await file.close().catch(() => undefined);
      await disk.remove(temporary).catch(() => undefined);
      throw error;
    }
    await file.close();
    await disk.rename(temporary, layout.file(sequence, "index"));
    await syncSegments(this.#parts);
    const sealed = new SealedSegment(block.facts, block.terms, []);
    await batchIndex.enter(sealed, block.streams);
    segments.replace(segment, sealed);
    this.#parts.damage.resolve(sequence, ["index"]);
    cache.forget(index.rows);
    await segment.file.retire();
  }

  async #remove(segment: UnsealedSegment): Promise<void> {
    const { disk, segments, newest } = this.#parts;
    segments.remove(segment);
    await newest.leave(segment.sequence, segments.last?.sequence ?? 0);
    await segment.file.retire();
    await disk.remove(segment.path);
    await syncSegments(this.#parts);
  }
}
