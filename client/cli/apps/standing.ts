/**
 * How an app stands: what the log knows of it, what its replicas told last, and what its inputs have beyond that. Without a replica that
 * runs, the last one's report still tells how far it had read.
 */
import { deadLetterStream } from "../../../src/wire/app-streams.ts";
import type { AppDescription, AppInfo, AppTaskDescription } from "../../apps/app-description.ts";
import type { Client } from "../../client.ts";
import type { ReplicaReport, WorkerReport } from "../../apps/worker-report.ts";
import { inputEnds } from "../../apps/input-ends.ts";
import { lagOf } from "./lag.ts";

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

/** As the log and its replicas have it: `deployed` where none has told of itself since, `ended` where the last one said why it did. */
export type AppState = "paused" | "running" | "ended" | "not running" | "deployed";

export type AppStanding = Omit<AppDescription, "tasks"> & {
  readonly state: AppState;
  /** Inputs that do not exist: who runs it waits for them. */
  readonly missing: readonly string[];
  /** What is there of those that it wrote, whenever that was. */
  readonly deadLetters: number;
  /** By the log's time, or by this machine's where the log has been idle. */
  readonly now: Date;
  readonly tasks: readonly TaskStanding[];
};

export async function standingOf(client: Client, name: string, signal: AbortSignal): Promise<AppStanding> {
  const handle = client.app(name);
  const [app, reports] = await Promise.all([handle.describe({ signal }), handle.reports({ signal })]);
  const letters = deadLetterStream(name);
  const inputs = app.tasks.flatMap((task) => task.inputs);
  const ends = await inputEnds((stream) => client.stream(stream), [...inputs, letters], { signal });
  const { firstOffset = 0, nextOffset = 0 } = ends.get(letters) ?? {};
  const now = new Date(Math.max(app.logTime.getTime(), Date.now()));
  const tasks = app.tasks.map((task): TaskStanding => {
    const all = reports.flatMap(({ tasks: told, everyMs, ...worker }) => {
      const report = told.find((replica) => replica.task === task.task);
      if (report === undefined) return [];
      const alive = isAlive(report, { ...worker, everyMs }, now);
      return [{ ...report, ...worker, alive, lag: lagOf(task.inputs, report.nextOffsets, ends) }];
    });
    const alive = all.filter((replica) => replica.alive);
    const [last] = all;
    const known = all.find(({ why, at }) => why !== undefined && at.getTime() === last?.at.getTime()) ?? last;
    const shown = alive.length > 0 || known === undefined ? alive : [known];
    const commits = ({ replica }: ReplicaStanding): number => Number(replica === task.committedBy);
    return { ...task, replicas: shown.toSorted((a, b) => commits(b) - commits(a)) };
  });
  const missing = [...new Set(inputs)].filter((stream) => !ends.has(stream));
  return { ...app, state: appState(app, reports, now), missing, deadLetters: nextOffset - firstOffset, now, tasks };
}

/** Of an app in a listing, by what its replicas told. */
export async function stateInList(client: Client, app: AppInfo, signal: AbortSignal): Promise<AppState> {
  const reports = await client.app(app.name).reports({ signal });
  const newest = Math.max(Date.now(), ...reports.map(({ at }) => at.getTime()));
  return appState(app, reports, new Date(newest));
}

function appState(
  { paused, deployedAt }: Pick<AppInfo, "paused" | "deployedAt">,
  reports: readonly WorkerReport[],
  now: Date,
): AppState {
  if (paused) return "paused";
  // What ran before this version tells nothing of it.
  const since = reports.filter(({ at }) => at >= deployedAt);
  const [last] = since;
  if (last === undefined) return "deployed";
  if (since.some((worker) => worker.tasks.some((report) => isAlive(report, worker, now)))) return "running";
  return last.tasks.some(({ why }) => why !== undefined) ? "ended" : "not running";
}

function isAlive(
  { state, why }: ReplicaReport,
  { at, everyMs }: Pick<WorkerReport, "at" | "everyMs">,
  now: Date,
): boolean {
  const isLate = now.getTime() - at.getTime() > everyMs * REPORTS_MISSED + REPORT_DELAY_MS;
  return !isLate && state !== "stopped" && why === undefined;
}
