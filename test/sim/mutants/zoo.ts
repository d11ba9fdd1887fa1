/**
 * `npm run sim -- --mutants [--quick] [--only NAME] [--json]`: the bug zoo. Bugs that mature systems had, each put back
 * as a textual patch when modules load, in a process of its own, against the checkers that every other run uses. They
 * must catch each, and pass the same seeds without it: that is what shows that they see anything at all.
 *
 *     source    who had it: a row of the list of pitfalls that the design keeps (P1 …), an issue, a paper
 *     world     what runs: random clusters of Raft cores, a whole node on simulated hardware, three of them, a
 *               cluster with its clients, harmed in every way or by one of the simulator's profiles, or replicas of an app
 *     checker   the file that noticed, and what it said. Never the patched file: that a broken function trips over an
 *               assertion of its own says nothing about the checkers
 *     seeds     how many it took, from 1 on
 *
 * Fails if one survives, if a seed fails without a mutant, and if a patch no longer fits its source: then put the bug
 * back where it would be now. `--quick` leaves out those that take long; `--only` takes a part of a name.
 */
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CLIENT_MUTANTS } from "./client-mutants.ts";
import { CLUSTER_MUTANTS } from "./cluster-mutants.ts";
import type { HuntReport, HuntTask } from "./hunt.ts";
import type { Mutant, MutantWorld } from "./mutant.ts";
import { LIFE_MUTANTS } from "./life-mutants.ts";
import { NODE_MUTANTS } from "./node-mutants.ts";
import { patched, sourceOf } from "./patch.ts";
import { RAFT_MUTANTS } from "./raft-mutants.ts";
import { RUNTIME_MUTANTS } from "./runtime-mutants.ts";

export const MUTANTS: readonly Mutant[] = [
  ...RAFT_MUTANTS,
  ...NODE_MUTANTS,
  ...CLUSTER_MUTANTS,
  ...CLIENT_MUTANTS,
  ...LIFE_MUTANTS,
  ...RUNTIME_MUTANTS,
];

export type ZooOptions = { readonly quick: boolean; readonly only: string | undefined; readonly json: boolean };

type Row = HuntReport & { readonly mutant: Mutant; readonly seconds: number };

const HUNT = fileURLToPath(new URL("hunt.ts", import.meta.url));
const SEEDS_MAX = {
  raft: 30_000,
  node: 3_000,
  cluster: 1_000,
  clients: 1_000,
  churn: 1_000,
  laggards: 1_000,
  disks: 1_000,
  operators: 1_000,
  runtime: 1_000,
} as const satisfies Record<MutantWorld, number>;
const PROCESSOR_SECONDS_MAX = 240;
/** Seeds without any mutant, to be sure that there are no false alarms: at least these, and all that caught one. */
const HEALTHY_SEEDS_MIN = {
  raft: 50,
  node: 20,
  cluster: 5,
  clients: 3,
  churn: 3,
  laggards: 3,
  disks: 3,
  operators: 3,
  runtime: 10,
} as const satisfies Record<MutantWorld, number>;

const run = promisify(execFile);

/** Returns the exit code. */
export async function runZoo({ quick, only, json }: ZooOptions): Promise<number> {
  const chosen = MUTANTS.filter(
    (mutant) => (!quick || mutant.quick) && (only === undefined || mutant.name.includes(only)),
  );
  if (chosen.length === 0) throw new Error(`no mutant is called "${only}"`);
  for (const mutant of chosen) patched(mutant, sourceOf(mutant));
  const startedAt = performance.now();
  const rows = await inParallel(chosen, async (mutant): Promise<Row> => {
    const begunAt = performance.now();
    const report = await hunt({
      mutant,
      world: mutant.world,
      seedsMax: SEEDS_MAX[mutant.world],
      processorSecondsMax: PROCESSOR_SECONDS_MAX,
    });
    const row = { ...report, mutant, seconds: (performance.now() - begunAt) / 1_000 };
    if (!json) console.log(lineOf(row));
    return row;
  });
  const falseAlarms = await healthy(rows);
  const survivors = rows.filter(({ caught }) => caught === undefined);
  const seconds = (performance.now() - startedAt) / 1_000;
  if (json) {
    const mutants = rows.map(({ mutant: { name, source, world }, ...report }) => ({ name, source, world, ...report }));
    console.log(JSON.stringify({ mutants, survivors: survivors.length, falseAlarms, seconds }));
  } else {
    for (const alarm of falseAlarms) console.log(`without a mutant: ${alarm}`);
    const caught = rows.length - survivors.length;
    console.log(
      `${caught} of ${rows.length} mutants caught in ${seconds.toFixed(1)} s, ${falseAlarms.length} false alarms`,
    );
    for (const { mutant } of survivors) console.log(`survived: ${mutant.name}`);
  }
  return survivors.length + falseAlarms.length === 0 ? 0 : 1;
}

/** In a process of its own. */
export async function hunt(task: HuntTask): Promise<HuntReport> {
  const { stdout } = await run(process.execPath, [HUNT, JSON.stringify(task)], { maxBuffer: 64 * 1_024 * 1_024 });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as HuntReport;
}

/** The same seeds, and a few, with nothing put back. */
async function healthy(rows: readonly Row[]): Promise<string[]> {
  const worlds = [...new Set(rows.map(({ mutant }) => mutant.world))];
  const alarms = await inParallel(worlds, async (world) => {
    const tried = rows.filter(({ mutant, caught }) => mutant.world === world && caught !== undefined);
    const seedsMax = tried.reduce<number>((most, { seeds }) => Math.max(most, seeds), HEALTHY_SEEDS_MIN[world]);
    const { caught, seeds } = await hunt({
      mutant: undefined,
      world,
      seedsMax,
      processorSecondsMax: Number.MAX_SAFE_INTEGER,
    });
    return caught === undefined ? [] : [`seed ${seeds} of ${world} fails: ${caught.message}`];
  });
  return alarms.flat();
}

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const at = next;
      next += 1;
      results[at] = await work(items[at] as T);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results;
}

function lineOf({ mutant: { name, source, world }, caught, seeds, seconds, ownFailures }: Row): string {
  const own = ownFailures > 0 ? `, ${ownFailures} of them failed in the patched file` : "";
  const by = caught === undefined ? `SURVIVED ${seeds} seeds${own}` : `${caught.file ?? ""}: ${caught.message}`;
  const parts = [name.padEnd(56), source.padEnd(42).slice(0, 42), world.padEnd(7), String(seeds).padStart(5)];
  return `${parts.join("  ")}  ${seconds.toFixed(1).padStart(5)} s  ${by.slice(0, 150)}`;
}
