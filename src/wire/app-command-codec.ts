/**
 * How commands of apps and their tasks are encoded (SPEC.md, "Commands"); kinds are numbered by `command-codec.ts`. A record
 * of a task's stream of commits has the same form, kind included.
 */
import { unreachable } from "../lib/assert.ts";
import { ByteReader } from "../lib/byte-reader.ts";
import { ByteWriter } from "../lib/byte-writer.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { DigestPoint } from "../record/digest-point.ts";
import type { RecordPlace } from "../record/record-place.ts";
import type { TaskPlace } from "../record/task-place.ts";
import type {
  AppCommand,
  AppConfig,
  AppOperation,
  TaskCommit,
  TaskReplica,
  TaskSnapshot,
  TaskSpec,
} from "./app-command.ts";
import { readShape, writeShape } from "./app-shape.ts";
import { COMMAND_LIMITS, type CommandError } from "./check-command.ts";
import { readFlags, readItems, writeFlags } from "./fields.ts";

const { textBytesMax: TEXT_BYTES_MAX } = COMMAND_LIMITS;

/** Never renumber: these are on disk. */
export const APP_KIND_NUMBERS = {
  "app-put": 61,
  "app-state": 62,
  "app-reset": 63,
  "app-delete": 64,
  "task-commit": 65,
  "task-snapshot": 66,
  "task-trimmed": 67,
  "task-statement": 68,
  "task-trim": 69,
} as const satisfies { readonly [Kind in AppCommand["kind"]]: number };

/** Reused: encoding is synchronous, and `finish` copies. */
const recordWriter = new ByteWriter(512);

/** As a record. */
export function encodeTaskCommit(commit: TaskCommit): Uint8Array {
  recordWriter.reset();
  recordWriter.u8(APP_KIND_NUMBERS["task-commit"]);
  writeTaskCommit(recordWriter, commit);
  return recordWriter.finish();
}

export function decodeTaskCommit(bytes: Uint8Array): Result<TaskCommit, CommandError> {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== APP_KIND_NUMBERS["task-commit"]) reader.fail();
  const commit = readTaskCommit(reader);
  return reader.complete ? ok(commit) : err({ code: "malformed-command", message: "the commit is malformed" });
}

/** All but the kind. */
export function writeAppCommand(writer: ByteWriter, command: AppCommand): void {
  switch (command.kind) {
    case "app-put":
      writer.string(command.app);
      return writeAppConfig(writer, command);
    case "app-state":
      writer.string(command.app);
      return writeFlags(writer, command.paused);
    case "app-reset":
      writer.string(command.app).varint(command.tasks.length);
      for (const { task, start } of command.tasks) {
        writer.string(task);
        writeRecordPlace(writer, start);
      }
      return;
    case "app-delete":
      writer.string(command.app);
      return;
    case "task-commit":
      return writeTaskCommit(writer, command);
    case "task-snapshot":
      writeReplica(writer, command);
      writeTaskSnapshot(writer, command);
      return writeFlags(writer, command.verified);
    case "task-trimmed":
      writeReplica(writer, command);
      writer.varint(command.manifest);
      return;
    case "task-statement":
      return writeReplica(writer, command);
    case "task-trim":
      writeReplica(writer, command);
      writer.string(command.stream).varint(command.incarnation).varint(command.before);
      return;
    default:
      return unreachable(command);
  }
}

export function readAppCommand(kind: AppCommand["kind"], reader: ByteReader): AppCommand {
  if (kind !== "task-trim") return readAppOperation(kind, reader);
  const by = readReplica(reader);
  return { kind, ...by, stream: text(reader), incarnation: reader.varint(), before: reader.varint() };
}

