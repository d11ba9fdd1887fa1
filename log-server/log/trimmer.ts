/**
 * Drops whole sealed segments that nobody may read any more: below a verified snapshot, and without anything live.
 * The sparse index forgets a segment before its files go, and remembers until then that they are to go; so an
 * interrupted drop is finished at the next start, and a file that is missing otherwise is known to be lost.
 */
import type { Disk } from "../../src/ports/disk.ts";
import type { BatchIndex } from "./index/batch-index.ts";
import type { DamageList } from "./repair/damage.ts";
import type { FilePool } from "./segments/file-pool.ts";
import { NO_STREAM, type StreamRecord } from "./index/index-block.ts";
import type { LogLayout } from "./log-layout.ts";
import type { IndexReader, SealedSegment } from "./segments/sealed-segment.ts";
import { removeSegmentFiles } from "./segments/segment-removal.ts";
import type { SegmentList } from "./segments/segment-list.ts";
import type { Poison } from "./poison.ts";

/** Whether anything of a stream before `endOffset` may still be read. */
export type Liveness = (streamId: number, endOffset: number) => boolean;

export type TrimmerParts = {
  readonly disk: Disk;
  readonly layout: LogLayout;
  readonly segments: SegmentList;
  readonly batchIndex: BatchIndex;
  readonly indexReader: IndexReader;
  readonly pool: FilePool;
  readonly damage: DamageList;
  readonly poison: Poison;
};

/** A segment that is no part of the log any more, while something may still be left of it. */
type Dropped = { readonly segment: SealedSegment; readonly streams: readonly StreamRecord[] };

export class Trimmer {
  readonly #parts: TrimmerParts;
  #dropped: Dropped | undefined;

  constructor(parts: TrimmerParts) {
    this.#parts = parts;
  }

  /** How many segments were dropped. `position`: of a verified snapshot. One call at a time. */
  async trim(position: number, isLive: Liveness): Promise<number> {
    const { segments, indexReader } = this.#parts;
    // A lack of space may have held it up.
    await this.#finish();
    let dropped = 0;
    for (const segment of segments.sealed) {
      // The last one says where the log ends.
      if (segment.lastIndex > position || segment === segments.last) break;
      const witness = segment.liveWitness;
      if (witness !== undefined && isLive(witness.streamId, witness.endOffset)) continue;
      const records = await indexReader.streams(segment);
      // With a damaged index it is not known what is in there: it stays (I13).
      if (records === undefined) continue;
      const streams = records.filter((record) => record.streamId !== NO_STREAM);
      segment.liveWitness = streams.find(({ streamId, endOffset }) => isLive(streamId, endOffset));
      if (segment.liveWitness !== undefined) continue;
      // Out of the list first: no reader corrects a row of it back into the index from now on.
      segments.drop(segment);
      segments.terms.trim(segments.firstIndex);
      this.#dropped = { segment, streams };
      await this.#finish();
      dropped += 1;
    }
    return dropped;
  }

  async #finish(): Promise<void> {
    if (this.#dropped === undefined) return;
    const { segments, batchIndex, damage } = this.#parts;
    const { segment, streams } = this.#dropped;
    await batchIndex.drop(segment, streams);
    segments.forget([segment]);
    damage.forget(segment.sequence);
    await removeSegmentFiles(this.#parts, segment);
    await batchIndex.forget([segment.sequence]);
    this.#dropped = undefined;
  }
}
