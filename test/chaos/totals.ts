/** What runs have come to, added up in one file, so that many short ones make a long one. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";

export type Totals = {
  readonly runs: number;
  readonly minutes: number;
  /** How often each fault was done. */
  readonly faults: Readonly<Record<string, number>>;
  readonly appends: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly readRecords: number;
  readonly violations: readonly string[];
  /** The longest time without an acknowledgement around each fault. */
  readonly pausesMs: readonly number[];
};

export const NOTHING: Totals = {
  runs: 0,
  minutes: 0,
  faults: {},
  appends: 0,
  acknowledged: 0,
  unknown: 0,
  readRecords: 0,
  violations: [],
  pausesMs: [],
};

export function add(a: Totals, b: Totals): Totals {
  const faults: Record<string, number> = { ...a.faults };
  for (const [name, count] of Object.entries(b.faults)) faults[name] = (faults[name] ?? 0) + count;
  return {
    runs: a.runs + b.runs,
    minutes: a.minutes + b.minutes,
    faults,
    appends: a.appends + b.appends,
    acknowledged: a.acknowledged + b.acknowledged,
    unknown: a.unknown + b.unknown,
    readRecords: a.readRecords + b.readRecords,
    violations: [...a.violations, ...b.violations],
    pausesMs: [...a.pausesMs, ...b.pausesMs],
  };
}

/** Adds to what the file holds, if there is one. */
export function addToFile(path: string, totals: Totals): Totals {
  const before = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Totals) : NOTHING;
  const after = add(before, totals);
  writeFileSync(path, `${JSON.stringify(after, undefined, 2)}\n`);
  return after;
}

export function faultCount({ faults }: Totals): number {
  return Object.values(faults).reduce((sum, count) => sum + count, 0);
}

/** Of all pauses, in milliseconds. */
export function percentile({ pausesMs }: Totals, part: number): number {
  const sorted = pausesMs.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}
