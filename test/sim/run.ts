/**
 * `npm run sim`: the simulator.
 *
 *     npm run sim [-- --seeds N] [--first N] [--profile P]    many seeds; the default is 100 from 1 on, of "safety"
 *     npm run sim -- --seed N [--shrink] [--trace F]          one, with everything it did; with less that still fails
 *     npm run sim -- --shard I/N --totals F [--minutes M]     a part of many, added to a file, which says where to go on;
 *                                                             SIGINT and SIGTERM end it behind the seed under way
 *     npm run sim -- --totals F --show                        what is in that file, as a table
 *     npm run sim -- --mutants [--quick]                      the bug zoo: `mutants/zoo.ts`
 *
 * `--profile node` is one node on a disk that loses, tears and damages what it is given; the others are whole clusters
 * (`cluster/profiles.ts`), for `--seconds N` of simulated time, 60 if nothing is said. `--json` prints figures only.
 *
 * Fails on a broken promise, on a fault that was promised and never happened, on a seed that does not repeat itself,
 * and when a canary, a world that does not keep a promise (`canaries.ts`), is not caught.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runZoo } from "./mutants/zoo.ts";
import { DEFAULT_PROFILE, PROFILE_NAMES, subjectOf } from "./subjects.ts";
import type { Subject } from "./subject.ts";
import { printCounts, replay, sweep } from "./sweep.ts";
import { readTotals, tableOf } from "./totals.ts";

const SEEDS_DEFAULT = 100;
const SECONDS_DEFAULT = 60;

const { values } = parseArgs({
  options: {
    profile: { type: "string", default: DEFAULT_PROFILE },
    seed: { type: "string" },
    seeds: { type: "string" },
    first: { type: "string" },
    minutes: { type: "string" },
    seconds: { type: "string" },
    shrink: { type: "boolean", default: false },
    trace: { type: "string" },
    shard: { type: "string", default: "1/1" },
    totals: { type: "string" },
    show: { type: "boolean", default: false },
    mutants: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

process.exitCode = await run();

async function run(): Promise<number> {
  const { mutants, quick, only, json, seed, profile, shrink, totals, show } = values;
  if (mutants) return runZoo({ quick, only, json });
  if (show) {
    if (totals === undefined) throw new Error("--show needs --totals F");
    console.log(tableOf(readTotals(totals)));
    return 0;
  }
  const subject = subjectOf(profile, number(values.seconds, SECONDS_DEFAULT));
  if (subject === undefined) throw new Error(`there is no profile "${profile}", but ${PROFILE_NAMES.join(", ")}`);
  if (seed !== undefined) return exploreOne(subject, number(seed, 1));
  const first = number(values.first, 1);
  // Where only the time is said, there are always more seeds.
  const seeds = number(values.seeds, values.minutes === undefined ? SEEDS_DEFAULT : Number.MAX_SAFE_INTEGER - first);
  const minutes = values.minutes === undefined ? Number.POSITIVE_INFINITY : minutesOf(values.minutes);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());
  const shard = shardOf(values.shard);
  const options = { first, seeds, minutes, stop: stop.signal, shard, totals, shrink, json };
  return (await sweep(subject, options)) === 0 ? 0 : 1;
}

async function exploreOne(subject: Subject, seed: number): Promise<number> {
  const { shrink, trace } = values;
  const { violation, lines, counts } = await replay(subject, seed, shrink);
  if (trace === undefined) console.log(lines.join("\n"));
  else writeFileSync(trace, `${lines.join("\n")}\n`);
  printCounts(counts);
  console.log(violation === undefined ? `seed ${seed}: every promise was kept` : `seed ${seed}: ${violation}`);
  return violation === undefined ? 0 : 1;
}

function shardOf(text: string): { readonly part: number; readonly of: number } {
  const [part, of, ...rest] = text.split("/");
  const shard = { part: number(part, 1), of: number(of, 1) };
  if (rest.length > 0 || of === undefined || shard.part > shard.of) throw new Error(`${text} is not a shard: say 2/4`);
  return shard;
}

function minutesOf(text: string): number {
  const minutes = Number(text);
  if (!(minutes > 0)) throw new Error(`${text} is no number of minutes`);
  return minutes;
}

function number(text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${text} is not a whole number from 1`);
  return value;
}
