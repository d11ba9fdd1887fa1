/** How the replicas of a run go, with rates: what reports, metrics and lines are made of. */
import type { RestoreProgress } from "../../../src/runtime/snapshots/restore.ts";
import type { ReplicaReport } from "../../apps/worker-report.ts";
import { type RunningOperator, runningText } from "./running-place.ts";
import type { ToldStatus } from "./worker-messages.ts";
import type { WorkerStatus } from "./workers.ts";

/** Of one worker; undefined where it is known only once it has told something. */
export type WorkerSample = {
  readonly worker: number;
  readonly process: number | undefined;
  /** The id of its replicas. */
  readonly replica: string | undefined;
  readonly tasks: readonly ReplicaReport[];
};

type Counted = { readonly records: number; readonly outputs: number };

const NOTHING: Counted = { records: 0, outputs: 0 };
const MS_PER_SECOND = 1_000;

export class ReplicaReports {
  /** By replica and task, at the last sample. */
  #before = new Map<string, Counted>();
  #beforeMs = 0;

  /** Rates are since the call before. */
  sample(statuses: readonly WorkerStatus[], nowMs: number): WorkerSample[] {
    const perSecond = MS_PER_SECOND / Math.max(1, nowMs - this.#beforeMs);
    const counts = new Map<string, Counted>();
    const samples = statuses.map(({ worker, process, replicas, hangs }) => {
      const tasks = replicas.map((status) => {
        const { task, replica, work } = status;
        const now = work === undefined ? NOTHING : { records: work.records, outputs: work.place.outputs };
        // Of one that is new nobody knows when it did what.
        const before = this.#before.get(`${replica} ${task}`) ?? now;
        counts.set(`${replica} ${task}`, now);
        const rate = (of: keyof Counted): number => Math.max(0, Math.round((now[of] - before[of]) * perSecond));
        const rates = { recordsPerSecond: rate("records"), outputsPerSecond: rate("outputs") };
        return { ...now, ...rates, ...reportOf(status), ...hangOf(task, hangs) };
      });
      return { worker, process, replica: replicas[0]?.replica, tasks };
    });
    this.#before = counts;
    this.#beforeMs = nowMs;
    return samples;
  }
}

function hangOf(task: string, hangs: RunningOperator | undefined): Pick<ReplicaReport, "hangs"> {
  return hangs?.task === task ? { hangs: runningText(hangs) } : {};
}

function reportOf({
  task,
  state,
  why,
  restored,
  restoreTo,
  work,
}: ToldStatus): Omit<ReplicaReport, "records" | "outputs" | "recordsPerSecond" | "outputsPerSecond"> {
  const positionsLeft = work === undefined ? 0 : Math.max(0, restoreTo - work.readPosition);
  return {
    task,
    state,
    ...(why !== undefined && { why }),
    committing: work?.committing ?? false,
    ...(state === "starting" && restored !== undefined && { snapshotRead: ratioRead(restored) }),
    ...(state === "restoring" && { positionsLeft }),
    nextOffsets: work?.nextOffsets ?? {},
    ...(work !== undefined && Number.isFinite(work.watermark) && { watermark: work.watermark }),
    pending: work?.pendingOutputs ?? 0,
    rows: work?.rows ?? 0,
    stateBytes: work?.stateBytes ?? 0,
    digest: work?.digest ?? "",
    late: work?.counters.late ?? 0,
    skipped: work?.counters.skipped ?? 0,
    poisoned: work?.poisoned ?? 0,
    disputed: work?.disputed === true || state === "contradicted",
  };
}

/** 0 to 1. */
export function ratioRead({ doneBytes, totalBytes }: RestoreProgress): number {
  return totalBytes === 0 ? 1 : doneBytes / totalBytes;
}
