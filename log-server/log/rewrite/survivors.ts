/**
 * What a rewrite asks of whoever knows the streams: which records are still anybody's. It knows nothing of keys, of
 * tombstones or of forks; those are decided where the state machine is.
 */
import type { StreamRecord } from "../../../src/record/record.ts";

/**
 * Batch by batch and record by record. Synchronous. `liveFrom` may grow during a rewrite, the rest is true for all of it.
 * What is gone once must stay gone: then what is left at some frontier does not depend on how often it was rewritten
 * before, and is the same on every node.
 */
export interface Survivors {
  /** Records of the stream before this are gone for everyone; Infinity: the stream is. */
  liveFrom(streamId: number): number;
  /** Batches with a record before this offset are decoded and `survives` is asked for each record before it; 0: none. */
  compactedBefore(streamId: number): number;
  survives(streamId: number, offset: number, record: StreamRecord): boolean;
}
