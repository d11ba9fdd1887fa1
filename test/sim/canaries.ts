/**
 * Worlds that do not keep a promise, which the checkers must find, or they see nothing: syncs that do nothing, and builds
 * of Raft whose quorums are too small. The latter are patches, in processes of their own, as the bug zoo's are.
 */
import type { MutantWorld } from "./mutants/mutant.ts";
import { hunt } from "./mutants/zoo.ts";
import type { Canary, RunReport } from "./subject.ts";

/** So many seeds at most: who needs more has seen nothing. */
const SEEDS_MAX = 30;
const PROCESSOR_SECONDS_MAX = 120;

export type BrokenQuorum = {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
};

export const BROKEN_QUORUMS: readonly BrokenQuorum[] = [
  {
    name: "a Raft that commits by one too few",
    file: "log-server/raft/quorum.ts",
    find: "ascending[voters.length - majorityOf(voters.length)]",
    replace: "ascending[voters.length - majorityOf(voters.length) + 1]",
  },
  {
    name: "a Raft that elects by one vote too few",
    file: "log-server/raft/quorum.ts",
    find: "if (granted >= majorityOf(voters.length))",
    replace: "if (granted >= majorityOf(voters.length) - 1)",
  },
];

/** Tried with one seed after another. */
export function canaryOf(what: string, run: (seed: number) => Promise<RunReport>): Canary {
  return {
    what,
    catch: async (first) => {
      for (let seed = first; seed < first + SEEDS_MAX; seed += 1) {
        const { violation } = await run(seed);
        if (violation !== undefined) return { seed, violation };
      }
      return undefined;
    },
  };
}

/** From seed 1 on, so that it is the same for everybody; the broken file itself must not be what notices. */
export function quorumCanary(broken: BrokenQuorum, world: MutantWorld): Canary {
  return {
    what: broken.name,
    catch: async () => {
      const task = { mutant: broken, world, seedsMax: SEEDS_MAX } as const;
      const { seeds, caught } = await hunt({ ...task, processorSecondsMax: PROCESSOR_SECONDS_MAX });
      return caught && { seed: seeds, violation: caught.message };
    },
  };
}
