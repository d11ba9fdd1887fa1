/**
 * Finds out how much of each sealed segment is to stay. To know what of it is live, its index is read: of a few segments
 * each time, in turn, for there may be thousands, with many streams each. What compaction takes from it is known already.
 */
import type { SealedSegmentSummary } from "../../log/segments/segment-summaries.ts";
import type { StreamsMachine } from "../../streams/machine.ts";
import type { StreamRecord as StreamPart } from "../../log/index/index-block.ts";
import { bytesFrom } from "./frontier.ts";
import type { NodeLimits } from "../limits.ts";
import type { SegmentState } from "./segment-runs.ts";
import type { Scan } from "./section-scan.ts";

/** Of a stream's part in a segment's index, roughly: nothing else may be left of it. */
const PART_BYTES = 64;

export class SegmentSurvey {
  readonly #machine: Pick<StreamsMachine, "neededFrom">;
  readonly #limits: Pick<NodeLimits, "reclaimSegmentsPerPass">;
  /** The sequence of the last segment that was looked into. */
  #lookedTo = 0;

  constructor(machine: Pick<StreamsMachine, "neededFrom">, limits: Pick<NodeLimits, "reclaimSegmentsPerPass">) {
    this.#machine = machine;
    this.#limits = limits;
  }

  async look(
    segments: readonly SealedSegmentSummary[],
    scans: readonly Pick<Scan, "deadBytes">[],
    damaged: readonly SealedSegmentSummary[],
  ): Promise<SegmentState[]> {
    const ahead = segments.filter(({ sequence }) => sequence > this.#lookedTo);
    const looked = new Set((ahead.length > 0 ? ahead : segments).slice(0, this.#limits.reclaimSegmentsPerPass));
    const states: SegmentState[] = [];
    for (const segment of segments) {
      const { sequence, fileBytes } = segment;
      let dead = 0;
      for (const scan of scans) dead += scan.deadBytes.get(sequence) ?? 0;
      const due = damaged.includes(segment) || scans.some(({ deadBytes }) => deadBytes.has(sequence));
      const liveBytes = looked.has(segment) ? await this.#liveBytes(segment) : fileBytes;
      states.push({ sequence, fileBytes, liveBytes: Math.max(0, liveBytes - dead), due });
    }
    this.#lookedTo = Math.max(0, ...[...looked].map(({ sequence }) => sequence));
    return states;
  }

  async #liveBytes(segment: SealedSegmentSummary): Promise<number> {
    const streams = await segment.streams();
    // What damage hides is not known to be gone.
    if (streams === undefined) return segment.fileBytes;
    if (segment.rewritten) return segment.fileBytes * this.#liveShare(streams);
    let bytes = 0;
    for (const part of streams) bytes += bytesFrom(part, this.#machine.neededFrom(part.streamId));
    return Math.min(bytes, segment.fileBytes);
  }

  /**
   * What a rewrite has left of a stream that is partly gone it would leave again: only all of it is worth another. Nor does
   * one give anything back of what stands beside the batches, of which small ones have more than of data.
   */
  #liveShare(streams: readonly StreamPart[]): number {
    let live = 0;
    let all = 0;
    for (const { streamId, endOffset, bytes } of streams) {
      const weight = bytes + PART_BYTES;
      all += weight;
      if (endOffset > this.#machine.neededFrom(streamId)) live += weight;
    }
    return all === 0 ? 0 : live / all;
  }
}
