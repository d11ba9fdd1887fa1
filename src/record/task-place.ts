/**
 * How far a task of an app has come. A task is a function of its input, so its n-th output is the same in every replica:
 * with the number of outputs it is exact where a timer brought some about without a record.
 */
import { compareRecordPlaces, type RecordPlace } from "./record-place.ts";

export type TaskPlace = {
  /** The last record taken in. */
  readonly cursor: RecordPlace;
  /** Handed over since the task's beginning. */
  readonly outputs: number;
};

/** Of one task's places, which are all on one line. Negative where `a` comes first. */
export function compareTaskPlaces(a: TaskPlace, b: TaskPlace): number {
  return compareRecordPlaces(a.cursor, b.cursor) || a.outputs - b.outputs;
}
