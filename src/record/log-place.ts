/**
 * A batch's place in the one order of a log: the position of its entry, and its ordinal among the batches of that entry
 * (those that were not accepted count, too). All streams of a log share this order; a batch keeps its place for ever.
 */
export type LogPlace = { readonly position: number; readonly ordinal: number };

/** Before everything. */
export const LOG_START: LogPlace = { position: 0, ordinal: 0 };

/** Negative where `a` comes first. */
export function comparePlaces(a: LogPlace, b: LogPlace): number {
  return a.position - b.position || a.ordinal - b.ordinal;
}
