/** What the process of `tidemark run` and its workers say to each other. */
import type { ReplicaStatus } from "../../../src/runtime/replica.ts";
import type { AppShape } from "../../../src/wire/app-shape.ts";
import type { CommitTally } from "./metered-log.ts";
import type { RunningOperator } from "./running-place.ts";

export const ALIVE_EVERY_MS = 1_000;
/** Of a worker, behind the channel of all else: what its watchdog says, a line of JSON each time. */
export const HANGING_FD = 4;

export type WorkerSettings = {
  /** The module of the app … */
  readonly file: string;
  /** … and what is deployed of it: a worker that finds something else there does not run it. */
  readonly version: number;
  readonly shape: AppShape;
  readonly urls: readonly string[];
  readonly token: string | undefined;
  readonly timeoutMs: number;
  readonly poison: "dead-letter" | "stop";
  readonly commitEveryMs: number;
  /** Of this worker alone; undefined: state is in memory. */
  readonly stateFolder: string | undefined;
  /** Where it is kept in what replicas differ. */
  readonly evidenceFolder: string;
};

export type ToWorker =
  /** `epoch`: in which the app is deployed as the settings' module has it; in any other it is not this worker's to run. */
  { readonly kind: "run"; readonly epoch: number; readonly settings: WorkerSettings } | { readonly kind: "stop" };

/** Why it ended may be anything that was thrown, and is not for another process: it is told in words. */
export type ToldStatus = Omit<ReplicaStatus, "end"> & { readonly why?: string };

export type FromWorker =
  /** It can be talked to, whatever it does: one whose operator does not return says nothing. */
  | { readonly kind: "alive" }
  | { readonly kind: "status"; readonly replicas: readonly ToldStatus[]; readonly commits: CommitTally }
  | { readonly kind: "ended"; readonly end: WorkerEnd };

/** Its loop has not turned for some seconds. */
export type HangingWorker = {
  /** That runs; absent: none does. */
  readonly operator?: RunningOperator;
};

/** Why a worker ended by itself, in words, and what is to be done. */
export type WorkerEnd =
  /** Another try may do better. */
  | { readonly what: string; readonly next: "again" }
  /** What is deployed has changed: it must be looked at first. */
  | { readonly what: string; readonly next: "deploy" }
  /** It came to the same end again. The others may go on. */
  | { readonly what: string; readonly next: "never"; readonly exitCode: number }
  /** The others come to the same end. */
  | { readonly what: string; readonly next: "end"; readonly exitCode: number };
