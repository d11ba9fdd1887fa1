/**
 * What many runs add up to, kept in a file: sweeps on several processes, over several days, add to the same one, and each
 * goes on behind the last seed that it has written down.
 */
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";

export type Total = {
  seeds: number;
  simulatedSeconds: number;
  realSeconds: number;
  steps: number;
  violations: { readonly seed: number; readonly violation: string }[];
  counts: Record<string, number>;
  /** By shard, as `I/N from FIRST`: the next seed to try. */
  next: Record<string, number>;
};

type Totals = Record<string, Total>;

const LOCK_TRIES = 1_000;
const LOCK_WAIT_MS = 20;

export function emptyTotal(): Total {
  return { seeds: 0, simulatedSeconds: 0, realSeconds: 0, steps: 0, violations: [], counts: {}, next: {} };
}

export function totalIn(path: string, profile: string): Total {
  return read(path)[profile] ?? emptyTotal();
}

/** Adds what was done since the last time. */
export function addToTotals(path: string, profile: string, more: Total): void {
  const release = lock(`${path}.lock`);
  try {
    const totals = read(path);
    const total = (totals[profile] ??= emptyTotal());
    add(total, more);
    writeFileSync(`${path}.new`, `${JSON.stringify(totals, undefined, 2)}\n`);
    renameSync(`${path}.new`, path);
  } finally {
    release();
  }
}

export function add(total: Total, more: Total): void {
  total.seeds += more.seeds;
  total.simulatedSeconds += more.simulatedSeconds;
  total.realSeconds += more.realSeconds;
  total.steps += more.steps;
  total.violations.push(...more.violations);
  for (const [what, count] of Object.entries(more.counts)) total.counts[what] = (total.counts[what] ?? 0) + count;
  Object.assign(total.next, more.next);
}

function read(path: string): Totals {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Totals) : {};
}

/** One at a time; another process holds it for a moment only. */
function lock(path: string): () => void {
  for (let tries = 0; tries < LOCK_TRIES; tries += 1) {
    try {
      closeSync(openSync(path, "wx"));
      return () => rmSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_WAIT_MS);
    }
  }
  throw new Error(`${path} is in the way: remove it if no other run is under way`);
}
