/**
 * `npm run sim -- --mutants [--quick] [--only NAME] [--json]`: the bug zoo. Bugs that mature systems had, each put back
 * as a textual patch when modules load, in a process of its own, against the checkers that every other run uses. They
 * must catch each, and pass the same seeds without it: that is what shows that they see anything at all.
 *
 *     source    who had it: a row of the list of pitfalls that the design keeps (P1 …), an issue, a paper
 *     world     what runs: random clusters of Raft cores, a whole node on simulated hardware, three of them, a
 *               cluster with its clients, harmed in every way or by one of the simulator's profiles, or replicas of an app
 *     checker   the file that noticed, and what it said. Never the patched file: that a broken function trips over an
 *               assertion of its own says nothing about the checkers. One of the product in another file counts only for a
 *               mutant that is marked so, with the reason
 *     seeds     how many it took, from 1 on
 *
 * Fails if one survives, if a seed fails without a mutant, and if a patch no longer fits its source: then put the bug
 * back where it would be now. `--quick` leaves out those that take long; `--only` takes a part of a name.
 *
 * `--totals F` keeps in a file what was caught, and goes on from there, also with `--shard I/N` on several processes; what
 * was patched otherwise then is tried anew. `--totals F --show` prints the table, for `test/sim/ZOO.md`.
 */
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { addCatches, type Catch, type Catches, hashOf, readCatches, tableOf } from "./catches.ts";
import { CLIENT_MUTANTS } from "./client-mutants.ts";
import { CLUSTER_MUTANTS } from "./cluster-mutants.ts";
import type { HuntPart, HuntReport, HuntTask } from "./hunt.ts";
import type { Mutant, MutantWorld } from "./mutant.ts";
import { LIFE_MUTANTS } from "./life-mutants.ts";
import { NODE_MUTANTS } from "./node-mutants.ts";
import { patched, patchesOf, sourceOf } from "./patch.ts";
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

export type ZooOptions = {
  readonly quick: boolean;
  readonly only: string | undefined;
  readonly json: boolean;
  readonly shard: { readonly part: number; readonly of: number };
  /** A file of what was caught before. */
  readonly totals: string | undefined;
  readonly show: boolean;
};

type Row = Catch & { readonly mutant: Mutant };

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
  overload: 1_000,
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
  overload: 2,
  runtime: 10,
} as const satisfies Record<MutantWorld, number>;

const run = promisify(execFile);

/** Returns the exit code. */
export async function runZoo({ quick, only, json, shard, totals, show }: ZooOptions): Promise<number> {
  const chosen = MUTANTS.filter(
    (mutant) => (!quick || mutant.quick) && (only === undefined || mutant.name.includes(only)),
  ).filter((_, place) => place % shard.of === shard.part % shard.of);
  if (chosen.length === 0) throw new Error(`no mutant is called "${only}"`);
  for (const patch of chosen.flatMap(patchesOf)) patched(patch, sourceOf(patch));
  const before = readCatches(totals);
  if (show) {
    console.log(tableOf(chosen, before));
    return 0;
  }
  const startedAt = performance.now();
  const rows = await inParallel(chosen, async (mutant) => {
    const row = knownOf(mutant, before) ?? (await tried(mutant));
    if (totals !== undefined) addCatches(totals, { caught: { [mutant.name]: catchOf(row) } });
    if (!json) console.log(lineOf(row));
    return row;
  });
  const falseAlarms = await healthy(rows, before, totals);
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

function knownOf(mutant: Mutant, { caught }: Catches): Row | undefined {
  const known = caught[mutant.name];
  return known?.caught !== undefined && known.hash === hashOf(mutant) ? { ...known, mutant } : undefined;
}

async function tried(mutant: Mutant): Promise<Row> {
  const { world } = mutant;
  const limits = { seedsMax: SEEDS_MAX[world], processorSecondsMax: PROCESSOR_SECONDS_MAX };
  return { ...(await hunt({ mutant, world, ...limits })), hash: hashOf(mutant), mutant };
}

function catchOf({ mutant: _mutant, ...found }: Row): Catch {
  return found;
}

/** In processes of its own: where one was cut short by what does not count, the next goes on, within the same bounds. */
export async function hunt(task: Omit<HuntTask, "firstSeed">): Promise<HuntReport> {
  let uncounted = 0;
  let processorSeconds = 0;
  for (let firstSeed = 1; ;) {
    const processorSecondsMax = task.processorSecondsMax - processorSeconds;
    const part = await huntFrom({ ...task, firstSeed, processorSecondsMax });
    uncounted += part.uncounted;
    processorSeconds += part.processorSeconds;
    const { seeds, caught } = part;
    if (!part.cutShort || seeds >= task.seedsMax || processorSeconds > task.processorSecondsMax)
      return { seeds, caught, uncounted, processorSeconds };
    firstSeed = seeds + 1;
  }
}

async function huntFrom(task: HuntTask): Promise<HuntPart> {
  const { stdout } = await run(process.execPath, [HUNT, JSON.stringify(task)], { maxBuffer: 64 * 1_024 * 1_024 });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as HuntPart;
}

/** The same seeds, and a few, with nothing put back. */
async function healthy(rows: readonly Row[], before: Catches, totals: string | undefined): Promise<string[]> {
  const worlds = [...new Set(rows.map(({ mutant }) => mutant.world))];
  const alarms = await inParallel(worlds, async (world) => {
    const tried = rows.filter(({ mutant, caught }) => mutant.world === world && caught !== undefined);
    const seedsMax = tried.reduce<number>((most, { seeds }) => Math.max(most, seeds), HEALTHY_SEEDS_MIN[world]);
    if ((before.healthy[world] ?? 0) >= seedsMax) return [];
    const { caught, seeds } = await hunt({
      mutant: undefined,
      world,
      seedsMax,
      processorSecondsMax: Number.MAX_SAFE_INTEGER,
    });
    if (caught === undefined && totals !== undefined) addCatches(totals, { healthy: { [world]: seedsMax } });
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

function lineOf({ mutant: { name, source, world }, caught, seeds, processorSeconds, uncounted }: Row): string {
  const own = uncounted > 0 ? `, ${uncounted} of them failed in the patched file or by an assertion` : "";
  const by = caught === undefined ? `SURVIVED ${seeds} seeds${own}` : `${caught.file ?? ""}: ${caught.message}`;
  const parts = [name.padEnd(56), source.padEnd(42).slice(0, 42), world.padEnd(8), String(seeds).padStart(5)];
  return `${parts.join("  ")}  ${processorSeconds.toFixed(1).padStart(5)} s  ${by.slice(0, 150)}`;
}
