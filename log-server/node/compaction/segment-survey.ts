/**
 * Finds out how much of each sealed segment is to stay. To know what of it is live, its index is read: of a few segments
 * each time, in turn, for there may be thousands, with many streams each. What compaction takes from it is known already.
 */
import type { StreamsMachine } from "../../streams/machine.ts";
import type { SealedSegmentFacts } from "./compactable-log.ts";
import { bytesFrom } from "./frontier.ts";
import type { NodeLimits } from "../limits.ts";
import type { SegmentState } from "./segment-runs.ts";
import type { Scan } from "./section-scan.ts";

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
    segments: readonly SealedSegmentFacts[],
    scans: readonly Pick<Scan, "deadBytes">[],
  ): Promise<SegmentState[]> {
    const ahead = segments.filter(({ sequence }) => sequence > this.#lookedTo);
    const looked = new Set((ahead.length > 0 ? ahead : segments).slice(0, this.#limits.reclaimSegmentsPerPass));
    const states: SegmentState[] = [];
    for (const segment of segments) {
      const { sequence, fileBytes } = segment;
      let dead = 0;
      for (const scan of scans) dead += scan.deadBytes.get(sequence) ?? 0;
      const compacted = scans.some(({ deadBytes }) => deadBytes.has(sequence));
      const liveBytes = looked.has(segment) ? await this.#liveBytes(segment) : fileBytes;
      states.push({ sequence, fileBytes, liveBytes: Math.max(0, liveBytes - dead), compacted });
    }
    this.#lookedTo = Math.max(0, ...[...looked].map(({ sequence }) => sequence));
    return states;
  }

  async #liveBytes(segment: SealedSegmentFacts): Promise<number> {
    const streams = await segment.streams();
    // What damage hides is not known to be gone.
    if (streams === undefined) return segment.fileBytes;
    let bytes = 0;
    for (const part of streams) {
      const neededFrom = this.#machine.neededFrom(part.streamId);
      // What a rewrite has left of a stream that is partly gone it would leave again: only all of it is worth another.
      if (!segment.rewritten) bytes += bytesFrom(part, neededFrom);
      else if (part.endOffset > neededFrom) bytes += part.bytes;
    }
    return Math.min(bytes, segment.fileBytes);
  }
}
