/**
 * One mutant, in a process of its own: seed after seed until a checker notices it. Started by `zoo.ts` with what to do
 * as JSON; answers with one line of JSON. Without a mutant the seeds must all pass. What is thrown where nobody waits for
 * it ends the process; if it does not count, `zoo.ts` starts another behind that seed.
 */
import type { Mutant, MutantWorld } from "./mutant.ts";
import { patchesOf, patchOnLoad } from "./patch.ts";
import { counts, type Verdict, verdictOf } from "./verdict.ts";

export type HuntTask = {
  readonly mutant: Pick<Mutant, "name" | "file" | "find" | "replace" | "without" | "assertion"> | undefined;
  readonly world: MutantWorld;
  /** The seeds before were tried by processes that were cut short. */
  readonly firstSeed: number;
  /** The last seed; they begin with 1. */
  readonly seedsMax: number;
  /** Of the processor, so that a busy machine is no excuse. */
  readonly processorSecondsMax: number;
};

export type HuntReport = {
  /** The last seed tried; they begin with 1. */
  readonly seeds: number;
  /** Undefined: it survived. */
  readonly caught: Verdict | undefined;
  /** Seeds that failed in the patched file itself, or by an assertion of the product, which do not count. */
  readonly uncounted: number;
  readonly processorSeconds: number;
};

/** What one process answers. */
export type HuntPart = HuntReport & {
  /** By what does not count, but was thrown where nobody waited for it. */
  readonly cutShort: boolean;
};

const RAFT_STEPS = 1_500;
const CLUSTER_STEPS = 250;
/** Of simulated time. */
const LIFE_MS = 15_000;

/** Undefined if all promises were kept in this seed's run; else what was thrown. */
type World = (seed: number) => Promise<unknown>;

async function load(world: MutantWorld): Promise<World> {
  switch (world) {
    case "raft": {
      const { randomSteps, runRandom } = await import("../../raft/random-run.ts");
      return async (seed) => {
        try {
          runRandom(seed, randomSteps(seed, RAFT_STEPS));
          return undefined;
        } catch (error) {
          return error;
        }
      };
    }
    case "node": {
      const { exploreSeed } = await import("../explore.ts");
      return async (seed) => (await exploreSeed(seed)).error;
    }
    case "clients":
    case "churn":
    case "laggards":
    case "disks":
    case "operators":
    case "overload": {
      const { liveOnce } = await import("../cluster/life.ts");
      const { PROFILES } = await import("../cluster/profiles.ts");
      const profile = PROFILES[world === "clients" ? "safety" : world];
      return async (seed) => (await liveOnce(seed, { profile, durationMs: LIFE_MS })).error;
    }
    case "runtime": {
      const { runRandom } = await import("../../runtime/random-run.ts");
      return async (seed) => {
        try {
          await runRandom(seed);
          return undefined;
        } catch (error) {
          return error;
        }
      };
    }
    case "cluster": {
      const { randomSteps, runCluster } = await import("../../node/cluster-run.ts");
      return async (seed) => {
        try {
          await runCluster(seed, randomSteps(seed, CLUSTER_STEPS));
          return undefined;
        } catch (error) {
          return error;
        }
      };
    }
  }
}

type Outcome = Omit<HuntPart, "processorSeconds">;

async function hunt({ mutant, world, firstSeed, seedsMax, processorSecondsMax }: HuntTask): Promise<Outcome> {
  const patch = mutant && patchOnLoad(patchesOf(mutant));
  const run = await load(world);
  if (patch?.applied() === false) throw new Error(`the world "${world}" does not load what is patched`);
  let uncounted = 0;
  let seed = firstSeed;
  /** Undefined if it does not count. */
  const judge = (thrown: unknown): Verdict | undefined => {
    const verdict = verdictOf(thrown);
    if (counts(verdict, mutant)) return verdict;
    uncounted += 1;
    return undefined;
  };
  // What is thrown where nobody waits for it ends the process, as it would end a server's.
  process.once("uncaughtException", (error) => {
    const caught = judge(error);
    report({ seeds: seed, caught, uncounted, cutShort: caught === undefined });
    process.exit();
  });
  for (; ; seed += 1) {
    const thrown = await run(seed);
    const caught = thrown === undefined ? undefined : judge(thrown);
    if (caught !== undefined || seed >= seedsMax || processorSeconds() > processorSecondsMax)
      return { seeds: seed, caught, uncounted, cutShort: false };
  }
}

function report(outcome: Outcome): void {
  const answer: HuntPart = { ...outcome, processorSeconds: processorSeconds() };
  console.log(JSON.stringify(answer));
}

function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000_000;
}

const [, , task = ""] = process.argv;
report(await hunt(JSON.parse(task) as HuntTask));
