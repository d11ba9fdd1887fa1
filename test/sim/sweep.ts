/**
 * Runs a subject under many seeds, sees that it repeats itself and that its canaries are caught, and says what really
 * happened. Fails on a broken promise, and where something that was promised never happened.
 */
import type { RunReport, Subject } from "./subject.ts";
import { add, addToTotals, emptyTotal, isFault, readTotals, type Total } from "./totals.ts";

export type SweepOptions = {
  readonly first: number;
  /** Of all shards. */
  readonly seeds: number;
  /** The seed that is under way then is the last. */
  readonly minutes: number;
  /** Says that the run is wanted no more: the seed that is under way is the last, and is counted. */
  readonly stop: AbortSignal;
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
/** What is lost at most where the process is killed. */
const SAVE_EVERY_MS = 10_000;
const MS_PER_SECOND = 1_000;
const MS_PER_MINUTE = 60_000;
const MICROSECONDS_PER_SECOND = 1_000_000;

/** How many promises were broken. */
export async function sweep(subject: Subject, options: SweepOptions): Promise<number> {
  const { first, shard, totals, json, stop } = options;
  const say = json ? (): void => undefined : (line: string): void => console.log(line);
  const { all, known } = await manySeeds(subject, options, say);
  const problems = all.violations.map(({ seed, violation }) => `seed ${seed}: ${violation}`);
  // One shard sees to it for all.
  if (!stop.aborted && shard.part === 1) {
    problems.push(...(await repeats(subject, first)));
    for (const canary of subject.canaries) problems.push(...(await caught(canary, first, say)));
  }
  // Of all runs that added to the totals: one of them may be short.
  const missing = known.seeds < PROMISES_FROM_SEEDS ? [] : subject.promised.filter((what) => !(what in known.counts));
  for (const what of missing) problems.push(`never happened, although promised: ${what}`);
  if (json) console.log(JSON.stringify({ profile: subject.name, ...figures(all), problems }));
  else tell(all, problems);
  if (totals !== undefined) say(`${totals} has ${known.seeds} seeds of ${subject.name}`);
  return problems.length;
}

/** What this run did, and what it and all before it add up to. */
async function manySeeds(
  subject: Subject,
  options: SweepOptions,
  say: (line: string) => void,
): Promise<{ readonly all: Total; readonly known: Total }> {
  const { first, seeds, minutes, stop, shard, totals } = options;
  const key = `${shard.part}/${shard.of} from ${first}${subject.seconds === undefined ? "" : `, ${subject.seconds} s each`}`;
  const before = totals === undefined ? undefined : readTotals(totals)[subject.name];
  const endMs = performance.now() + minutes * MS_PER_MINUTE;
  const all = emptyTotal();
  let known = before ?? emptyTotal();
  let unsaved = emptyTotal();
  let savedMs = performance.now();
  const save = (): void => {
    add(all, unsaved);
    known = totals === undefined ? all : addToTotals(totals, subject.name, unsaved);
    unsaved = emptyTotal();
    savedMs = performance.now();
  };
  for (let seed = before?.next[key] ?? first; seed < first + seeds; seed += 1) {
    if (stop.aborted || performance.now() >= endMs) break;
    if (seed % shard.of !== shard.part % shard.of) continue;
    const [startedMs, processor] = [performance.now(), process.cpuUsage()];
    const report = await subject.run(seed);
    const { user, system } = process.cpuUsage(processor);
    count(unsaved, report, performance.now() - startedMs, (user + system) / MICROSECONDS_PER_SECOND);
    unsaved.next[key] = seed + 1;
    if (report.violation !== undefined) await explain(subject, report, options.shrink, say);
    if (performance.now() >= savedMs + SAVE_EVERY_MS) save();
  }
  save();
  return { all, known };
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

function count(total: Total, report: RunReport, realMs: number, processorSeconds: number): void {
  total.seeds += 1;
  total.simulatedSeconds += report.simulatedMs / MS_PER_SECOND;
  total.realSeconds += realMs / MS_PER_SECOND;
  total.processorSeconds += processorSeconds;
  total.steps += report.steps;
  for (const [what, times] of report.counts) total.counts[what] = (total.counts[what] ?? 0) + times;
  if (report.violation !== undefined) total.violations.push({ seed: report.seed, violation: report.violation });
}

function figures({ seeds, simulatedSeconds, realSeconds, processorSeconds, steps, violations, counts }: Total): object {
  const faults = Object.fromEntries(Object.entries(counts).filter(([what]) => isFault(what)));
  return {
    seeds,
    simulatedSeconds: Math.round(simulatedSeconds),
    realSeconds: Math.round(realSeconds),
    processorSeconds: Math.round(processorSeconds),
    simulatedSecondsPerSecond: Math.round(simulatedSeconds / realSeconds),
    simulatedSecondsPerProcessorSecond: Math.round(simulatedSeconds / processorSeconds),
    stepsPerSecond: Math.round(steps / realSeconds),
    violations,
    faults,
    counts,
  };
}

function tell(total: Total, problems: readonly string[]): void {
  const { seeds, simulatedSeconds, realSeconds, processorSeconds, steps, counts } = total;
  printCounts(Object.entries(counts));
  for (const problem of problems) console.log(problem);
  const perSecond = (figure: number): string => Math.round(figure / realSeconds).toLocaleString("en");
  console.log(
    `${seeds} seeds, ${Math.round(simulatedSeconds).toLocaleString("en")} simulated seconds in ${realSeconds.toFixed(1)} s ` +
      `and ${processorSeconds.toFixed(1)} core-seconds: ` +
      `${perSecond(simulatedSeconds)} simulated seconds and ${perSecond(steps)} steps a second; ${problems.length} failures`,
  );
}

async function explain(
  subject: Subject,
  report: RunReport,
  shrink: boolean,
  say: (line: string) => void,
): Promise<void> {
  const seconds = subject.seconds === undefined ? "" : ` --seconds ${subject.seconds}`;
  say(
    `seed ${report.seed}: ${report.violation}\n  again: npm run sim -- --profile ${subject.name}${seconds} --seed ${report.seed}`,
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
  canary: Subject["canaries"][number],
  first: number,
  say: (line: string) => void,
): Promise<readonly string[]> {
  const found = await canary.catch(first);
  if (found === undefined) return [`the canary, ${canary.what}, was not caught`];
  say(`the canary, ${canary.what}, was caught at seed ${found.seed}: ${found.violation.split("\n")[0]}`);
  return [];
}
