/** What compaction needs of the log, and nothing else: so that it can be tried against a log that is an array. */
import type { Result } from "../../../src/lib/result.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { RewriteReport } from "../../log/rewrite/rewriter.ts";
import type { SegmentedLog } from "../../log/segmented-log.ts";
import type { Survivors } from "../../log/rewrite/survivors.ts";
import type { TakenRanges } from "../../log/rewrite/taken-ranges.ts";

export interface CompactableLog extends Pick<
  SegmentedLog,
  "read" | "roll" | "sealedEnd" | "sealedSegments" | "streamSegments"
> {
  offsetAtTime(streamId: number, atMs: number, from: number, to: number): Promise<Result<number, unknown>>;
  rewrite(
    position: LogIndex,
    sequences: readonly number[],
    survivors: Survivors,
    taken: TakenRanges,
  ): Promise<RewriteReport>;
}
