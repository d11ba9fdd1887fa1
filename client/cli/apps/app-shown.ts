/** How apps and their tasks are printed: as tables and fields, and as JSON. */
import { hex64 } from "../../../src/lib/bytes.ts";
import type { DigestPoint } from "../../../src/record/digest-point.ts";
import { deadLetterStream } from "../../../src/wire/app-streams.ts";
import type { AppInfo, SnapshotDescription } from "../../apps/app-description.ts";
import type { ResetAppOutcome } from "../../apps/app.ts";
import { formatDuration } from "../durations.ts";
import { counted, formatBytes, formatFields, formatTable, formatTime, type Column } from "../output.ts";
import type { AppStanding, AppState, ReplicaStanding, TaskStanding } from "./standing.ts";

const MS_PER_SECOND = 1_000;
const PERCENT = 100;
const NOTHING = "-";

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
  { title: "LAG", align: "right" },
  { title: "WATERMARK" },
  { title: "IN/S", align: "right" },
  { title: "OUT/S", align: "right" },
  { title: "OUTPUTS", align: "right" },
  // What was read is not lag any more, and may wait for a commit: for good while the app is paused.
  { title: "TO COMMIT", align: "right" },
  { title: "LATE", align: "right" },
  { title: "SKIPPED", align: "right" },
  { title: "COMMITS", align: "right" },
  { title: "LAST" },
  { title: "BY" },
  { title: "DIGEST" },
  { title: "SNAPSHOT" },
];

const REPLICA_COLUMNS: readonly Column[] = [
  { title: "TASK" },
  { title: "REPLICA" },
  { title: "WHERE" },
  { title: "STATE" },
  { title: "LAG", align: "right" },
  { title: "IN/S", align: "right" },
  { title: "ROWS", align: "right" },
  { title: "STATE SIZE", align: "right" },
  { title: "TOLD" },
];

const MOVE_COLUMNS: readonly Column[] = [
  { title: "TASK" },
  { title: "FROM", align: "right" },
  { title: "TO", align: "right" },
  { title: "OUTPUTS", align: "right" },
];

export type ListedApp = AppInfo & { readonly state: AppState };

export function appCells({ name, version, state, tasks, deployedAt }: ListedApp): readonly string[] {
  return [name, String(version), state, String(tasks), formatTime(deployedAt.getTime())];
}

export function appInfoJson({ name, createdAt, deployedAt, ...rest }: ListedApp): object {
  return { app: name, ...rest, createdAtMs: createdAt.getTime(), deployedAtMs: deployedAt.getTime() };
}

export function appJson(app: AppStanding): object {
  const { name, createdAt, deployedAt, logTime, now, tasks, ...rest } = app;
  return {
    app: name,
    ...rest,
    createdAtMs: createdAt.getTime(),
    deployedAtMs: deployedAt.getTime(),
    logTimeMs: logTime.getTime(),
    tasks: tasks.map((task) => taskJson(task, now)),
  };
}

/** As over HTTP: hashes are 16 digits, times milliseconds. */
function taskJson(task: TaskStanding, now: Date): object {
  const { chain, committedAt, nextDue, digests, verified, snapshot, replicas, ...rest } = task;
  return {
    ...rest,
    chain: hex64(chain),
    ...(committedAt !== undefined && { committedAtMs: committedAt.getTime() }),
    ...(nextDue !== undefined && { nextDueMs: nextDue.getTime() }),
    digests: digests.map(({ replica, ...point }) => ({ ...pointJson(point), replica })),
    ...(verified !== undefined && { verified: snapshotJson(verified, now) }),
    ...(snapshot !== undefined && { snapshot: snapshotJson(snapshot, now) }),
    ...(replicas[0] !== undefined && { lag: replicas[0].lag }),
    replicas: replicas.map(({ at, watermark, ...replica }) => {
      return { ...replica, ...(watermark !== undefined && { watermarkMs: watermark }), toldAtMs: at.getTime() };
    }),
  };
}

function snapshotJson({ point, ...rest }: SnapshotDescription, now: Date): object {
  return { ...rest, ...pointJson(point), ageMs: Math.max(0, now.getTime() - point.logTime) };
}

function pointJson({ records, logTime, state, outputs }: DigestPoint): object {
  return { records, logTimeMs: logTime, state: hex64(state), outputs: hex64(outputs) };
}

