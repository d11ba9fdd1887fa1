/** How apps and their tasks are printed: as tables and fields, and as JSON. */
import { hex64 } from "../../../src/lib/bytes.ts";
import type { DigestPoint } from "../../../src/record/digest-point.ts";
import type { AppDescription, AppInfo, AppTaskDescription, SnapshotDescription } from "../../app-description.ts";
import type { ResetAppOutcome } from "../../app.ts";
import { formatDuration } from "../durations.ts";
import { counted, formatFields, formatTable, formatTime, type Column } from "../output.ts";

const MS_PER_SECOND = 1_000;

export const APP_COLUMNS: readonly Column[] = [
  { title: "APP" },
  { title: "VERSION", align: "right" },
  { title: "STATE" },
  { title: "TASKS", align: "right" },
  { title: "DEPLOYED" },
];

const TASK_COLUMNS: readonly Column[] = [
  { title: "TASK" },
  { title: "READS" },
  { title: "POSITION", align: "right" },
  { title: "OUTPUTS", align: "right" },
  { title: "COMMITS", align: "right" },
  { title: "LAST" },
  { title: "BY" },
  { title: "DIGEST" },
];

const MOVE_COLUMNS: readonly Column[] = [
  { title: "TASK" },
  { title: "FROM", align: "right" },
  { title: "TO", align: "right" },
  { title: "OUTPUTS", align: "right" },
];

export function appCells({ name, version, paused, tasks, deployedAt }: AppInfo): readonly string[] {
  return [name, String(version), stateOf(paused), String(tasks), formatTime(deployedAt.getTime())];
}

export function appInfoJson({ name, createdAt, deployedAt, ...rest }: AppInfo): object {
  return { app: name, ...rest, createdAtMs: createdAt.getTime(), deployedAtMs: deployedAt.getTime() };
}

export function appJson(app: AppDescription): object {
  const { name, createdAt, deployedAt, logTime, tasks, ...rest } = app;
  return {
    app: name,
    ...rest,
    createdAtMs: createdAt.getTime(),
    deployedAtMs: deployedAt.getTime(),
    logTimeMs: logTime.getTime(),
    tasks: tasks.map(taskJson),
  };
}

/** As over HTTP: hashes are 16 digits, times milliseconds. */
function taskJson(task: AppTaskDescription): object {
  const { chain, committedAt, nextDue, verified, snapshot, digests, ...rest } = task;
  return {
    ...rest,
    chain: hex64(chain),
    ...(committedAt !== undefined && { committedAtMs: committedAt.getTime() }),
    ...(nextDue !== undefined && { nextDueMs: nextDue.getTime() }),
    ...(verified !== undefined && { verified: snapshotJson(verified) }),
    ...(snapshot !== undefined && { snapshot: snapshotJson(snapshot) }),
    digests: digests.map(({ replica, ...point }) => ({ ...pointJson(point), replica })),
  };
}

function snapshotJson({ point, ...rest }: SnapshotDescription): object {
  return { ...rest, ...pointJson(point) };
}

function pointJson({ records, logTime, state, outputs }: DigestPoint): object {
  return { records, logTimeMs: logTime, state: hex64(state), outputs: hex64(outputs) };
}

export function appText(app: AppDescription): string {
  const { name, version, epoch, paused, createdAt, deployedAt, options, description, logTime, tasks } = app;
  const committers = new Set(tasks.flatMap(({ committedBy }) => (committedBy === undefined ? [] : [committedBy])));
  const fields = formatFields({
    app: name,
    version: `${version} (epoch ${epoch})`,
    state: stateOf(paused),
    created: formatTime(createdAt.getTime()),
    deployed: formatTime(deployedAt.getTime()),
    options: options === "" ? undefined : options,
    commits: committers.size === 0 ? "none yet" : `by ${counted(committers.size, "replica")}`,
  });
  const table = formatTable(
    TASK_COLUMNS,
    tasks.map((task) => taskCells(task, logTime)),
  );
  return `${fields}${table}${description === "" ? "" : `${description}\n`}`;
}

function taskCells(task: AppTaskDescription, logTime: Date): readonly string[] {
  const { inputs, place, commits, committedAt, committedBy, digests } = task;
  const digest = digests.at(-1);
  return [
    task.task,
    inputs.join(" "),
    String(place.cursor.position),
    String(place.outputs),
    String(commits),
    committedAt === undefined ? "-" : `${secondsText(logTime.getTime() - committedAt.getTime())} ago`,
    committedBy ?? "-",
    digest === undefined ? "-" : `${hex64(digest.state)} at ${counted(digest.records, "record")}`,
  ];
}

export function movesText({ tasks }: ResetAppOutcome): string {
  const cells = tasks.map(({ task, from, to }) => [
    task,
    String(from.cursor.position),
    to.cursor.position === 0 ? "the start" : String(to.cursor.position),
    `${from.outputs} again`,
  ]);
  return formatTable(MOVE_COLUMNS, cells);
}

function stateOf(paused: boolean): string {
  return paused ? "paused" : "running";
}

function secondsText(ms: number): string {
  return formatDuration(Math.max(0, Math.round(ms / MS_PER_SECOND)) * MS_PER_SECOND);
}
