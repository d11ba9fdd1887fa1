/**
 * `npm run fuzz`: many inputs for every parser, all drawn from one seed.
 *
 *     npm run fuzz [-- --inputs N] [--seed N] [--only NAME]     N in all
 *     npm run fuzz -- --only NAME --seed N --input I            the one input that a failure named
 *
 * Fails on a defect, on a target of which nothing or everything is accepted, and on an input that takes too long.
 */
import { Option } from "commander";
import { script, wholeFrom } from "../../bench/script.ts";
import { hex } from "../../src/lib/bytes.ts";
import { emptiness, exercise, Finding, inputOf, inputsOf, verdictOf } from "./exercise.ts";
import { TARGETS } from "./table.ts";
import type { Target } from "./target.ts";
import { Watchdog } from "./watchdog.ts";

const NAME_WIDTH = Math.max(...TARGETS.map(({ name }) => name.length));

type Options = { readonly inputs: number; readonly seed: number; readonly only?: string; readonly input?: number };

const command = script("fuzz", "Many inputs for every parser, all drawn from one seed.")
  .option("--inputs <n>", "how many, in all", wholeFrom(1), 1_000_000)
  .option("--seed <n>", "what they are drawn from", wholeFrom(0), 1)
  .addOption(new Option("--only <name>", "one parser").choices(TARGETS.map(({ name }) => name)))
  .option("--input <i>", "with --only: the one input that a failure named", wholeFrom(0))
  .parse();
const { inputs: wanted, seed, only, input: single } = command.opts<Options>();
const chosen = TARGETS.filter(({ name }) => only === undefined || name === only);
if (single !== undefined && only === undefined) command.error("error: one input is of one parser: --only NAME");

process.exitCode = single === undefined ? await runAll() : await runOne(chosen[0] as Target, single);

async function runAll(): Promise<number> {
  const shares = chosen.reduce((sum, target) => sum + (target.kind === "cheap" ? 1 : 1 / target.everyInputs), 0);
  const each = Math.ceil(wanted / shares);
  const watchdog = new Watchdog();
  let inputs = 0;
  let failures = 0;
  const startedAt = performance.now();
  for (const target of chosen) {
    watchdog.begin(`${target.name}, seed ${seed}`);
    try {
      const report = await exercise(target, seed, inputsOf(target, each), (input) => watchdog.saw(input));
      inputs += report.inputs;
      const problem = emptiness(report);
      if (problem !== undefined) failures += 1;
      const rate = Math.round(report.inputs / report.seconds).toLocaleString("en");
      console.log(
        `${target.name.padEnd(NAME_WIDTH)}  ${report.inputs} inputs, ${rate}/s, ${report.accepted} accepted, ` +
          `${report.refused} refused, slowest ${report.slowestMs.toFixed(1)} ms${problem === undefined ? "" : `: ${problem}`}`,
      );
    } catch (error) {
      if (!(error instanceof Finding)) throw error;
      failures += 1;
      console.log(error.message);
      console.log(error.cause);
    }
  }
  await watchdog.end();
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  console.log(`${inputs} inputs from seed ${seed} in ${seconds} s: ${failures} failures`);
  return failures === 0 ? 0 : 1;
}

async function runOne(target: Target, input: number): Promise<number> {
  const bytes = inputOf(target, seed, input);
  console.log(`${target.name}, seed ${seed}, input ${input}: ${hex(bytes)}`);
  try {
    console.log(await verdictOf(target, bytes));
    return 0;
  } catch (error) {
    console.log(error);
    return 1;
  }
}
