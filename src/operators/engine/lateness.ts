/**
 * How long records are waited for. The watermark says that none *before* it is expected any more: one of its very time may still
 * come. So whoever waits for records up to and with a time, with a grace, has them all once the watermark is later than that time and the
 * grace together, and not when it is just there. From then on such a record is late, and what was kept for it goes. Windows and joins
 * go by this alone.
 */

/** The watermark, and so the time of an event timer, at which nobody waits any more for records up to and with `last`. */
export function overAt(last: number, graceMs: number): number {
  return last + graceMs + 1;
}

/** A record of this time is late: it is more than the grace behind the watermark. */
export function isOver(last: number, graceMs: number, watermark: number): boolean {
  return overAt(last, graceMs) <= watermark;
}
