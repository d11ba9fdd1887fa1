/**
 * `npm run sim`: the simulator.
 *
 *     npm run sim [-- --seeds N] [--first N] [--profile P]    many seeds; the default is 100 from 1 on, of "safety"
 *     npm run sim -- --seed N [--shrink] [--trace F]          one, with everything it did; with less that still fails
 *     npm run sim -- --shard I/N --totals F [--minutes M]     a part of many, added to a file, which says where to go on;
 *                                                             SIGINT and SIGTERM end it behind the seed under way
 *     npm run sim -- --totals F --show                        what is in that file, as a table
 *     npm run sim -- --mutants [--quick] [--totals F]         the bug zoo: `mutants/zoo.ts`
 *
 * `--profile node` is one node on a disk that loses, tears and damages what it is given; the others are whole clusters
 * (`cluster/profiles.ts`), for `--seconds N` of simulated time, 60 if nothing is said. `--json` prints figures only.
 *
 * Fails on a broken promise, on a fault that was promised and never happened, on a seed that does not repeat itself,
 * and when a canary, a world that does not keep a promise (`canaries.ts`), is not caught.
 */
import { writeFileSync } from "node:fs";
import { InvalidArgumentError, Option } from "commander";
import { moreThanZero, script, wholeFrom } from "../../bench/script.ts";
import { runZoo } from "./mutants/zoo.ts";
import { DEFAULT_PROFILE, PROFILE_NAMES, type ProfileName, subjectOf } from "./subjects.ts";
import type { Subject } from "./subject.ts";
import { printCounts, replay, sweep } from "./sweep.ts";
import { readTotals, tableOf } from "./totals.ts";

const SEEDS_DEFAULT = 100;
const SECONDS_DEFAULT = 60;

type Options = {
  readonly profile: ProfileName;
  readonly seeds?: number;
  readonly first: number;
  readonly minutes?: number;
  readonly seconds: number;
  readonly seed?: number;
  readonly shrink?: boolean;
  readonly trace?: string;
  readonly shard: Shard;
  readonly totals?: string;
  readonly show?: boolean;
  readonly mutants?: boolean;
  readonly quick?: boolean;
  readonly only?: string;
  readonly json?: boolean;
};
type Shard = { readonly part: number; readonly of: number };

const command = script("sim", "Clusters and their clients, or one node, in a simulated world, under many seeds.")
  .addOption(new Option("--profile <name>", "what is most harmed").choices(PROFILE_NAMES).default(DEFAULT_PROFILE))
  .option("--seeds <n>", `how many (default: ${SEEDS_DEFAULT}, or as many as there is time for)`, wholeFrom(1))
  .option("--first <n>", "where they begin", wholeFrom(1), 1)
  .option("--minutes <m>", "begin none after so long", moreThanZero)
  .option("--seconds <n>", "how long each lasts, in simulated time", wholeFrom(1), SECONDS_DEFAULT)
  .option("--seed <n>", "one only, with everything it did", wholeFrom(1))
  .option("--shrink", "make what fails shorter")
  .option("--trace <file>", "with --seed: write what it did to a file")
  .addOption(new Option("--shard <i/n>", "a part of many").argParser(shardOf).default({ part: 1, of: 1 }, "1/1"))
  .option("--totals <file>", "add to what earlier parts came to, and go on where they ended")
  .option("--show", "print what is in that file, as a table")
  .addOption(
    new Option("--mutants", "the bug zoo: see that bugs of others are caught").conflicts([
      ...["profile", "seeds", "first", "minutes", "seconds", "seed"],
    ]),
  )
  .option("--quick", "of the zoo those that are caught soon")
  .option("--only <name>", "of the zoo those whose name has this in it")
  .addOption(new Option("--json", "print figures only").conflicts("seed"))
  .parse();
const options = command.opts<Options>();

/** What means nothing without another. */
const PARTS = [
  ["quick", "mutants"],
  ["only", "mutants"],
  ["show", "totals"],
  ["trace", "seed"],
] as const;
for (const [part, whole] of PARTS) {
  if (options[part] !== undefined && options[whole] === undefined) command.error(`error: --${part} needs --${whole}`);
}

process.exitCode = await run(options);

async function run({ mutants, quick = false, only, json = false, show = false, ...given }: Options): Promise<number> {
  const { profile, first, seed, minutes = Number.POSITIVE_INFINITY, shard, totals, shrink = false } = given;
  if (mutants) return runZoo({ quick, only, json, shard, totals, show });
  if (show && totals !== undefined) {
    console.log(tableOf(readTotals(totals)));
    return 0;
  }
  const subject = subjectOf(profile, given.seconds);
  if (seed !== undefined) return exploreOne(subject, seed, shrink, given.trace);
  // Where only the time is said, there are always more seeds.
  const { seeds = given.minutes === undefined ? SEEDS_DEFAULT : Number.MAX_SAFE_INTEGER - first } = given;
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());
  const failures = await sweep(subject, { first, seeds, minutes, stop: stop.signal, shard, totals, shrink, json });
  return failures === 0 ? 0 : 1;
}

async function exploreOne(subject: Subject, seed: number, shrink: boolean, trace?: string): Promise<number> {
  const { violation, lines, counts } = await replay(subject, seed, shrink);
  if (trace === undefined) console.log(lines.join("\n"));
  else writeFileSync(trace, `${lines.join("\n")}\n`);
  printCounts(counts);
  console.log(violation === undefined ? `seed ${seed}: every promise was kept` : `seed ${seed}: ${violation}`);
  return violation === undefined ? 0 : 1;
}

function shardOf(text: string): Shard {
  const [part = 0, of = 0] = /^\d+\/\d+$/.test(text) ? text.split("/").map(Number) : [];
  if (part < 1 || part > of) throw new InvalidArgumentError("It must be like 2/4.");
  return { part, of };
}
