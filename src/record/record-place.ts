/**
 * A record's place in the one order of a log: its batch's, and its index among the offsets of that batch. What a reader
 * that takes records one by one can stop at; batches are for who reads them whole (`log-place.ts`).
 */
import { comparePlaces, LOG_START, type LogPlace } from "./log-place.ts";

export type RecordPlace = LogPlace & {
  /** Its offset less that of the batch's first record. */
  readonly index: number;
};

/** Before everything: no record is there, for the log's first position is 1. */
export const BEFORE_RECORDS: RecordPlace = { ...LOG_START, index: 0 };

/** Negative where `a` comes first. */
export function compareRecordPlaces(a: RecordPlace, b: RecordPlace): number {
  return comparePlaces(a, b) || a.index - b.index;
}
