/** How `tidemark run` tells how it goes: a line whenever something happens, and one now and then. */
import type { ReplicaStatus } from "../../../src/runtime/replica.ts";
import type { WorkStatus } from "../../../src/runtime/replica-work.ts";
import { counted, formatTime } from "../output.ts";
import type { Workers } from "./workers.ts";

type Statuses = Workers["statuses"];

/** All replicas of an app together. */
export type RunSummary = {
  readonly replicas: number;
  /** Of them, those that read what comes. */
  readonly running: number;
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

export function summaryOf(statuses: Statuses): RunSummary {
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
    outputs: most(({ committed }) => committed.outputs),
    watermarkMs: Number.isFinite(watermark) ? watermark : undefined,
    late: most(({ counters }) => counters.late),
    skipped: most(({ counters }) => counters.skipped),
    poisoned: most(({ poisoned }) => poisoned),
    committing: Object.fromEntries(committing),
    disputed: all.filter(({ work, state }) => work?.disputed === true || state === "contradicted").length,
  };
}

function worksOf(replicas: readonly ReplicaStatus[]): WorkStatus[] {
  return replicas.flatMap(({ work }) => (work === undefined ? [] : [work]));
}

export function summaryText(summary: RunSummary, outputsBefore: number, sinceMs: number): string {
  const { replicas, running, outputs, watermarkMs, late, skipped, poisoned, committing, disputed } = summary;
  const perSecond = Math.max(0, Math.round(((outputs - outputsBefore) * 1_000) / sinceMs));
  const commits = Object.entries(committing)
    .filter(([, tasks]) => tasks > 0)
    .map(([worker, tasks]) => `worker ${worker} commits ${counted(tasks, "task")}`);
  return [
    `${running} of ${counted(replicas, "replica")} running`,
    `${counted(outputs, "output")} (${perSecond}/s)`,
    ...(watermarkMs === undefined ? [] : [`watermark ${formatTime(watermarkMs)}`]),
    ...commits,
    ...(late > 0 ? [`${late} late`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(poisoned > 0 ? [`${poisoned} dead letters`] : []),
    ...(disputed > 0 ? [`${disputed} DIFFER`] : []),
  ].join(", ");
}
