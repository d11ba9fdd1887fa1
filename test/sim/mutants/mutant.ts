/** A bug that somebody had, put back: a textual patch, and the world that must notice it. */

export type MutantWorld =
  /** Random lives of a cluster of Raft cores: `test/raft/random-run.ts`. */
  | "raft"
  /** A node with its log, streams and groups on simulated hardware: `test/sim/explore.ts`. */
  | "node"
  /** Three nodes on simulated hardware and a simulated network: `test/node/cluster-run.ts`. */
  | "cluster"
  /** Whole clusters with their faces and SDK clients, and everything at once: `test/sim/cluster/life.ts`. */
  | "clients"
  /** The same, by the profile of that name. */
  | "churn"
  | "laggards"
  | "disks"
  | "operators"
  | "overload"
  /** An app's replicas on simulated workers, with a log in memory: `test/runtime/random-run.ts`. */
  | "runtime";

export type Patch = {
  /** From the repository's root. */
  readonly file: string;
  /** Stands in the file exactly once, so that the patch means what it meant. */
  readonly find: string;
  readonly replace: string;
};

export type Mutant = Patch & {
  readonly name: string;
  /** Who had it: a row of the list of pitfalls (`P1` …), an issue, a paper. */
  readonly source: string;
  readonly world: MutantWorld;
  /** In another file, what makes this bug harmless: it is put back into a system that has no such second line of defence. */
  readonly without?: Patch;
  /** Only an assertion of the product, in another file, notices it: why no checker does before. */
  readonly assertion?: string;
  /** Caught soon: one of those that every change is tried with. */
  readonly quick?: true;
};