export function appText(app: AppStanding): string {
  const { name, version, epoch, state, createdAt, deployedAt, options, description, missing } = app;
  const { deadLetters, now, tasks } = app;
  const committers = new Set(tasks.flatMap(({ committedBy }) => (committedBy === undefined ? [] : [committedBy])));
  const replicas = tasks.flatMap((task) => task.replicas);
  const fields = formatFields({
    "app": name,
    "version": `${version} (epoch ${epoch})`,
    state,
    "created": formatTime(createdAt.getTime()),
    "deployed": formatTime(deployedAt.getTime()),
    "options": options === "" ? undefined : options,
    "commits": committers.size === 0 ? "none yet" : `by ${counted(committers.size, "replica")}`,
    "replicas": replicas.some(({ alive }) => alive) ? undefined : "none runs",
    "waits for":
      missing.length === 0
        ? undefined
        : `${missing.join(" ")}, which ${missing.length === 1 ? "does" : "do"} not exist`,
    "dead letters": deadLetters === 0 ? "none" : `${deadLetters} in ${deadLetterStream(name)}`,
    "hangs": replicas.find(({ hangs }) => hangs !== undefined)?.hangs,
    "ended": replicas.find(({ why }) => why !== undefined)?.why,
  });
  const table = formatTable(
    TASK_COLUMNS,
    tasks.map((task) => taskCells(task, now)),
  );
  const replicaCells = replicas.map((replica) => cellsOfReplica(replica, now));
  const replicaTable = replicas.length === 0 ? "" : `\n${formatTable(REPLICA_COLUMNS, replicaCells)}`;
  return `${fields}\n${table}${replicaTable}${description === "" ? "" : `\n${description}\n`}`;
}

function taskCells(task: TaskStanding, now: Date): readonly string[] {
  const { inputs, place, commits, committedAt, committedBy, digests, replicas } = task;
  const digest = digests.at(-1);
  // Replicas of a task do the same: what the one that commits tells is the task's.
  const [told] = replicas;
  const rate = (perSecond: number | undefined): string => (told?.alive === true ? String(perSecond) : NOTHING);
  return [
    task.task,
    inputs.join(" "),
    told === undefined ? NOTHING : String(told.lag),
    told?.watermark === undefined ? NOTHING : formatTime(told.watermark),
    rate(told?.recordsPerSecond),
    rate(told?.outputsPerSecond),
    String(place.outputs),
    told?.alive === true ? String(told.pending) : NOTHING,
    told === undefined ? NOTHING : String(told.late),
    told === undefined ? NOTHING : String(told.skipped),
    String(commits),
    committedAt === undefined ? NOTHING : agoText(committedAt, now),
    committedBy ?? NOTHING,
    digest === undefined ? NOTHING : `${hex64(digest.state)} at ${counted(digest.records, "record")}`,
    snapshotText(task, now),
  ];
}

function snapshotText({ snapshot, verified }: TaskStanding, now: Date): string {
  const newest = snapshot ?? verified;
  if (newest === undefined) return NOTHING;
  const shown = `offset ${newest.manifest}, ${agoText(new Date(newest.point.logTime), now)}`;
  if (snapshot === undefined) return `${shown}, verified`;
  return `${shown}, not verified${verified === undefined ? "" : ` (offset ${verified.manifest} is)`}`;
}

function cellsOfReplica(replica: ReplicaStanding, now: Date): readonly string[] {
  const { host, process, alive, state, why, lag, recordsPerSecond, rows, stateBytes, at } = replica;
  return [
    replica.task,
    replica.replica,
    `${host}:${process}`,
    alive ? replicaState(replica) : state === "stopped" || why !== undefined ? state : "gone",
    String(lag),
    alive ? String(recordsPerSecond) : NOTHING,
    String(rows),
    formatBytes(stateBytes),
    agoText(at, now),
  ];
}

function replicaState({ state, hangs, committing, disputed, snapshotRead, positionsLeft }: ReplicaStanding): string {
  return [
    state,
    ...(hangs === undefined ? [] : ["HANGS"]),
    ...(committing ? ["commits"] : []),
    ...(snapshotRead === undefined ? [] : [`snapshot read to ${Math.floor(snapshotRead * PERCENT)} %`]),
    ...(positionsLeft === undefined ? [] : [`${positionsLeft} positions to go`]),
    ...(disputed ? ["DIFFERS"] : []),
  ].join(", ");
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

function agoText(then: Date, now: Date): string {
  const seconds = Math.max(0, Math.round((now.getTime() - then.getTime()) / MS_PER_SECOND));
  return `${formatDuration(seconds * MS_PER_SECOND)} ago`;
}
