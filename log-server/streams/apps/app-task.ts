/**
 * A task of an app: how far it is in its input and output, and what its replicas must have had on the way. It moves only by
 * commits, each from where the one before ended (I12).
 */
import { utf8 } from "../../../src/lib/bytes.ts";
import type { ByteReader } from "../../../src/lib/byte-reader.ts";
import type { Offset } from "../../../src/record/offset.ts";
import { BEFORE_RECORDS, type RecordPlace } from "../../../src/record/record-place.ts";
import type { TaskName } from "../../../src/wire/app-command.ts";
import { readTaskStanding, type TaskStanding, writeTaskStanding } from "../../../src/wire/app-facts.ts";
import type { StreamName } from "../../../src/wire/command.ts";
import type { App } from "./app.ts";
import { Deadline } from "../deadlines.ts";
import { compareTexts } from "../groups/group-member.ts";
import { encodeRow, FAMILY, RowOwner } from "../rows.ts";

export class AppTask extends RowOwner {
  readonly app: App;
  readonly name: TaskName;
  /** Changed as a whole, so that keeping the old one is all that undoing takes. */
  standing: TaskStanding;
  /** Log time that is past `nextDue`, for whoever waits to hear of it. */
  readonly deadline: Deadline<AppTask> = new Deadline<AppTask>(this);

  constructor(app: App, name: TaskName, standing: TaskStanding) {
    super();
    this.app = app;
    this.name = name;
    this.standing = standing;
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => writer.u8(FAMILY.appTask).string(this.app.name).bytes(utf8(this.name)));
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => writeTaskStanding(writer, this.standing));
  }
}

export function readAppTask(app: App, name: TaskName, reader: ByteReader): AppTask | undefined {
  const task = new AppTask(app, name, readTaskStanding(reader));
  return reader.complete ? task : undefined;
}

/** A task that has done nothing. */
export function freshTask(
  born: number,
  inputs: readonly StreamName[],
  begins: readonly Offset[],
  start: RecordPlace = BEFORE_RECORDS,
): TaskStanding {
  return {
    inputs,
    begins,
    born,
    start,
    place: { cursor: start, outputs: 0 },
    chain: 0n,
    digests: [],
    commits: 0,
    trimmed: false,
  };
}

export function compareTasks(a: AppTask, b: AppTask): number {
  return compareTexts(a.app.name, b.app.name) || compareTexts(a.name, b.name);
}
