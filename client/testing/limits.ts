/** What a simulation is unless it is told otherwise, and its bounds (I15). All times are simulated ones. */

export const SIMULATION_DEFAULTS = {
  seed: 1,
  replicas: 2,
  durationMs: 10_000,
  quietMs: 1_000,
  /** Of each kind of fault, in a minute. */
  faultsPerMinute: 20,
} as const;

export const SIMULATION_LIMITS = {
  replicasMax: 5,
  /** Of one run; how many runs one call makes. */
  durationMsMax: 24 * 60 * 60 * 1_000,
  seedsMax: 1_000_000,
  /** Of each kind of fault. */
  faultsPerMinuteMax: 60_000,
  /** The input is appended in so many batches, about. */
  batches: 100,
  /** From the end of all faults until all has come out. */
  settledWithinMs: 120_000,
  /** Between two looks whether something is wrong, or all is done. */
  lookEveryMs: 250,
  /** The log's ticks may lag so far behind the clock. */
  tickMsMax: 2_000,
  /** Of log time: digest points are less frequent, so that there is a snapshot at each. */
  snapshotEveryMs: 1_000,
  segmentBytes: 1024 * 1024,
  /** What is kept of what happened: the newest. */
  linesMax: 1_000,
  /** How long a worker is down, stands still, or is slow; of a slow one each wait. */
  downMsMax: 2_000,
  pauseMsMax: 3_000,
  slowMsMax: 5_000,
  slowWaitMsMax: 60,
} as const;
