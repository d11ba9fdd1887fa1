/**
 * A task of an app: how far it is in its input and output, and what its replicas must have had on the way. It moves only by
 * commits, each from where the one before ended (I12).
 */
import { utf8 } from "../../src/lib/bytes.ts";
import type { ByteReader } from "../../src/lib/byte-reader.ts";
import type { DigestPoint } from "../../src/record/digest-point.ts";
import { BEFORE_RECORDS, type RecordPlace } from "../../src/record/record-place.ts";
import type { TaskPlace } from "../../src/record/task-place.ts";
import type { TaskName } from "../../src/wire/app-command.ts";
import {
  readDigestPoint,
  readRecordPlace,
  readTaskPlace,
  writeDigestPoint,
  writeRecordPlace,
  writeTaskPlace,
} from "../../src/wire/app-command-codec.ts";
import { COMMAND_LIMITS } from "../../src/wire/check-command.ts";
import type { StreamName } from "../../src/wire/command.ts";
import { readFlags, readItems, writeFlags } from "../../src/wire/fields.ts";
import type { App } from "./app.ts";
import { Deadline } from "./deadlines.ts";
import { compareTexts } from "./group-member.ts";
import { encodeRow, FAMILY, RowOwner } from "./rows.ts";

/** Never changed but as a whole, so that keeping the old one is all that undoing takes. */
export type TaskFacts = {
  readonly inputs: readonly StreamName[];
  /** It has no state behind this. */
  readonly start: RecordPlace;
  readonly place: TaskPlace;
  /** Over all outputs until there. */
  readonly chain: bigint;
  /** The newest that commits named, oldest first. */
  readonly digests: readonly CommittedPoint[];
  readonly nextDue: number | undefined;
  readonly commits: number;
  /** The newest. */
  readonly commit: { readonly replica: string; readonly atMs: number } | undefined;
};

/** Who committed it had this there. */
export type CommittedPoint = { readonly replica: string; readonly point: DigestPoint };

const { textBytesMax: TEXT_BYTES_MAX } = COMMAND_LIMITS;

export class AppTask extends RowOwner {
  readonly app: App;
  readonly name: TaskName;
  facts: TaskFacts;
  /** Log time that is past `nextDue`, for whoever waits to hear of it. */
  readonly deadline: Deadline<AppTask> = new Deadline<AppTask>(this);

  constructor(app: App, name: TaskName, facts: TaskFacts) {
    super();
    this.app = app;
    this.name = name;
    this.facts = facts;
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => writer.u8(FAMILY.appTask).string(this.app.name).bytes(utf8(this.name)));
  }

  override rowValue(): Uint8Array {
    const { inputs, start, place, chain, digests, nextDue, commits, commit } = this.facts;
    return encodeRow((writer) => {
      writer.varint(inputs.length);
      for (const input of inputs) writer.string(input);
      writeRecordPlace(writer, start);
      writeTaskPlace(writer, place);
      writer.u64(chain).varint(digests.length);
      for (const { replica, point } of digests) {
        writer.string(replica);
        writeDigestPoint(writer, point);
      }
      writer.varint(commits);
      writeFlags(writer, nextDue !== undefined, commit !== undefined);
      if (nextDue !== undefined) writer.varint(nextDue);
      if (commit !== undefined) writer.string(commit.replica).varint(commit.atMs);
    });
  }
}

export function readAppTask(app: App, name: TaskName, reader: ByteReader): AppTask | undefined {
  const inputs = readItems(reader, () => reader.string(TEXT_BYTES_MAX));
  const start = readRecordPlace(reader);
  const place = readTaskPlace(reader);
  const chain = reader.u64();
  const digests = readItems(reader, (): CommittedPoint => ({
    replica: reader.string(TEXT_BYTES_MAX),
    point: readDigestPoint(reader),
  }));
  const commits = reader.varint();
  const has = readFlags(reader, 2);
  const nextDue = has(0) ? reader.varint() : undefined;
  const commit = has(1) ? { replica: reader.string(TEXT_BYTES_MAX), atMs: reader.varint() } : undefined;
  if (!reader.complete) return undefined;
  return new AppTask(app, name, { inputs, start, place, chain, digests, nextDue, commits, commit });
}

/** A task that has done nothing. */
export function freshTask(inputs: readonly StreamName[], start: RecordPlace = BEFORE_RECORDS): TaskFacts {
  return {
    inputs,
    start,
    place: { cursor: start, outputs: 0 },
    chain: 0n,
    digests: [],
    nextDue: undefined,
    commits: 0,
    commit: undefined,
  };
}

export function compareTasks(a: AppTask, b: AppTask): number {
  return compareTexts(a.app.name, b.app.name) || compareTexts(a.name, b.name);
}
