/**
 * `npm run fuzz`: many inputs for every parser, all drawn from one seed.
 *
 *     npm run fuzz [-- --inputs N] [--seed N] [--only NAME]     N in all; the default is 1,000,000
 *     npm run fuzz -- --only NAME --seed N --input I            the one input that a failure named
 *
 * Fails on a defect, on a target of which nothing or everything is accepted, and on an input that takes too long.
 */
import { parseArgs } from "node:util";
import { hex } from "../../src/lib/bytes.ts";
import { emptiness, exercise, Finding, inputOf, inputsOf, verdictOf } from "./exercise.ts";
import { TARGETS } from "./table.ts";
import type { Target } from "./target.ts";
import { Watchdog } from "./watchdog.ts";

const INPUTS_DEFAULT = 1_000_000;
const SEED_DEFAULT = 1;
const NAME_WIDTH = Math.max(...TARGETS.map(({ name }) => name.length));

const { values } = parseArgs({
  options: {
    inputs: { type: "string" },
    seed: { type: "string" },
    only: { type: "string" },
    input: { type: "string" },
  },
});
const seed = number(values.seed, SEED_DEFAULT);
const chosen = TARGETS.filter(({ name }) => values.only === undefined || name === values.only);
if (chosen.length === 0)
  throw new Error(`no target is called ${values.only}: ${TARGETS.map(({ name }) => name).join(", ")}`);

process.exitCode = values.input === undefined ? await runAll() : await runOne(chosen, number(values.input, 0));

async function runAll(): Promise<number> {
  const wanted = number(values.inputs, INPUTS_DEFAULT);
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

async function runOne(targets: readonly Target[], input: number): Promise<number> {
  const [target] = targets;
  if (target === undefined || targets.length > 1) throw new Error("one input is of one target: --only NAME");
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

function number(text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${text} is not a whole number`);
  return value;
}
