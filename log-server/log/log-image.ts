/**
 * The log's part of the image: the index rows of the unsealed segments, saved with the state machine's and brought
 * back at a start. When an image is discarded, the sparse index goes with it and is rebuilt from the index blocks.
 */
import { err, type Result } from "../../src/lib/result.ts";
import type { BatchIndex } from "./index/batch-index.ts";
import type { DamageList } from "./repair/damage.ts";
import { ENVELOPE_LENGTH } from "./entries/entry-codec.ts";
import type { Image, ImageFault, LoadedImage } from "./image.ts";
import type { LogLimits } from "./limits.ts";
import type { Row, RowChange } from "../../src/record/row.ts";
import type { IndexReader } from "./segments/sealed-segment.ts";
import type { SegmentList } from "./segments/segment-list.ts";
import type { SnapshotStore } from "./snapshots/snapshot-store.ts";
import { decodeTailRow, type TailEntry, TailRows } from "./index/tail-rows.ts";
import type { UnsealedSegment } from "./segments/unsealed-segment.ts";

export type LogImageParts = {
  readonly image: Image;
  readonly limits: LogLimits;
  readonly segments: SegmentList;
  readonly batchIndex: BatchIndex;
  readonly indexReader: IndexReader;
  readonly snapshots: SnapshotStore;
  readonly damage: DamageList;
};

export class LogImage {
  readonly #parts: LogImageParts;
  readonly #tail: TailRows;

  constructor(parts: LogImageParts) {
    this.#parts = parts;
    this.#tail = new TailRows(parts.limits);
  }

  get position(): number | undefined {
    return this.#parts.image.position;
  }

  savedPosition(): number | undefined {
    return this.#parts.image.savedPosition();
  }

  get digest(): bigint | undefined {
    return this.#parts.image.digest;
  }

  stateRows(): Iterable<Row> {
    return this.#parts.image.stateRows();
  }

  /** The tail's rows as of the last save. */
  get tailRows(): readonly Row[] {
    return this.#tail.saved;
  }

  /** An entry's batches are placed. */
  applied(segment: UnsealedSegment, index: number): void {
    this.#tail.applied(segment, index);
  }

  async save(stateRows: readonly RowChange[], position: number, digest: bigint): Promise<void> {
    const tail = this.#tail.changes(this.#parts.segments.unsealed);
    await this.#parts.image.save({ stateRows, tailRows: tail.changes, position, digest });
    tail.commit();
  }

  async load(logEnd: number): Promise<Result<LoadedImage, ImageFault>> {
    const loaded = this.#parts.image.load({ logEnd });
    if (!loaded.ok) return loaded;
    const fault = await this.#restore(loaded.value);
    return fault === undefined ? loaded : err(fault);
  }

  /** Forgets it; the next save brings all of the tail. The sparse index, which goes with it, is built anew. */
  async discard(): Promise<void> {
    await this.#parts.image.discard();
    this.#tail.reset([]);
    for (const segment of this.#parts.segments.unsealed) {
      for (let index = segment.firstIndex; index <= segment.lastIndex; index += 1) {
        if (segment.index.isPlaced(index)) this.#tail.applied(segment, index);
      }
    }
    await this.#rebuildSparseIndex();
  }

  /** Puts back what a snapshot's tail says of entries up to its position; what does not fit the log is left out. */
  restoreFromSnapshot(rows: readonly Row[], position: number): void {
    for (const stored of rows) {
      const row = decodeTailRow(stored);
      const segment = row && this.#parts.segments.bySequence(row.sequence);
      if (row === undefined || segment?.kind !== "unsealed") continue;
      for (const entry of row.entries) {
        if (entry.index > position || !fits(segment, entry) || segment.index.isPlaced(entry.index)) continue;
        restoreEntry(segment, entry);
        this.#tail.applied(segment, entry.index);
      }
    }
    this.#parts.segments.rebuildTerms();
  }

