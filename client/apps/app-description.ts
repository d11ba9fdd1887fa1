/** What the SDK tells of an app: in a listing, and in full. */
import type { DigestPoint } from "../../src/record/digest-point.ts";
import type { RecordPlace } from "../../src/record/record-place.ts";
import type { TaskPlace } from "../../src/record/task-place.ts";
import type { TaskSnapshot } from "../../src/wire/app-command.ts";
import type { AppShape } from "../../src/wire/app-shape.ts";
import type { AppResponse, AppTaskInfo, ListedApp } from "../../src/wire/app-look-up.ts";

/** An app as `client.apps()` lists it. */
export type AppInfo = {
  readonly name: string;
  readonly version: number;
  /** What commits of its replicas name; a later one is higher. */
  readonly epoch: number;
  readonly paused: boolean;
  readonly tasks: number;
  readonly createdAt: Date;
  /** When this version was. */
  readonly deployedAt: Date;
};

/** What a replica that committed had at a digest point. */
export type CommittedDigest = DigestPoint & { readonly replica: string };

/** A snapshot of a task, and who wrote it. */
export type SnapshotDescription = TaskSnapshot & { readonly replica: string };

/** How a task stands. */
export type AppTaskDescription = {
  /** `<stage>.<partition>`. */
  readonly task: string;
  readonly inputs: readonly string[];
  /** By input: the offset of the first record that is the task's to read. */
  readonly begins: readonly number[];
  /** The epoch in which it began with nothing … */
  readonly born: number;
  /** … behind this place. */
  readonly start: RecordPlace;
  readonly place: TaskPlace;
  /** Over all its outputs. */
  readonly chain: bigint;
  readonly commits: number;
  /** Who committed last, and when by the log's time. */
  readonly committedBy?: string;
  readonly committedAt?: Date;
  /** When, by the log's time, it goes on even if no record comes. */
  readonly nextDue?: Date;
  /** The newest snapshot that two came to alike … */
  readonly verified?: SnapshotDescription;
  /** … and a newer one that waits for that. */
  readonly snapshot?: SnapshotDescription;
  /** Input was trimmed on a snapshot: the verified one cannot be deleted. */
  readonly trimmed: boolean;
  /** The newest, oldest first. */
  readonly digests: readonly CommittedDigest[];
};

/** All there is to know of an app. */
export type AppDescription = Omit<AppInfo, "tasks"> & {
  /** The topology, for people. */
  readonly description: string;
  /** What all its replicas have alike. */
  readonly options: string;
  /** What another version must have alike to go on with its tasks' state. */
  readonly shape: AppShape;
  /** The log's time when this was told. */
  readonly logTime: Date;
  readonly tasks: readonly AppTaskDescription[];
};

export function toAppInfo(app: ListedApp): AppInfo {
  return { ...headOf(app), tasks: app.tasks };
}

export function toAppDescription(app: AppResponse): AppDescription {
  const { description, options, shape, logTime, tasks } = app;
  return { ...headOf(app), description, options, shape, logTime: new Date(logTime), tasks: tasks.map(toTask) };
}

function headOf({
  app,
  version,
  epoch,
  paused,
  createdAtMs,
  deployedAtMs,
}: Omit<ListedApp, "tasks">): Omit<AppInfo, "tasks"> {
  return {
    name: app,
    version,
    epoch,
    paused,
    createdAt: new Date(createdAtMs),
    deployedAt: new Date(deployedAtMs),
  };
}

function toTask(info: AppTaskInfo): AppTaskDescription {
  const { task, inputs, begins, born, start, place, chain, commits, commit, nextDue, digests } = info;
  const { verified, snapshot, trimmed } = info;
  return {
    ...{ task, inputs, begins, born, start, place, chain, commits },
    ...(commit !== undefined && { committedBy: commit.replica, committedAt: new Date(commit.atMs) }),
    ...(nextDue !== undefined && { nextDue: new Date(nextDue) }),
    ...(verified !== undefined && { verified }),
    ...(snapshot !== undefined && { snapshot }),
    trimmed,
    digests: digests.map(({ replica, point }) => ({ ...point, replica })),
  };
}
