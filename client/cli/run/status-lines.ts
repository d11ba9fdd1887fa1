/** How `tidemark run` tells how it goes: a line whenever something happens, and one now and then. */
import type { WorkStatus } from "../../../src/runtime/replica-work.ts";
import { counted, formatTime } from "../output.ts";
import { ratioRead } from "./replica-reports.ts";
import type { ToldStatus } from "./worker-messages.ts";
import type { WorkerStatus } from "./workers.ts";

/** How far they are who come to where their tasks are. */
type RestoreStatus = {
  /** The least of those that read a snapshot, 0 to 1. */
  readonly snapshotRead?: number;
  /** The most positions of the log that one of the others has yet to read. */
  readonly positionsLeft?: number;
};

const PERCENT = 100;

/** All replicas of an app together. */
export type RunSummary = {
  readonly replicas: number;
  /** Of them, those that read what comes. */
  readonly running: number;
  /** Whose commits are refused until the app is resumed. */
  readonly paused: number;
  /** Undefined: none restores. */
  readonly restore: RestoreStatus | undefined;
  /** Outputs of all tasks that are committed, since their beginning. */
  readonly outputs: number;
  /** The least of all tasks'; undefined before each has a record. */
  readonly watermarkMs: number | undefined;
  /** Late records and such as were skipped, and what went to dead letters. */
  readonly late: number;
  readonly skipped: number;
  readonly poisoned: number;
  /** Tasks of which this run's workers make the commits, by worker. */
  readonly committing: Readonly<Record<number, number>>;
  /** Replicas that differ from others. */
  readonly disputed: number;
};

export function summaryOf(statuses: readonly WorkerStatus[]): RunSummary {
  const all = statuses.flatMap(({ replicas }) => replicas);
  const byTask = [...Map.groupBy(all, ({ task }) => task).values()];
  /** The same in all replicas of a task, but for how far each is. */
  const most = (of: (work: WorkStatus) => number): number =>
    byTask.reduce((sum, replicas) => sum + Math.max(0, ...worksOf(replicas).map(of)), 0);
  const watermark = Math.min(...byTask.map((replicas) => Math.max(...worksOf(replicas).map((work) => work.watermark))));
  const committing = statuses.map(
    ({ worker, replicas }) => [worker, worksOf(replicas).filter((work) => work.committing).length] as const,
  );
  return {
    replicas: all.length,
    running: all.filter(({ state }) => state === "running").length,
    paused: all.filter(({ state }) => state === "paused").length,
    restore: restoreOf(statuses),
    outputs: most(({ committed }) => committed.outputs),
    watermarkMs: Number.isFinite(watermark) ? watermark : undefined,
    late: most(({ counters }) => counters.late),
    skipped: most(({ counters }) => counters.skipped),
    poisoned: most(({ poisoned }) => poisoned),
    committing: Object.fromEntries(committing),
    disputed: all.filter(({ work, state }) => work?.disputed === true || state === "contradicted").length,
  };
}

function restoreOf(statuses: readonly WorkerStatus[]): RestoreStatus | undefined {
  const read: number[] = [];
  const left: number[] = [];
  for (const { replicas } of statuses) {
    for (const { state, restored, restoreTo, work } of replicas) {
      if (state === "starting" && restored !== undefined) read.push(ratioRead(restored));
      if (state === "restoring" && work !== undefined) left.push(restoreTo - work.readPosition);
    }
  }
  if (read.length === 0 && left.length === 0) return undefined;
  return {
    ...(read.length > 0 && { snapshotRead: Math.min(...read) }),
    ...(left.length > 0 && { positionsLeft: Math.max(...left) }),
  };
}

function worksOf(replicas: readonly ToldStatus[]): WorkStatus[] {
  return replicas.flatMap(({ work }) => (work === undefined ? [] : [work]));
}

export function summaryText(summary: RunSummary, outputsBefore: number, sinceMs: number): string {
  const { replicas, running, paused, restore, outputs, watermarkMs, late, skipped, poisoned, committing, disputed } =
    summary;
  const perSecond = Math.max(0, Math.round(((outputs - outputsBefore) * 1_000) / sinceMs));
  const commits = Object.entries(committing)
    .filter(([, tasks]) => tasks > 0)
    .map(([worker, tasks]) => `worker ${worker} commits ${counted(tasks, "task")}`);
  return [
    `${running} of ${counted(replicas, "replica")} running`,
    ...(paused > 0 ? [`${paused} paused`] : []),
    ...(restore?.snapshotRead === undefined
      ? []
      : [`snapshot read to ${Math.floor(restore.snapshotRead * PERCENT)} %`]),
    ...(restore?.positionsLeft === undefined ? [] : [`${restore.positionsLeft} positions of the log to go`]),
    `${counted(outputs, "output")} (${perSecond}/s)`,
    ...(watermarkMs === undefined ? [] : [`watermark ${formatTime(watermarkMs)}`]),
    ...commits,
    ...(late > 0 ? [`${late} late`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(poisoned > 0 ? [`${poisoned} dead letters`] : []),
    ...(disputed > 0 ? [`${disputed} DIFFER`] : []),
  ].join(", ");
}
