/**
 * `npm run bench`: measures a node on this machine, and prints the figures beside their targets.
 *
 *     npm run bench -- [append] [read] [tail] [streams] [restart] [cluster] [--json FILE] [--rounds N] [--quick]
 *
 * Without names it measures all of them. Client and server share the machine's cores. `--quick` only shows that it works.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { benchAppend } from "./append.ts";
import { benchCluster } from "./cluster.ts";
import { type Figure, formatFigures, toJson } from "./figure.ts";
import { benchRead } from "./read.ts";
import { benchRestart } from "./restart.ts";
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
  /** Of leaders. */
  readonly kills: number;
};

const FULL: Scale = {
  rounds: 5,
  warmUpMs: 1_500,
  measureMs: 3_000,
  readRecords: 4_000_000,
  streams: 100_000,
  restartBytes: 5_000_000_000,
  kills: 50,
};
const QUICK: Scale = {
  rounds: 1,
  warmUpMs: 300,
  measureMs: 500,
  readRecords: 200_000,
  streams: 2_000,
  restartBytes: 100_000_000,
  kills: 3,
};

const AREAS = {
  append: benchAppend,
  read: benchRead,
  tail: benchTail,
  streams: benchStreams,
  restart: benchRestart,
  cluster: benchCluster,
} as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "string" }, rounds: { type: "string" }, quick: { type: "boolean", default: false } },
});

const names = positionals.length === 0 ? Object.keys(AREAS) : positionals;
const unknown = names.find((name) => !Object.hasOwn(AREAS, name));
const rounds = Number(values.rounds ?? (values.quick ? QUICK.rounds : FULL.rounds));
if (unknown !== undefined) {
  console.error(`bench: "${unknown}" is not one of ${Object.keys(AREAS).join(", ")}`);
  process.exitCode = 2;
} else if (!Number.isSafeInteger(rounds) || rounds < 1) {
  console.error(`bench: "${values.rounds}" rounds cannot be run`);
  process.exitCode = 2;
} else {
  const figures: Figure[] = [];
  for (const name of names) {
    console.error(`measuring ${name} …`);
    figures.push(...(await AREAS[name as keyof typeof AREAS]({ ...(values.quick ? QUICK : FULL), rounds })));
  }
  process.stdout.write(formatFigures(figures));
  if (values.json !== undefined) await writeFile(values.json, toJson(figures));
}
