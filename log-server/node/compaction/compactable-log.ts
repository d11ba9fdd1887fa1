/** What compaction needs of the log, and nothing else: so that it can be tried against a log that is an array. */
import type { Result } from "../../../src/lib/result.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { StreamRecord as StreamPart } from "../../log/index/index-block.ts";
import type { RewriteReport } from "../../log/rewrite/rewriter.ts";
import type { SegmentedLog } from "../../log/segmented-log.ts";
import type { Survivors } from "../../log/rewrite/survivors.ts";

export type SealedSegmentFacts = {
  readonly sequence: number;
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly fileBytes: number;
  /** Of batches that were accepted. */
  readonly dataBytes: number;
  readonly rewritten: boolean;
  /** Undefined where damage hides it. */
  streams(): Promise<readonly StreamPart[] | undefined>;
};

export interface CompactableLog extends Pick<SegmentedLog, "read" | "streamSegments" | "roll"> {
  offsetAtTime(streamId: number, atMs: number, from: number, to: number): Promise<Result<number, unknown>>;
  sealedSegments(): readonly SealedSegmentFacts[];
  rewrite(position: LogIndex, sequences: readonly number[], survivors: Survivors): Promise<RewriteReport>;
}
