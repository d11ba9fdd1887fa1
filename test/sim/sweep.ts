/**
 * Runs a subject under many seeds, sees that it repeats itself and that its canaries are caught, and says what really
 * happened. Fails on a broken promise, and where something that was promised never happened.
 */
import type { RunReport, Subject } from "./subject.ts";
import { add, addToTotals, emptyTotal, type Total, totalIn } from "./totals.ts";

export type SweepOptions = {
  readonly first: number;
  readonly seeds: number;
  /** Of so many, this one, from 1: each takes its part of the seeds. */
  readonly shard: { readonly part: number; readonly of: number };
  /** A file that is added to, and says where to go on. */
  readonly totals: string | undefined;
  readonly shrink: boolean;
  /** Only figures, as JSON, on stdout. */
  readonly json: boolean;
};

/** With fewer seeds than this, what did not happen may be chance. */
const PROMISES_FROM_SEEDS = 50;
const CANARY_SEEDS = 30;
const SAVE_EVERY_SEEDS = 10;
const MS_PER_SECOND = 1_000;

/** How many promises were broken. */
export async function sweep(subject: Subject, options: SweepOptions): Promise<number> {
  const { first, seeds, shard, totals, json } = options;
  const say = json ? (): void => undefined : (line: string): void => console.log(line);
  const key = `${shard.part}/${shard.of} from ${first}`;
  const begun = totals === undefined ? first : (totalIn(totals, subject.name).next[key] ?? first);
  const all = emptyTotal();
  let unsaved = emptyTotal();
  const save = (): void => {
    if (totals !== undefined) addToTotals(totals, subject.name, unsaved);
    add(all, unsaved);
    unsaved = emptyTotal();
  };
  for (let seed = begun; seed < first + seeds; seed += 1) {
    if (seed % shard.of !== shard.part % shard.of) continue;
    const startedMs = performance.now();
    const report = await subject.run(seed);
    count(unsaved, report, performance.now() - startedMs);
    unsaved.next[key] = seed + 1;
    if (report.violation !== undefined) await explain(subject, report, options.shrink, say);
    if (unsaved.seeds >= SAVE_EVERY_SEEDS) save();
  }
  save();
  const problems = all.violations.map(({ seed, violation }) => `seed ${seed}: ${violation}`);
  problems.push(...(await repeats(subject, first)));
  for (const canary of subject.canaries) problems.push(...(await caught(canary, first, say)));
  const missing = all.seeds < PROMISES_FROM_SEEDS ? [] : subject.promised.filter((what) => !(what in all.counts));
  for (const what of missing) problems.push(`never happened, although promised: ${what}`);
  if (json) console.log(JSON.stringify({ profile: subject.name, ...figures(all), problems }));
  else tell(all, problems);
  return problems.length;
}

/** One seed, with everything that it did. */
export async function replay(subject: Subject, seed: number, shrink: boolean): Promise<RunReport> {
  const report = await subject.run(seed);
  return shrink && report.violation !== undefined && subject.shrink !== undefined ? subject.shrink(report) : report;
}

export function printCounts(counts: Iterable<readonly [string, number]>): void {
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const width = Math.max(0, ...sorted.map(([what]) => what.length));
  for (const [what, times] of sorted) console.log(`  ${what.padEnd(width)}  ${times}`);
}

function count(total: Total, report: RunReport, realMs: number): void {
  total.seeds += 1;
  total.simulatedSeconds += report.simulatedMs / MS_PER_SECOND;
  total.realSeconds += realMs / MS_PER_SECOND;
  total.steps += report.steps;
  for (const [what, times] of report.counts) total.counts[what] = (total.counts[what] ?? 0) + times;
  if (report.violation !== undefined) total.violations.push({ seed: report.seed, violation: report.violation });
}

function figures({ seeds, simulatedSeconds, realSeconds, steps, violations, counts }: Total): object {
  const faults = Object.fromEntries(Object.entries(counts).filter(([what]) => /^(fault|disk|network)/.test(what)));
  return {
    seeds,
    simulatedSeconds: Math.round(simulatedSeconds),
    realSeconds: Math.round(realSeconds),
    simulatedSecondsPerSecond: Math.round(simulatedSeconds / realSeconds),
    stepsPerSecond: Math.round(steps / realSeconds),
    violations,
    faults,
    counts,
  };
}

function tell(total: Total, problems: readonly string[]): void {
  const { seeds, simulatedSeconds, realSeconds, steps, counts } = total;
  printCounts(Object.entries(counts));
  for (const problem of problems) console.log(problem);
  const perSecond = (figure: number): string => Math.round(figure / realSeconds).toLocaleString("en");
  console.log(
    `${seeds} seeds, ${Math.round(simulatedSeconds).toLocaleString("en")} simulated seconds in ${realSeconds.toFixed(1)} s: ` +
      `${perSecond(simulatedSeconds)} simulated seconds and ${perSecond(steps)} steps a second; ${problems.length} failures`,
  );
}

async function explain(
  subject: Subject,
  report: RunReport,
  shrink: boolean,
  say: (line: string) => void,
): Promise<void> {
  say(
    `seed ${report.seed}: ${report.violation}\n  again: npm run sim -- --profile ${subject.name} --seed ${report.seed}`,
  );
  if (!shrink || subject.shrink === undefined) return;
  const least = await subject.shrink(report);
  say(`the same with less:\n${least.lines.map((line) => `  ${line}`).join("\n")}`);
}

async function repeats(subject: Subject, seed: number): Promise<readonly string[]> {
  const [once, again] = [await subject.run(seed), await subject.run(seed)];
  if (once.trace === again.trace) return [];
  const place = once.lines.findIndex((line, index) => line !== again.lines[index]);
  return [`seed ${seed} does not repeat itself: line ${place} was\n  ${once.lines[place]}\n  ${again.lines[place]}`];
}

async function caught(
  { what, run }: Subject["canaries"][number],
  first: number,
  say: (line: string) => void,
): Promise<readonly string[]> {
  for (let seed = first; seed < first + CANARY_SEEDS; seed += 1) {
    const { violation } = await run(seed);
    if (violation === undefined) continue;
    say(`the canary, ${what}, was caught at seed ${seed}: ${violation.split("\n")[0]}`);
    return [];
  }
  return [`the canary, ${what}, was not caught in ${CANARY_SEEDS} seeds`];
}
