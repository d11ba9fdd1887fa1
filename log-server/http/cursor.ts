/**
 * Cursors of live answers (section 10.1): the number of a 20-second interval, so that readers who wait for the same
 * data share one cached answer, and never the one the client has shown, so that no cache can answer it twice.
 */

const EPOCH_MS = Date.UTC(2024, 9, 9);
const INTERVAL_MS = 20_000;
/** One hour: the jitter that spreads clients who have all seen the newest cursor. */
const JITTER_INTERVALS_MAX = 180;

/** A cursor after `shown`, the client's. `random` is any 32-bit number. Malformed ones count as absent. */
export function nextCursor(shown: string | undefined, nowMs: number, random: number): string {
  const current = BigInt(Math.max(0, Math.floor((nowMs - EPOCH_MS) / INTERVAL_MS)));
  if (shown === undefined || !/^\d{1,20}$/.test(shown)) return String(current);
  const seen = BigInt(shown);
  if (seen < current) return String(current);
  return String(seen + 1n + BigInt(random % JITTER_INTERVALS_MAX));
}

/** The later of two cursors: within one connection they never go back. */
export function laterCursor(a: string, b: string): string {
  return BigInt(a) >= BigInt(b) ? a : b;
}
