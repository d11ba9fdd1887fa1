/**
 * An open loop: appends at a steady rate, and waits for no acknowledgement. A record's time begins when the tick that appends it was
 * due, so that neither a server that stalls nor a load that comes late can hide it (no coordinated omission). What falls due between two
 * ticks is appended together, at the second.
 */
import { performance } from "node:perf_hooks";

export type Pace = {
  readonly recordsPerSecond: number;
  /** By `performance.now`. */
  readonly startAt: number;
  readonly total: number;
  /** Ends it before the total. */
  readonly signal?: AbortSignal;
};

export const TICK_MS = 1;
/** A server that is so far behind does not keep up with the load: what it would be measured by is how long it was measured. */
const BEHIND_MS_MAX = 30_000;
const MS_PER_SECOND = 1_000;

/** Resolves when all of them were acknowledged; rejects with the first that was not. */
export function appendSteadily(
  { recordsPerSecond, startAt, total, signal }: Pace,
  append: (number: number, dueAt: number) => Promise<unknown>,
): Promise<void> {
  const intervalMs = MS_PER_SECOND / recordsPerSecond;
  // Not a promise for each: a hundred thousand of them, kept, would make the load's own garbage collection the figure.
  let unacknowledged = 0;
  let sent = 0;
  let tickDueAt = startAt;
  return new Promise((resolve, reject) => {
    const isOver = (): boolean => sent === total || signal?.aborted === true;
    const acknowledge = (): void => {
      unacknowledged -= 1;
      if (isOver() && unacknowledged === 0) resolve();
    };
    const tick = (): void => {
      const now = performance.now();
      const due = isOver() ? sent : Math.min(total, Math.floor((now - startAt) / intervalMs) + 1);
      for (; sent < due; sent += 1) {
        unacknowledged += 1;
        void append(sent, Math.max(startAt + sent * intervalMs, tickDueAt)).then(acknowledge, reject);
      }
      tickDueAt = now + TICK_MS;
      if (unacknowledged * intervalMs > BEHIND_MS_MAX) reject(new Error("the load is more than is kept up with"));
      else if (!isOver()) setTimeout(tick, TICK_MS);
      else if (unacknowledged === 0) resolve();
    };
    tick();
  });
}