export function readAppOperation(kind: AppOperation["kind"], reader: ByteReader): AppOperation {
  switch (kind) {
    case "app-put":
      return { kind, ...readAppConfig(text(reader), reader) };
    case "app-state":
      return { kind, app: text(reader), paused: readFlags(reader, 1)(0) };
    case "app-reset":
      return {
        kind,
        app: text(reader),
        tasks: readItems(reader, () => ({ task: text(reader), start: readRecordPlace(reader) })),
      };
    case "app-delete":
      return { kind, app: text(reader) };
    case "task-commit":
      return { kind, ...readTaskCommit(reader) };
    case "task-snapshot":
      return { kind, ...readReplica(reader), ...readTaskSnapshot(reader), verified: readFlags(reader, 1)(0) };
    case "task-trimmed":
      return { kind, ...readReplica(reader), manifest: reader.varint() };
    case "task-statement":
      return { kind, ...readReplica(reader) };
    default:
      return unreachable(kind);
  }
}

/** All but the name. The state machine compares by it, and answers have it, too. */
export function writeAppConfig(writer: ByteWriter, { version, tasks, description, options, shape }: AppConfig): void {
  writer.varint(version).string(description).string(options);
  writeShape(writer, shape);
  writer.varint(tasks.length);
  for (const { task, inputs } of tasks) {
    writer.string(task).varint(inputs.length);
    for (const input of inputs) writer.string(input);
  }
}

function readAppConfig(app: string, reader: ByteReader): AppConfig {
  const version = reader.varint();
  const description = text(reader);
  const options = text(reader);
  const shape = readShape(reader);
  const tasks = readItems(reader, (): TaskSpec => ({
    task: text(reader),
    inputs: readItems(reader, () => text(reader)),
  }));
  return { app, version, tasks, description, options, shape };
}

function writeTaskCommit(writer: ByteWriter, commit: TaskCommit): void {
  const { from, to, chain, digests, nextDue } = commit;
  writeReplica(writer, commit);
  writeTaskPlace(writer, from);
  writeTaskPlace(writer, to);
  writer.u64(chain).varint(digests.length);
  for (const point of digests) writeDigestPoint(writer, point);
  writeFlags(writer, nextDue !== undefined);
  if (nextDue !== undefined) writer.varint(nextDue);
}

function readTaskCommit(reader: ByteReader): TaskCommit {
  const replica = readReplica(reader);
  const from = readTaskPlace(reader);
  const to = readTaskPlace(reader);
  const chain = reader.u64();
  const digests = readItems(reader, () => readDigestPoint(reader));
  const has = readFlags(reader, 1);
  return { ...replica, from, to, chain, digests, ...(has(0) && { nextDue: reader.varint() }) };
}

function writeReplica(writer: ByteWriter, { app, task, epoch, replica }: TaskReplica): void {
  writer.string(app).string(task).varint(epoch).string(replica);
}

function readReplica(reader: ByteReader): TaskReplica {
  return { app: text(reader), task: text(reader), epoch: reader.varint(), replica: text(reader) };
}

export function writeRecordPlace(writer: ByteWriter, { position, ordinal, index }: RecordPlace): void {
  writer.varint(position).varint(ordinal).varint(index);
}

export function readRecordPlace(reader: ByteReader): RecordPlace {
  return { position: reader.varint(), ordinal: reader.varint(), index: reader.varint() };
}

export function writeTaskPlace(writer: ByteWriter, { cursor, outputs }: TaskPlace): void {
  writeRecordPlace(writer, cursor);
  writer.varint(outputs);
}

export function readTaskPlace(reader: ByteReader): TaskPlace {
  return { cursor: readRecordPlace(reader), outputs: reader.varint() };
}

export function writeDigestPoint(writer: ByteWriter, { records, logTime, state, outputs }: DigestPoint): void {
  writer.varint(records).varint(logTime).u64(state).u64(outputs);
}

export function readDigestPoint(reader: ByteReader): DigestPoint {
  return { records: reader.varint(), logTime: reader.varint(), state: reader.u64(), outputs: reader.u64() };
}

export function writeTaskSnapshot(writer: ByteWriter, { manifest, neededFrom, point }: TaskSnapshot): void {
  writer.varint(manifest).varint(neededFrom);
  writeDigestPoint(writer, point);
}

export function readTaskSnapshot(reader: ByteReader): TaskSnapshot {
  return { manifest: reader.varint(), neededFrom: reader.varint(), point: readDigestPoint(reader) };
}

function text(reader: ByteReader): string {
  return reader.string(TEXT_BYTES_MAX);
}
