/**
 * Looking at apps (SPEC.md, "Apps and tasks"): which there are, and how the tasks of one stand. `request.ts` and
 * `response.ts` have their numbers and put them into frames.
 */
import type { ByteReader } from "../lib/byte-reader.ts";
import type { ByteWriter } from "../lib/byte-writer.ts";
import type { AppName, TaskName } from "./app-command.ts";
import {
  type AppFacts,
  readAppFacts,
  readTaskStanding,
  type TaskStanding,
  writeAppFacts,
  writeTaskStanding,
} from "./app-facts.ts";
import { COMMAND_LIMITS } from "./check-command.ts";
import { readFlags, readItems, writeFlags } from "./fields.ts";

/** A page of the apps whose names begin with `prefix`, in the order of their names' UTF-16 code units. */
export type AppsRequest = {
  readonly kind: "apps";
  readonly prefix: string;
  /** Only names after this; empty: from the first. */
  readonly after: AppName;
  readonly limit: number;
};

export type AppRequest = {
  readonly kind: "app";
  readonly app: AppName;
  /** Only this one is told of, if there is one. */
  readonly task?: TaskName;
};

export type AppLookUpRequest = AppsRequest | AppRequest;

export type ListedApp = Omit<AppFacts, "description" | "options" | "shape"> & {
  readonly app: AppName;
  readonly tasks: number;
};

export type AppsResponse = {
  readonly kind: "apps";
  readonly position: number;
  readonly apps: readonly ListedApp[];
  /** The `after` of the next page; absent: this is the last. */
  readonly next?: AppName;
};

export type AppTaskInfo = TaskStanding & { readonly task: TaskName };

export type AppResponse = AppFacts & {
  readonly kind: "app";
  readonly position: number;
  /** Of the log at that position. */
  readonly logTime: number;
  readonly app: AppName;
  /** By name. */
  readonly tasks: readonly AppTaskInfo[];
};

export type AppLookUpResponse = AppsResponse | AppResponse;

const { textBytesMax: TEXT_BYTES_MAX } = COMMAND_LIMITS;

export function writeApps(writer: ByteWriter, { prefix, after, limit }: AppsRequest): void {
  writer.string(prefix).string(after).varint(limit);
}

export function readApps(reader: ByteReader): AppsRequest {
  return {
    kind: "apps",
    prefix: reader.string(TEXT_BYTES_MAX),
    after: reader.string(TEXT_BYTES_MAX),
    limit: reader.varint(),
  };
}

export function writeApp(writer: ByteWriter, { app, task }: AppRequest): void {
  writer.string(app);
  writeFlags(writer, task !== undefined);
  if (task !== undefined) writer.string(task);
}

export function readApp(reader: ByteReader): AppRequest {
  const app = reader.string(TEXT_BYTES_MAX);
  const has = readFlags(reader, 1);
  return { kind: "app", app, ...(has(0) && { task: reader.string(TEXT_BYTES_MAX) }) };
}

export function writeAppList(writer: ByteWriter, { apps, next }: AppsResponse): void {
  writer.varint(apps.length);
  for (const { app, version, epoch, paused, tasks, createdAtMs, deployedAtMs } of apps) {
    writer.string(app).varint(version).varint(epoch);
    writeFlags(writer, paused);
    writer.varint(tasks).varint(createdAtMs).varint(deployedAtMs);
  }
  writeFlags(writer, next !== undefined);
  if (next !== undefined) writer.string(next);
}

export function readAppList(reader: ByteReader, position: number): AppsResponse {
  const apps = readItems(reader, (): ListedApp => ({
    app: reader.string(TEXT_BYTES_MAX),
    version: reader.varint(),
    epoch: reader.varint(),
    paused: readFlags(reader, 1)(0),
    tasks: reader.varint(),
    createdAtMs: reader.varint(),
    deployedAtMs: reader.varint(),
  }));
  const has = readFlags(reader, 1);
  return { kind: "apps", position, apps, ...(has(0) && { next: reader.string(TEXT_BYTES_MAX) }) };
}

export function writeAppDescription(writer: ByteWriter, response: AppResponse): void {
  writer.varint(response.logTime).string(response.app);
  writeAppFacts(writer, response);
  writer.varint(response.tasks.length);
  for (const task of response.tasks) {
    writer.string(task.task);
    writeTaskStanding(writer, task);
  }
}

export function readAppDescription(reader: ByteReader, position: number): AppResponse {
  const logTime = reader.varint();
  const app = reader.string(TEXT_BYTES_MAX);
  const facts = readAppFacts(reader);
  const tasks = readItems(reader, (): AppTaskInfo => ({
    task: reader.string(TEXT_BYTES_MAX),
    ...readTaskStanding(reader),
  }));
  return { kind: "app", position, logTime, app, ...facts, tasks };
}
