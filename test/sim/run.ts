/**
 * `npm run sim`: explores many seeds, and says what really happened in them.
 *
 *     npm run sim [-- --seeds N] [--first N]    many; the default is 200 from 1 on
 *     npm run sim -- --seed N                   one, with everything it did
 *     npm run sim -- --mutants [--quick]        the bug zoo: `mutants/zoo.ts`
 *
 * Fails on a broken promise, on a fault that was promised and never happened, on a seed that does not repeat itself,
 * and when the canary (a disk whose syncs do nothing) is not caught.
 */
import { parseArgs } from "node:util";
import { exploreSeed, type SeedReport } from "./explore.ts";
import { runZoo } from "./mutants/zoo.ts";

const SEEDS_DEFAULT = 200;
/** With fewer seeds than this, what did not happen may be chance. */
const PROMISES_FROM_SEEDS = 50;
const CANARY_SEEDS = 30;

const PROMISED: readonly string[] = [
  "fault: crash",
  "fault: lost-operation",
  "fault: torn-write",
  "fault: write-error",
  "fault: sync-error",
  "fault: no-space",
  "fault: bit-flip",
  "fault: zeroed-sector",
  "fault: stale-sector",
  "fault: lost-store",
  "clean stop",
  "start failed",
  "event: snapshot",
  "event: segments-dropped",
  "event: segments-rewritten",
  "client: acknowledged",
  "client: unknown",
  "client: duplicates",
  "damage: refused to read",
];

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    first: { type: "string" },
    mutants: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

process.exitCode = await run();

async function run(): Promise<number> {
  const { mutants, quick, only, json, seed } = values;
  if (mutants) return runZoo({ quick, only, json });
  return seed === undefined ? exploreMany() : exploreOne(number(seed, 1));
}

async function exploreOne(seed: number): Promise<number> {
  const report = await exploreSeed(seed, { verbose: true });
  console.log(report.lines.join("\n"));
  printCounts(report.counts);
  console.log(
    report.violation === undefined ? `seed ${seed}: every promise was kept` : `seed ${seed}: ${report.violation}`,
  );
  return report.violation === undefined ? 0 : 1;
}

async function exploreMany(): Promise<number> {
  const first = number(values.first, 1);
  const seeds = number(values.seeds, SEEDS_DEFAULT);
  const counts = new Map<string, number>();
  let failures = 0;
  const startedAt = performance.now();
  for (let seed = first; seed < first + seeds; seed += 1) {
    const report = await exploreSeed(seed);
    for (const [what, count] of report.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    if (report.violation !== undefined) {
      failures += 1;
      explain(report);
    }
  }
  printCounts(counts);
  if (!(await repeats(first))) failures += 1;
  if (!(await canaryIsCaught(first))) failures += 1;
  const missing = seeds < PROMISES_FROM_SEEDS ? [] : PROMISED.filter((what) => !counts.has(what));
  for (const what of missing) console.log(`never happened, although promised: ${what}`);
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  console.log(`${seeds} seeds in ${seconds} s: ${failures + missing.length} failures`);
  return failures + missing.length === 0 ? 0 : 1;
}

function explain({ seed, violation }: SeedReport): void {
  console.log(`seed ${seed}: ${violation}\n  again: npm run sim -- --seed ${seed}`);
}

async function repeats(seed: number): Promise<boolean> {
  const [once, again] = [await exploreSeed(seed), await exploreSeed(seed)];
  if (once.trace === again.trace) return true;
  const place = once.lines.findIndex((line, index) => line !== again.lines[index]);
  console.log(
    `seed ${seed} does not repeat itself: line ${place} was\n  ${once.lines[place]}\n  ${again.lines[place]}`,
  );
  return false;
}

async function canaryIsCaught(first: number): Promise<boolean> {
  for (let seed = first; seed < first + CANARY_SEEDS; seed += 1) {
    const { violation } = await exploreSeed(seed, { lyingSyncs: true });
    if (violation === undefined) continue;
    console.log(`the canary, a disk whose syncs do nothing, was caught at seed ${seed}: ${violation.split("\n")[0]}`);
    return true;
  }
  console.log(`the canary, a disk whose syncs do nothing, was not caught in ${CANARY_SEEDS} seeds`);
  return false;
}

function printCounts(counts: ReadonlyMap<string, number>): void {
  const width = Math.max(...[...counts.keys()].map((what) => what.length));
  for (const [what, count] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
    console.log(`  ${what.padEnd(width)}  ${count}`);
}

function number(text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${text} is not a whole number from 1`);
  return value;
}
