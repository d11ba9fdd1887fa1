/**
 * A record: one element of a stream. This is the shape users see; `batch.ts` is how it travels and is stored.
 */

/** One header: a name and bytes. Names may repeat; order is kept. */
export type RecordHeader = readonly [name: string, value: Uint8Array];

export type StreamRecord = {
  /** Optional key, for partitioning, tables and key compaction. */
  readonly key?: Uint8Array;
  /** The payload; `null` is a tombstone: under key compaction it deletes its key. */
  readonly value: Uint8Array | null;
  readonly headers?: readonly RecordHeader[];
  /** Event time, the client's, milliseconds since the Unix epoch; before it negative. Absent: the log time of its entry. */
  readonly timestamp?: number;
};

/** Timestamps lie within this of the epoch: far past any date, near enough that the difference of two is exact. */
export const TIMESTAMP_MAX_MS: number = 2 ** 51 - 1;

export function isTimestamp(value: unknown): value is number {
  return Number.isSafeInteger(value) && Math.abs(value as number) <= TIMESTAMP_MAX_MS;
}
