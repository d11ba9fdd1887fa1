/**
 * What many runs add up to, kept in a file: sweeps on several processes, over several days, add to the same one, and each
 * goes on behind the last seed that it has written down.
 */
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";

export type Total = {
  seeds: number;
  simulatedSeconds: number;
  realSeconds: number;
  /** Of all cores: what the machine was really given to, however busy it was with other things. */
  processorSeconds: number;
  steps: number;
  violations: { readonly seed: number; readonly violation: string }[];
  counts: Record<string, number>;
  /** By shard, as `I/N from FIRST, of so many seconds`: the next seed to try. */
  next: Record<string, number>;
};

/** By profile. */
export type Totals = Record<string, Total>;

const LOCK_TRIES = 1_000;
const LOCK_WAIT_MS = 20;

export function emptyTotal(): Total {
  return {
    seeds: 0,
    simulatedSeconds: 0,
    realSeconds: 0,
    processorSeconds: 0,
    steps: 0,
    violations: [],
    counts: {},
    next: {},
  };
}

export function readTotals(path: string): Totals {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Totals) : {};
}

/** Adds what was done since the last time; answers what it adds up to. */
export function addToTotals(path: string, profile: string, more: Total): Total {
  const release = lock(`${path}.lock`);
  try {
    const totals = readTotals(path);
    const total = (totals[profile] ??= emptyTotal());
    add(total, more);
    writeFileSync(`${path}.new`, `${JSON.stringify(totals, undefined, 2)}\n`);
    renameSync(`${path}.new`, path);
    return total;
  } finally {
    release();
  }
}

export function add(total: Total, more: Total): void {
  total.seeds += more.seeds;
  total.simulatedSeconds += more.simulatedSeconds;
  total.realSeconds += more.realSeconds;
  total.processorSeconds += more.processorSeconds;
  total.steps += more.steps;
  total.violations.push(...more.violations);
  for (const [what, count] of Object.entries(more.counts)) total.counts[what] = (total.counts[what] ?? 0) + count;
  Object.assign(total.next, more.next);
}

/** As a table for people: a line for each profile, one for all, and how often each fault really happened. */
export function tableOf(totals: Totals): string {
  const all = emptyTotal();
  for (const total of Object.values(totals)) add(all, total);
  const lines = [...Object.entries(totals), ["all", all] as const].map(([profile, total]) => {
    const { seeds, simulatedSeconds, processorSeconds, steps, violations } = total;
    const perSecond = processorSeconds === 0 ? 0 : simulatedSeconds / processorSeconds;
    const cells = [
      profile,
      seeds.toLocaleString("en"),
      (simulatedSeconds / SECONDS_PER_HOUR).toFixed(1),
      (processorSeconds / SECONDS_PER_HOUR).toFixed(2),
      perSecond.toFixed(0),
      Math.round(steps / 1_000_000).toLocaleString("en"),
      faultsIn(total).toLocaleString("en"),
      String(violations.length),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const kinds = Object.entries(all.counts).filter(([what]) => isFault(what));
  const faults = kinds.sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, count]) => `${what} ${count}`);
  return [
    "| profile | seeds | simulated hours | core-hours | simulated s per core-s | million steps | faults | violations |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
    ...lines,
    "",
    faults.join(" · "),
  ].join("\n");
}

/** What was done to the world, and what disks and network did of themselves. */
export function isFault(what: string): boolean {
  return /^(fault|disk|network)/.test(what);
}

function faultsIn({ counts }: Total): number {
  return Object.entries(counts).reduce((sum, [what, count]) => sum + (what.startsWith("fault: ") ? count : 0), 0);
}

const SECONDS_PER_HOUR = 3_600;

/** One at a time; another process holds it for a moment only. Answers with what lets it go. */
export function lock(path: string): () => void {
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
