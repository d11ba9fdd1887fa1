/** What a sweep explores: a world and what happens in it, by a seed. */
export type RunReport = {
  readonly seed: number;
  readonly violation: string | undefined;
  /** What really happened, and how often. */
  readonly counts: ReadonlyMap<string, number>;
  readonly simulatedMs: number;
  readonly steps: number;
  /** Of everything that was noted: the same seed, the same trace. */
  readonly trace: bigint;
  readonly lines: readonly string[];
};

/** A world with a promise that it does not keep: the checkers must find it, in one of a few seeds. */
export type Canary = {
  readonly what: string;
  /** From this seed on; undefined: nothing noticed it. */
  readonly catch: (first: number) => Promise<{ readonly seed: number; readonly violation: string } | undefined>;
};

export type Subject = {
  readonly name: string;
  /** Of simulated time, of faults, in each run; absent: as it happens. */
  readonly seconds?: number;
  readonly run: (seed: number) => Promise<RunReport>;
  /** The same broken promise with less that happens; absent: it cannot be made less. */
  readonly shrink?: (report: RunReport) => Promise<RunReport>;
  /** Must all have happened in many seeds, else the run was vacuous (P46). */
  readonly promised: readonly string[];
  readonly canaries: readonly Canary[];
};
