/**
 * `npm run chaos`: real nodes in a network of their own, under load on every face, while everything is done to them; then all
 * clients' histories are checked against what every node holds.
 *
 *     npm run chaos [-- --minutes M] [--nodes 3|5] [--seed S] [--only NAME] [--totals FILE] [--json]
 *
 * Needs root, `ip`, `nft` and `strace`. Fails on a violation, on a node that does not come back, and where appends do not go
 * on after a fault. `--totals` adds the run to what earlier ones came to.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Prng } from "../../src/lib/prng.ts";
import { Clients } from "./clients.ts";
import { Cluster, pause, within } from "./cluster.ts";
import { type Fault, FAULTS } from "./faults.ts";
import { violationsIn } from "./history.ts";
import { add, addToFile, faultCount, NOTHING, percentile, type Totals } from "./totals.ts";

const MS_PER_MINUTE = 60_000;
const BETWEEN_FAULTS_MS = 500;
const INSIDE = "CHAOS_INSIDE";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "2" },
    nodes: { type: "string", default: "3" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    only: { type: "string" },
    totals: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

if (process.env[INSIDE] === undefined) {
  // Networks and mounts of its own, which end with it, however it ends.
  const args = [
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    process.execPath,
    ...process.argv.slice(1),
  ];
  const { status, error } = spawnSync("unshare", args, { stdio: "inherit", env: { ...process.env, [INSIDE]: "1" } });
  if (error !== undefined) console.error(`chaos: ${error.message}`);
  process.exitCode = status ?? 1;
} else {
  process.exitCode = await main();
}

async function main(): Promise<number> {
  const size = Number(values.nodes);
  const minutes = Number(values.minutes);
  const seed = Number(values.seed);
  const faults = FAULTS.filter(({ name }) => values.only === undefined || name.includes(values.only));
  if (![3, 5].includes(size) || !(minutes > 0) || !Number.isSafeInteger(seed) || faults.length === 0) {
    console.error("chaos: --nodes is 3 or 5, --minutes more than 0, --seed a number, --only a part of a fault's name");
    return 2;
  }
  say(`seed ${seed}, ${size} nodes, ${minutes} min`);
  const folder = mkdtempSync(join(tmpdir(), "tidemark-chaos-"));
  const cluster = new Cluster(folder, size);
  try {
    const run = await play(cluster, faults, new Prng(seed), minutes);
    const totals = values.totals === undefined ? run : addToFile(values.totals, run);
    report(run, totals);
    return run.violations.length === 0 ? 0 : 1;
  } finally {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function play(cluster: Cluster, faults: readonly Fault[], prng: Prng, minutes: number): Promise<Totals> {
  await cluster.start();
  const clients = new Clients(cluster.urls);
  await clients.createStreams();
  clients.start();
  const startedAt = performance.now();
  const violations: string[] = [];
  let totals = NOTHING;
  try {
    await within("the first appends", clients.progress(AbortSignal.timeout(MS_PER_MINUTE)));
    clients.longestPauseMs();
    const isOver = (): boolean => performance.now() - startedAt >= minutes * MS_PER_MINUTE;
    // Each once, and then by chance.
    for (let turn = 0; turn < faults.length || !isOver(); turn += 1) {
      const fault = faults[turn] ?? prng.pick(faults);
      const happened = (await fault.run(cluster, prng)) !== false;
      await cluster.recover();
      // Until the new one votes, one more loss is more than a cluster of three can bear.
      if (fault.changesMembers) await cluster.command("wait");
      await within(`appends to go on after ${fault.name}`, clients.progress(AbortSignal.timeout(MS_PER_MINUTE)));
      const pauseMs = clients.longestPauseMs();
      if (!happened) continue;
      say(`${fault.name}: ${Math.round(pauseMs)} ms without writes`);
      totals = add(totals, { ...NOTHING, faults: { [fault.name]: 1 }, pausesMs: [pauseMs] });
      await pause(BETWEEN_FAULTS_MS);
    }
  } catch (error) {
    violations.push(error instanceof Error ? error.message : String(error));
    for (const node of cluster.nodes) say(`${node.name} (${node.state}): ${node.complaints.slice(-5).join("\n  ")}`);
  }
  await clients.stop();
  const missed = faults.find(({ name }) => totals.faults[name] === undefined);
  if (missed !== undefined) violations.push(`promised, and never happened: ${missed.name}`);
  violations.push(...(await check(cluster, clients)));
  const { appends, readings } = clients.history;
  return add(totals, {
    ...NOTHING,
    runs: 1,
    minutes: (performance.now() - startedAt) / MS_PER_MINUTE,
    appends: appends.length,
    acknowledged: clients.acknowledged,
    unknown: appends.filter(({ outcome }) => outcome.kind === "unknown").length,
    readRecords: readings.reduce((sum, { seen }) => sum + seen.length, 0),
    violations,
  });
}

/** Every node holds the same, and the histories agree with it. */
async function check(cluster: Cluster, clients: Clients): Promise<readonly string[]> {
  const violations: string[] = [];
  try {
    await cluster.recover();
    const contents = new Map<string, readonly string[]>();
    for (const stream of clients.streams) {
      for (const node of cluster.nodes) {
        const values = await within(`${node.name} to be read`, clients.contents(node.url, stream));
        const before = contents.get(stream);
        if (before !== undefined && !isSame(before, values)) violations.push(`${node.name} has another ${stream} (I4)`);
        contents.set(stream, before ?? values);
      }
    }
    violations.push(...violationsIn(clients.history, contents));
  } catch (error) {
    violations.push(error instanceof Error ? error.message : String(error));
  }
  return violations;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, at) => b[at] === value);
}

function report(run: Totals, totals: Totals): void {
  if (values.json) {
    const { pausesMs, ...rest } = totals;
    const pauses = { p50: percentile(totals, 0.5), p99: percentile(totals, 0.99), max: Math.max(0, ...pausesMs) };
    console.log(JSON.stringify({ ...rest, faultCount: faultCount(totals), pausesMs: pauses }));
    return;
  }
  for (const violation of run.violations) say(`VIOLATION ${violation}`);
  say(
    `${faultCount(run)} faults, ${run.acknowledged} of ${run.appends} appends acknowledged, ${run.unknown} in doubt, ` +
      `${run.readRecords} records read live, ${run.violations.length} violations`,
  );
  const [p50, p99] = [percentile(run, 0.5), percentile(run, 0.99)].map(Math.round);
  say(`without writes, for each fault: p50 ${p50} ms, p99 ${p99} ms`);
  if (totals !== run)
    say(`in all: ${totals.runs} runs, ${faultCount(totals)} faults, ${totals.violations.length} violations`);
}

function say(line: string): void {
  (values.json ? process.stderr : process.stdout).write(`${line}\n`);
}
