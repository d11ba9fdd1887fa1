/**
 * What is known of an app and of each of its tasks: the state machine's rows have it in this form, and so have answers
 * (SPEC.md, "Apps and tasks").
 */
import type { ByteReader } from "../lib/byte-reader.ts";
import type { ByteWriter } from "../lib/byte-writer.ts";
import type { DigestPoint } from "../record/digest-point.ts";
import type { Offset } from "../record/offset.ts";
import type { RecordPlace } from "../record/record-place.ts";
import type { TaskPlace } from "../record/task-place.ts";
import {
  readDigestPoint,
  readRecordPlace,
  readTaskPlace,
  readTaskSnapshot,
  writeDigestPoint,
  writeRecordPlace,
  writeTaskPlace,
  writeTaskSnapshot,
} from "./app-command-codec.ts";
import { type AppShape, readShape, writeShape } from "./app-shape.ts";
import { COMMAND_LIMITS } from "./check-command.ts";
import type { TaskSnapshot } from "./app-command.ts";
import type { StreamName } from "./command.ts";
import { readFlags, readItems, writeFlags } from "./fields.ts";

export type AppFacts = {
  readonly version: number;
  /** Commits name it. */
  readonly epoch: number;
  readonly paused: boolean;
  readonly description: string;
  readonly options: string;
  readonly shape: AppShape;
  readonly createdAtMs: number;
  /** Of this version. */
  readonly deployedAtMs: number;
};

/** How a task stands. */
export type TaskStanding = {
  readonly inputs: readonly StreamName[];
  /** By input: what it reads first. What is gone from there on, it has lost. */
  readonly begins: readonly Offset[];
  /** The app's epoch in which it began with nothing … */
  readonly born: number;
  /** … behind this place. */
  readonly start: RecordPlace;
  readonly place: TaskPlace;
  /** Over all outputs until there. */
  readonly chain: bigint;
  /** The newest that commits named, oldest first. */
  readonly digests: readonly CommittedPoint[];
  /** Log time. */
  readonly nextDue?: number;
  readonly commits: number;
  /** The newest that is verified. */
  readonly verified?: WrittenSnapshot;
  /** A newer one that is not. */
  readonly snapshot?: WrittenSnapshot;
  /** Input was trimmed on a verified one: what is needed of the newest cannot be taken away. */
  readonly trimmed: boolean;
  /** The newest. */
  readonly commit?: { readonly replica: string; readonly atMs: number };
};

/** Who committed it had this there. */
export type CommittedPoint = { readonly replica: string; readonly point: DigestPoint };

/** Who wrote it. */
export type WrittenSnapshot = TaskSnapshot & { readonly replica: string };

const { textBytesMax: TEXT_BYTES_MAX } = COMMAND_LIMITS;

export function writeAppFacts(writer: ByteWriter, facts: AppFacts): void {
  writer.varint(facts.version).varint(facts.epoch);
  writeFlags(writer, facts.paused);
  writer.string(facts.description).string(facts.options);
  writeShape(writer, facts.shape);
  writer.varint(facts.createdAtMs).varint(facts.deployedAtMs);
}

export function readAppFacts(reader: ByteReader): AppFacts {
  return {
    version: reader.varint(),
    epoch: reader.varint(),
    paused: readFlags(reader, 1)(0),
    description: reader.string(TEXT_BYTES_MAX),
    options: reader.string(TEXT_BYTES_MAX),
    shape: readShape(reader),
    createdAtMs: reader.varint(),
    deployedAtMs: reader.varint(),
  };
}

export function writeTaskStanding(writer: ByteWriter, standing: TaskStanding): void {
  const { inputs, begins, born, start, place, chain, digests, nextDue, commits, verified, snapshot, trimmed, commit } =
    standing;
  writer.varint(inputs.length);
  for (const input of inputs) writer.string(input);
  writer.varint(begins.length);
  for (const offset of begins) writer.varint(offset);
  writer.varint(born);
  writeRecordPlace(writer, start);
  writeTaskPlace(writer, place);
  writer.u64(chain).varint(digests.length);
  for (const { replica, point } of digests) {
    writer.string(replica);
    writeDigestPoint(writer, point);
  }
  writer.varint(commits);
  writeFlags(
    writer,
    nextDue !== undefined,
    commit !== undefined,
    verified !== undefined,
    snapshot !== undefined,
    trimmed,
  );
  if (nextDue !== undefined) writer.varint(nextDue);
  if (verified !== undefined) writeWritten(writer, verified);
  if (snapshot !== undefined) writeWritten(writer, snapshot);
  if (commit !== undefined) writer.string(commit.replica).varint(commit.atMs);
}

export function readTaskStanding(reader: ByteReader): TaskStanding {
  const inputs = readItems(reader, () => reader.string(TEXT_BYTES_MAX));
  const begins = readItems(reader, () => reader.varint());
  const born = reader.varint();
  const start = readRecordPlace(reader);
  const place = readTaskPlace(reader);
  const chain = reader.u64();
  const digests = readItems(reader, (): CommittedPoint => ({
    replica: reader.string(TEXT_BYTES_MAX),
    point: readDigestPoint(reader),
  }));
  const commits = reader.varint();
  const has = readFlags(reader, 5);
  return {
    inputs,
    begins,
    born,
    start,
    place,
    chain,
    digests,
    commits,
    ...(has(0) && { nextDue: reader.varint() }),
    ...(has(2) && { verified: readWritten(reader) }),
    ...(has(3) && { snapshot: readWritten(reader) }),
    trimmed: has(4),
    ...(has(1) && { commit: { replica: reader.string(TEXT_BYTES_MAX), atMs: reader.varint() } }),
  };
}

function writeWritten(writer: ByteWriter, snapshot: WrittenSnapshot): void {
  writer.string(snapshot.replica);
  writeTaskSnapshot(writer, snapshot);
}

function readWritten(reader: ByteReader): WrittenSnapshot {
  return { replica: reader.string(TEXT_BYTES_MAX), ...readTaskSnapshot(reader) };
}
