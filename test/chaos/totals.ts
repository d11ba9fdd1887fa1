/**
 * What runs have come to, added up in one file, so that many short ones make a long one. It is written after every fault:
 * a run that is cut off counts for as far as it came, and the file says how many faults no check of a history has followed.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

export type Totals = {
  /** How many runs there were, by their number of nodes. */
  readonly runs: Readonly<Record<string, number>>;
  readonly minutes: number;
  readonly faults: Readonly<Record<string, FaultTotals>>;
  /** Faults of runs that have not come to their check: cut off, or still going. */
  readonly uncheckedFaults: number;
  readonly acknowledged: number;
  readonly refused: number;
  /** Asked for, and no certain answer came. */
  readonly inDoubt: number;
  readonly readRecords: number;
  /** Linearizable looks at where a stream ends, and reads of sessions. */
  readonly looks: number;
  /** What nodes told of themselves, and how often. */
  readonly events: Readonly<Record<string, number>>;
  readonly violations: readonly string[];
};

/** The longest time without an acknowledged append around each fault of a kind: how many there were, by milliseconds. */
export type FaultTotals = { readonly pauses: Readonly<Record<string, number>> };

export const NOTHING: Totals = {
  runs: {},
  minutes: 0,
  faults: {},
  uncheckedFaults: 0,
  acknowledged: 0,
  refused: 0,
  inDoubt: 0,
  readRecords: 0,
  looks: 0,
  events: {},
  violations: [],
};

/** One fault that happened, in a run that is not checked yet. */
export function oneFault(name: string, pauseMs: number): Totals {
  return { ...NOTHING, faults: { [name]: { pauses: { [toTwoDigits(pauseMs)]: 1 } } }, uncheckedFaults: 1 };
}

export function add(a: Totals, b: Totals): Totals {
  const faults: Record<string, FaultTotals> = { ...a.faults };
  for (const [name, { pauses }] of Object.entries(b.faults))
    faults[name] = { pauses: addCounts(faults[name]?.pauses ?? {}, pauses) };
  return {
    runs: addCounts(a.runs, b.runs),
    minutes: a.minutes + b.minutes,
    faults,
    uncheckedFaults: a.uncheckedFaults + b.uncheckedFaults,
    acknowledged: a.acknowledged + b.acknowledged,
    refused: a.refused + b.refused,
    inDoubt: a.inDoubt + b.inDoubt,
    readRecords: a.readRecords + b.readRecords,
    looks: a.looks + b.looks,
    events: addCounts(a.events, b.events),
    violations: [...a.violations, ...b.violations],
  };
}

export function totalsIn(path: string): Totals {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Totals) : NOTHING;
}

/** Adds to what the file holds. One run at a time writes it; one that dies meanwhile leaves the old file or the new. */
export function addToFile(path: string, more: Totals): Totals {
  const after = add(totalsIn(path), more);
  writeFileSync(`${path}.new`, `${JSON.stringify(after, undefined, 2)}\n`, { flush: true });
  renameSync(`${path}.new`, path);
  return after;
}

/** Of one kind, or of all. */
export function faultCount({ faults }: Totals, name?: string): number {
  return sum(Object.values(pausesOf(faults, name)));
}

/** Milliseconds: so many without writes, or fewer, in this part of all faults, or of those of one kind. */
export function percentile({ faults }: Totals, part: number, name?: string): number {
  const pauses = Object.entries(pausesOf(faults, name)).map(([ms, count]) => ({ ms: Number(ms), count }));
  const place = Math.ceil(sum(pauses.map(({ count }) => count)) * part);
  let passed = 0;
  for (const { ms, count } of pauses.toSorted((a, b) => a.ms - b.ms)) if ((passed += count) >= place) return ms;
  return 0;
}

function pausesOf(faults: Totals["faults"], name: string | undefined): Readonly<Record<string, number>> {
  if (name !== undefined) return faults[name]?.pauses ?? {};
  return Object.values(faults).reduce<Readonly<Record<string, number>>>((all, each) => addCounts(all, each.pauses), {});
}

function addCounts(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const counts = { ...a };
  for (const [what, count] of Object.entries(b)) counts[what] = (counts[what] ?? 0) + count;
  return counts;
}

/** Upwards: what a histogram of any number of faults needs, to a tenth. */
function toTwoDigits(milliseconds: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, milliseconds))) - 1);
  return Math.ceil(milliseconds / step) * step;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
