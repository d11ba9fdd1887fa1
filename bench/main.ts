/**
 * `npm run bench`: measures a node on this machine, and prints the figures beside their targets.
 *
 *     npm run bench -- [append] [read] [tail] [streams] [restart] [cluster] [operators] [cluster-costs] [--json FILE] [--rounds N] [--quick]
 *
 * Without names it measures all of them but `cluster-costs`, which takes long. Client and server share the machine's cores. `--quick` only shows that it works.
 */
import { writeFile } from "node:fs/promises";
import { Argument } from "commander";
import { benchAppend } from "./append.ts";
import { benchCluster } from "./cluster.ts";
import { benchClusterCosts } from "./cluster-costs.ts";
import { type Figure, formatFigures, toJson } from "./figure.ts";
import { benchOperators } from "./operators.ts";
import { benchRead } from "./read.ts";
import { benchRestart } from "./restart.ts";
import { script, wholeFrom } from "./script.ts";
import { benchStreams } from "./streams.ts";
import { benchTail } from "./tail.ts";

/** How much is measured. */
export type Scale = {
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  readonly readRecords: number;
  readonly streams: number;
  readonly restartBytes: number;
  readonly operatorStateBytes: number;
  readonly operatorEventsPerSecond: number;
  readonly operatorCostEvents: number;
  /** Of leaders. */
  readonly kills: number;
  /** For what more of it costs: streams in one cluster, and bytes in its log, from few to many. */
  readonly costStreams: readonly number[];
  readonly costLogBytes: readonly number[];
};

const FULL: Scale = {
  rounds: 5,
  warmUpMs: 1_500,
  measureMs: 3_000,
  readRecords: 4_000_000,
  streams: 100_000,
  restartBytes: 5_000_000_000,
  operatorStateBytes: 100_000_000,
  operatorEventsPerSecond: 10_000,
  operatorCostEvents: 50_000,
  kills: 50,
  costStreams: [1, 1_000, 100_000],
  costLogBytes: [1e9, 4e9, 10e9],
};
const QUICK: Scale = {
  rounds: 1,
  warmUpMs: 300,
  measureMs: 500,
  readRecords: 200_000,
  streams: 2_000,
  restartBytes: 100_000_000,
  operatorStateBytes: 20_000_000,
  operatorEventsPerSecond: 200,
  operatorCostEvents: 5_000,
  kills: 3,
  costStreams: [1, 100, 2_000],
  costLogBytes: [50e6, 100e6, 200e6],
};

const AREAS = {
  "append": benchAppend,
  "read": benchRead,
  "tail": benchTail,
  "streams": benchStreams,
  "restart": benchRestart,
  "cluster": benchCluster,
  "operators": benchOperators,
  "cluster-costs": benchClusterCosts,
} as const;
/** Takes long, and some 35 GB of disk: only by name. */
const ON_REQUEST: readonly string[] = ["cluster-costs"];

type Options = { readonly json?: string; readonly rounds?: number; readonly quick?: true };

const command = script(
  "bench",
  "Measures a node, or three, on this machine, and prints the figures beside their targets.",
)
  .addArgument(
    new Argument("[what...]", `what to measure; all but ${ON_REQUEST.join(", ")} unless said`)
      .choices(Object.keys(AREAS))
      .default(Object.keys(AREAS).filter((name) => !ON_REQUEST.includes(name))),
  )
  .option("--json <file>", "write the figures to a file, too")
  .option("--rounds <n>", `how often each is measured (default: ${FULL.rounds})`, wholeFrom(1))
  .option("--quick", "little of everything: shows that it works, not how fast it is")
  .parse();
const { json, quick, ...given } = command.opts<Options>();
const scale = quick ? QUICK : FULL;
const { rounds = scale.rounds } = given;

const figures: Figure[] = [];
for (const name of command.processedArgs[0] as (keyof typeof AREAS)[]) {
  console.error(`measuring ${name} …`);
  figures.push(...(await AREAS[name]({ ...scale, rounds })));
}
process.stdout.write(formatFigures(figures));
if (json !== undefined) await writeFile(json, toJson(figures));
