/**
 * How an app stands: what the log knows of it, what its replicas told last, and what its inputs have beyond that. Without a replica that
 * runs, the last one's report still tells how far it had read.
 */
import type { AppDescription, AppTaskDescription } from "../../apps/app-description.ts";
import type { Client } from "../../client.ts";
import type { ReplicaReport, WorkerReport } from "../../apps/worker-report.ts";
import { inputEnds, lagOf } from "./lag.ts";

/** A replica that was late so many times runs no more. */
const REPORTS_MISSED = 3;
const REPORT_DELAY_MS = 5_000;

export type ReplicaStanding = ReplicaReport &
  Omit<WorkerReport, "tasks" | "everyMs"> & {
    /** It has told of itself lately. */
    readonly alive: boolean;
    readonly lag: number;
  };

export type TaskStanding = AppTaskDescription & {
  /** Those that run; if none does, the one that told of itself last, and why it ended rather than that. The one that commits is the first. */
  readonly replicas: readonly ReplicaStanding[];
};

export type AppStanding = Omit<AppDescription, "tasks"> & {
  /** By the log's time, or by this machine's where the log has been idle. */
  readonly now: Date;
  readonly tasks: readonly TaskStanding[];
};

export async function standingOf(client: Client, name: string, signal: AbortSignal): Promise<AppStanding> {
  const handle = client.app(name);
  const [app, reports] = await Promise.all([handle.describe({ signal }), handle.reports({ signal })]);
  const inputs = app.tasks.flatMap((task) => task.inputs);
  const ends = await inputEnds(client, inputs, signal);
  const now = new Date(Math.max(app.logTime.getTime(), Date.now()));
  const tasks = app.tasks.map((task): TaskStanding => {
    const all = reports.flatMap(({ tasks: told, everyMs, ...worker }) => {
      const report = told.find((replica) => replica.task === task.task);
      if (report === undefined) return [];
      const isLate = now.getTime() - worker.at.getTime() > everyMs * REPORTS_MISSED + REPORT_DELAY_MS;
      const alive = !isLate && report.state !== "stopped" && report.why === undefined;
      return [{ ...report, ...worker, alive, lag: lagOf(task.inputs, report.nextOffsets, ends) }];
    });
    const alive = all.filter((replica) => replica.alive);
    const [last] = all;
    const known = all.find(({ why, at }) => why !== undefined && at.getTime() === last?.at.getTime()) ?? last;
    const shown = alive.length > 0 || known === undefined ? alive : [known];
    const commits = ({ replica }: ReplicaStanding): number => Number(replica === task.committedBy);
    return { ...task, replicas: shown.toSorted((a, b) => commits(b) - commits(a)) };
  });
  return { ...app, now, tasks };
}
