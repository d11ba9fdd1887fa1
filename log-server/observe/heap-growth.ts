/**
 * How far the heap may grow beyond what is in use before V8 collects it. Two things pull. With 100,000 streams most of the
 * heap is state that stays: letting it double, as V8 alone does, was 600 to 770 MB of memory instead of about 500. But V8
 * counts the bytes of batches, which lie outside the heap, into the same growth: where little is in use, a small
 * percentage is spent by a few of them, and collecting it again and again was half of the work of a busy server.
 */

const MIB = 1_024 * 1_024;
/** Up to here the heap may grow whatever is in use of it. */
const FREE_GROWTH_BYTES = 192 * MIB;
const PERCENT_MIN = 15;
const PERCENT_MAX = 1_000;

/** Of what is in use; for V8's `--heap-growing-percent`. */
export function heapGrowthPercent(usedBytes: number): number {
  const free = Math.round(((FREE_GROWTH_BYTES - usedBytes) / Math.max(1, usedBytes)) * 100);
  return Math.min(PERCENT_MAX, Math.max(PERCENT_MIN, free));
}
