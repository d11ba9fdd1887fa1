/**
 * `npm run chaos`: real nodes in a network of their own, under load on every face, while everything is done to them; then all
 * clients' histories are checked against what every node holds.
 *
 *     npm run chaos [-- --minutes M] [--nodes 3|5] [--seed S] [--only NAME] [--totals FILE] [--logs FOLDER] [--json]
 *     npm run chaos -- --totals FILE --table
 *
 * Needs root, `ip`, `nft` and `strace`. Fails on a violation, on a node that does not come back, and where appends do not go
 * on after a fault. `--totals` adds the run to what earlier ones came to, after every fault; `--table` prints that.
 */
import { spawnSync } from "node:child_process";
import { InvalidArgumentError, Option } from "commander";
import { moreThanZero, script, wholeFrom } from "../../bench/script.ts";
import { Prng } from "../../src/lib/prng.ts";
import { Clients } from "./clients.ts";
import { Cluster, within } from "./cluster.ts";
import { type Fault, FAULTS } from "./faults.ts";
import type { Outcome } from "./history.ts";
import { SHORT } from "./load.ts";
import { pause } from "./pause.ts";
import { summary, table } from "./table.ts";
import { Tally } from "./tally.ts";
import { faultCount, NOTHING, oneFault, percentile, totalsIn } from "./totals.ts";

const MS_PER_MINUTE = 60_000;
const BETWEEN_FAULTS_MS = 500;
/** What nodes find out themselves, and what no fault may lead to. */
const NEVER = ["state-differs"];
const INSIDE = "CHAOS_INSIDE";
/** In the memory of the namespace: nothing of it is left, however a run ends. */
const FOLDER = "/run/nodes";

type Options = {
  readonly minutes: number;
  readonly nodes: string;
  readonly seed: number;
  readonly only?: readonly Fault[];
  readonly totals?: string;
  readonly table?: true;
  readonly logs?: string;
  readonly json?: true;
};

const command = script("chaos", "Real nodes under load, and all that is done to them; then every history is checked.")
  .option("--minutes <m>", "begin no fault after so long, but each once", moreThanZero, 2)
  .addOption(new Option("--nodes <n>", "in the cluster").choices(["3", "5"]).default("3"))
  .option("--seed <n>", "what faults are drawn from", wholeFrom(0), Date.now() % 1_000_000)
  .option("--only <name>", "the faults whose name has this in it", faultsNamed)
  .option("--totals <file>", "add the run to those before it, after every fault")
  .option("--table", "print what is in that file")
  .option("--logs <folder>", "keep all that the nodes say, in a file for each")
  .option("--json", "print figures only")
  .parse();
const {
  minutes,
  nodes,
  seed,
  only: faults = FAULTS,
  totals: totalsFile,
  logs,
  json,
  ...given
} = command.opts<Options>();

if (given.table) {
  const totals = totalsIn(totalsFile ?? command.error("error: --table needs --totals FILE"));
  for (const line of [...summary(totals), "", ...table(totals)]) console.log(line);
} else if (process.env[INSIDE] === undefined) {
  // Networks and mounts of its own, which end with it, however it ends.
  const args = [
    "--pdeathsig",
    "KILL",
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    process.execPath,
    ...process.argv.slice(1),
  ];
  const { status, error } = spawnSync("setpriv", args, { stdio: "inherit", env: { ...process.env, [INSIDE]: "1" } });
  if (error !== undefined) console.error(`chaos: ${error.message}`);
  process.exitCode = status ?? 1;
} else {
  // After a violation some client may still be trying.
  process.exit(await main());
}

async function main(): Promise<number> {
  say(`seed ${seed}, ${nodes} nodes, ${minutes} min`);
  const cluster = new Cluster(FOLDER, Number(nodes), logs);
  try {
    const tally = new Tally(totalsFile);
    await play(cluster, new Prng(seed), tally);
    report(tally);
    return tally.run.violations.length === 0 ? 0 : 1;
  } finally {
    await cluster.stop();
  }
}

