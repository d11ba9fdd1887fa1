/**
 * How far the heap may grow beyond what is in use before V8 collects it. Two things pull. With 100,000 streams most of a server's
 * heap is state that stays: letting it double, as V8 alone does, was 600 to 770 MB of memory instead of about 500. But V8
 * counts the bytes of batches, which lie outside the heap, into the same growth: where little is in use, a small
 * percentage is spent by a few of them, and collecting it again and again was half of the work of a busy server.
 *
 * V8 13 counts those bytes a second time, against a limit of their own that is far lower: each 64 MiB of them was a whole
 * collection, which was a third of what followers did under large appends. Versions after it count them once, as it does
 * when it is told to (V8's commits 513bb22991, which makes that its way, and cf511a65ad, which removes the choice; its
 * issue 361124432). Below that limit's end it also marks the heap for some milliseconds whenever more bytes are allocated: a worker
 * with 100 MB of rows did little else for half a second at a time.
 *
 * A worker's rows lie outside of the heap, in pages that come and go, so they are in use, too. Nobody has as many workers as
 * streams: their memory may grow by half.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";

const MIB = 1_024 * 1_024;
/** Up to here the heap may grow whatever is in use of it. */
const FREE_GROWTH_BYTES = 192 * MIB;
const PERCENT_MIN = { server: 15, worker: 50 } as const;
const PERCENT_MAX = 1_000;

/** How often it is set anew; V8 looks at it whenever it has collected. */
const SET_EVERY_MS = 1_000;

/** What a process is: `tidemark serve`, or one of those that run operators. */
export type HeapUser = keyof typeof PERCENT_MIN;

/** The only one that knows the choice and does not make it. */
const V8_COUNTS_TWICE = /^13\./;

/** From now on, in this process. */
export function limitHeapGrowth(user: HeapUser): void {
  const limit = (): void => {
    const { used_heap_size: heapBytes, external_memory: outsideBytes } = getHeapStatistics();
    const used = user === "worker" ? heapBytes + outsideBytes : heapBytes;
    for (const flag of heapGrowthFlags(user, used, process.versions.v8)) setFlagsFromString(flag);
  };
  limit();
  setInterval(limit, SET_EVERY_MS).unref();
}

/** For V8 of this version (`process.versions.v8`), with so much of its heap in use. They may be set at any time. */
export function heapGrowthFlags(user: HeapUser, usedBytes: number, v8Version: string): readonly string[] {
  const growing = `--heap-growing-percent=${heapGrowthPercent(user, usedBytes)}`;
  return V8_COUNTS_TWICE.test(v8Version) ? [growing, "--external-memory-accounted-in-global-limit"] : [growing];
}

/** Of what is in use. */
function heapGrowthPercent(user: HeapUser, usedBytes: number): number {
  const free = Math.round(((FREE_GROWTH_BYTES - usedBytes) / Math.max(1, usedBytes)) * 100);
  return Math.min(PERCENT_MAX, Math.max(PERCENT_MIN[user], free));
}
