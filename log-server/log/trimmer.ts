/**
 * Drops whole sealed segments that nobody may read any more: below a verified snapshot, and without anything live.
 * The sparse index forgets a segment before its files go, and remembers until then that they are to go; so an
 * interrupted drop is finished at the next start, and a file that is missing otherwise is known to be lost.
 */
import type { Disk } from "../../src/ports/disk.ts";
import type { BatchIndex } from "./batch-index.ts";
import type { FilePool } from "./file-pool.ts";
import { NO_STREAM, type StreamRecord } from "./index-block.ts";
import type { LogLayout } from "./log-layout.ts";
import type { IndexReader, SealedSegment } from "./sealed-segment.ts";
import type { SegmentList } from "./segment-list.ts";

/** Whether anything of a stream before `endOffset` may still be read. */
export type Liveness = (streamId: number, endOffset: number) => boolean;

export type TrimmerParts = {
  readonly disk: Disk;
  readonly layout: LogLayout;
  readonly segments: SegmentList;
  readonly batchIndex: BatchIndex;
  readonly indexReader: IndexReader;
  readonly pool: FilePool;
};

export class Trimmer {
  readonly #parts: TrimmerParts;
  #running: Promise<number> | undefined;

  constructor(parts: TrimmerParts) {
    this.#parts = parts;
  }

  /** How many segments were dropped. `position`: of a verified snapshot. */
  trim(position: number, isLive: Liveness): Promise<number> {
    this.#running ??= this.#trim(position, isLive).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async idle(): Promise<void> {
    await this.#running?.catch(() => undefined);
  }

  async #trim(position: number, isLive: Liveness): Promise<number> {
    const { segments, indexReader } = this.#parts;
    let dropped = 0;
    for (const segment of segments.sealed) {
      if (segment.lastIndex > position) break;
      const witness = segment.liveWitness;
      if (witness !== undefined && isLive(witness.streamId, witness.endOffset)) continue;
      const records = await indexReader.streams(segment);
      // With a damaged index it is not known what is in there: it stays (I13).
      if (records === undefined) continue;
      const streams = records.filter((record) => record.streamId !== NO_STREAM);
      segment.liveWitness = streams.find(({ streamId, endOffset }) => isLive(streamId, endOffset));
      if (segment.liveWitness !== undefined) continue;
      await this.#drop(segment, streams);
      dropped += 1;
    }
    return dropped;
  }

  async #drop(segment: SealedSegment, streams: readonly StreamRecord[]): Promise<void> {
    const { disk, layout, segments, batchIndex, pool } = this.#parts;
    const { sequence } = segment;
    await batchIndex.drop(segment, streams);
    segments.remove(segment);
    segments.terms.trim(segments.firstIndex);
    // The block last, durably so: without its segment it means nothing, the segment without it would be a riddle.
    for (const kind of ["log", "index"] as const) {
      const path = layout.file(sequence, kind);
      await pool.forget(path);
      await disk.remove(path);
      await disk.syncDirectory(layout.segments);
    }
    await batchIndex.forget([sequence]);
  }
}