  /** Puts the tail's rows back into the unsealed segments' indexes. */
  async #restore(loaded: LoadedImage): Promise<ImageFault | undefined> {
    const { segments } = this.#parts;
    // Before anything is changed: an image that does not fit the log must leave no trace.
    const restored: { segment: UnsealedSegment; entry: TailEntry }[] = [];
    for (const stored of loaded.tailRows) {
      const row = decodeTailRow(stored);
      if (row === undefined) return damaged("a row of the tail's index is malformed");
      const segment = segments.bySequence(row.sequence);
      if (segment?.kind !== "unsealed") continue;
      for (const entry of row.entries) {
        if (!fits(segment, entry)) return damaged(`the tail's index does not fit entry ${entry.index}`);
        restored.push({ segment, entry });
      }
    }
    const missing = await this.#missing(new Set(restored.map(({ entry }) => entry.index)), loaded.position);
    if (missing !== undefined) return missing;
    for (const { segment, entry } of restored) restoreEntry(segment, entry);
    segments.rebuildTerms();
    this.#tail.reset(loaded.tailRows);
    return undefined;
  }

  /**
   * Applied entries of unsealed segments whose rows are not there: the segment's index block is lost. Applying again
   * from the newest snapshot brings them back, if that is before them.
   */
  async #missing(restored: ReadonlySet<number>, position: number): Promise<ImageFault | undefined> {
    const [snapshotPosition = 0] = await this.#parts.snapshots.positions();
    for (const segment of this.#parts.segments.unsealed) {
      const last = Math.min(segment.lastIndex, position);
      let lost: number | undefined;
      for (let index = segment.firstIndex; index <= last; index += 1) if (!restored.has(index)) lost = index;
      if (lost === undefined) continue;
      if (lost > snapshotPosition) return damaged(`the index of entry ${lost} is lost`);
      const { sequence, firstIndex } = segment;
      this.#parts.damage.add({
        kind: "index",
        segment: sequence,
        firstIndex,
        lastIndex: lost,
        message: `the index of segment ${sequence} is lost`,
      });
    }
    return undefined;
  }

  async #rebuildSparseIndex(): Promise<void> {
    const { segments, batchIndex, indexReader, damage } = this.#parts;
    for (const segment of segments.sealed) {
      const streams = await indexReader.streams(segment);
      if (streams !== undefined) await batchIndex.enter(segment, streams);
      else
        damage.add({
          kind: "index",
          segment: segment.sequence,
          message: `the index of segment ${segment.sequence} cannot be read`,
        });
    }
  }
}

/** Whether a saved entry is the one that was found in the segment, or may be one that damage hides. */
function fits(segment: UnsealedSegment, entry: TailEntry): boolean {
  const { index } = segment;
  const slot = index.slotOf(entry.index);
  if (slot < 0 || slot >= index.count || entry.length < ENVELOPE_LENGTH) return false;
  if (index.entries.intact[slot] === 0) return true;
  return index.entries.hash[slot] === entry.hash && index.entries.rowCount[slot] === entry.batches.length;
}

function restoreEntry(segment: UnsealedSegment, entry: TailEntry): void {
  const { index } = segment;
  const slot = index.slotOf(entry.index);
  if (index.entries.intact[slot] === 0) {
    // The head is damaged; its batches may not be.
    const { entries, rows } = index;
    entries.place[slot] = entry.place;
    entries.length[slot] = entry.length;
    entries.term[slot] = entry.term;
    entries.hash[slot] = entry.hash;
    entries.logTime[slot] = entry.logTime;
    entries.firstRow[slot] = rows.count;
    entries.rowCount[slot] = entry.batches.length;
    for (const batch of entry.batches) rows.add(batch.place, batch.length, batch.span, batch.hash, slot);
  }
  index.place(
    entry.index,
    entry.batches.map((batch) => batch.placement),
  );
}

function damaged(message: string): ImageFault {
  return { kind: "damaged", message };
}