async function play(cluster: Cluster, prng: Prng, tally: Tally): Promise<void> {
  await cluster.start();
  tally.add({ ...NOTHING, runs: { [cluster.nodes.length]: 1 } });
  const clients = new Clients(cluster.urls);
  const { journal } = clients;
  const goOn = (): Promise<void> => journal.progress(clients.streams, AbortSignal.timeout(MS_PER_MINUTE));
  await clients.start();
  const startedAt = performance.now();
  const violations: string[] = [];
  const missing = new Set(faults);
  try {
    await within("the first appends", goOn());
    journal.longestPauseMs();
    const isOver = (): boolean => performance.now() - startedAt >= minutes * MS_PER_MINUTE;
    // Each once, then by chance, and now and then one that nothing could be done to as yet.
    for (let turn = 0; turn < faults.length || !isOver(); turn += 1) {
      const again = turn % 2 === 0 ? [...missing][0] : undefined;
      const fault = faults[turn] ?? again ?? prng.pick(faults);
      const happened = await fault.run(cluster, prng);
      if (typeof happened === "string") say(`  ${happened}`);
      await cluster.recover();
      // Until the new one votes, one more loss is more than a cluster of three can bear.
      if (fault.changesMembers) await cluster.command("wait");
      await within(`appends to go on after ${fault.name}`, goOn());
      const pauseMs = journal.longestPauseMs();
      if (happened === false) continue;
      say(`${fault.name}: ${Math.round(pauseMs)} ms without writes`);
      tally.add(oneFault(fault.name, pauseMs));
      missing.delete(fault);
      await pause(BETWEEN_FAULTS_MS);
    }
  } catch (error) {
    violations.push(error instanceof Error ? error.message : String(error));
    for (const node of cluster.nodes) say(`${node.name} (${node.state}): ${node.complaints.slice(-5).join("\n  ")}`);
  }
  // Of a run that ended early that says nothing.
  if (violations.length === 0)
    violations.push(...[...missing].map(({ name }) => `promised, and never happened: ${name}`));
  violations.push(...(await check(cluster, clients)));
  const { appends, looks, sessionReads } = journal.history;
  const count = (kind: Outcome["kind"]): number => appends.filter(({ outcome }) => outcome.kind === kind).length;
  tally.add({
    ...NOTHING,
    uncheckedFaults: -faultCount(tally.run),
    minutes: (performance.now() - startedAt) / MS_PER_MINUTE,
    acknowledged: count("acknowledged"),
    refused: count("refused"),
    inDoubt: count("unknown"),
    readRecords: journal.given,
    looks: looks.length + sessionReads.length,
    events: cluster.events,
    violations: violations.map((violation) => `${violation} [--seed ${seed} --nodes ${nodes}]`),
  });
}

/** Every node holds the same, and the histories agree with it. */
async function check(cluster: Cluster, clients: Clients): Promise<readonly string[]> {
  const violations: string[] = [];
  try {
    await clients.stopAppending();
    await cluster.recover();
    const contents = new Map<string, readonly string[]>();
    for (const stream of clients.streams) {
      for (const node of cluster.nodes) {
        const seen = await clients.contents(node.url, stream);
        if (seen.some(({ offset }, at) => offset !== at)) violations.push(`${node.name} has a gap in ${stream} (I7)`);
        const values = seen.map(({ value }) => value);
        const before = contents.get(stream);
        if (before !== undefined && !isSame(before, values)) violations.push(`${node.name} has another ${stream} (I4)`);
        contents.set(stream, before ?? values);
      }
    }
    for (const node of cluster.nodes)
      violations.push(...clients.shortViolations(await clients.contents(node.url, SHORT), node.name));
    violations.push(...(await clients.violations(contents)), ...(await cluster.damage()));
    for (const event of NEVER)
      if (event in cluster.events) violations.push(`a node told of ${event}: its state is not the others' (I10)`);
  } catch (error) {
    violations.push(error instanceof Error ? error.message : String(error));
  }
  return violations;
}

function faultsNamed(part: string): readonly Fault[] {
  const named = FAULTS.filter(({ name }) => name.includes(part));
  if (named.length === 0)
    throw new InvalidArgumentError(`There are ${FAULTS.map(({ name }) => `"${name}"`).join(", ")}.`);
  return named;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, at) => b[at] === value);
}

function report({ run, all }: Tally): void {
  if (json) {
    const [p50, p99, max] = [0.5, 0.99, 1].map((part) => percentile(all, part));
    console.log(JSON.stringify({ ...all, faultCount: faultCount(all), pausesMs: { p50, p99, max } }));
    return;
  }
  for (const line of summary(run)) say(line);
  for (const violation of run.violations) say(`VIOLATION ${violation}`);
  for (const line of table(run)) say(line);
  if (all !== run) for (const line of ["in all:", ...summary(all)]) say(line);
}

function say(line: string): void {
  (json ? process.stderr : process.stdout).write(`${line}\n`);
}
