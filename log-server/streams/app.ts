/** An app: what was deployed under its name, and its tasks. Each task has a row of its own. */
import { utf8 } from "../../src/lib/bytes.ts";
import type { ByteReader } from "../../src/lib/byte-reader.ts";
import type { AppName, TaskName } from "../../src/wire/app-command.ts";
import { COMMAND_LIMITS } from "../../src/wire/check-command.ts";
import type { AppTask } from "./app-task.ts";
import { encodeRow, FAMILY, RowOwner } from "./rows.ts";

/** Never changed but as a whole, so that keeping the old one is all that undoing takes. */
export type AppFacts = {
  readonly version: number;
  /** A generation (`position-row.ts`): commits name it. */
  readonly epoch: number;
  readonly paused: boolean;
  readonly description: string;
  readonly options: string;
  readonly createdAtMs: number;
  /** Of this version. */
  readonly deployedAtMs: number;
};

const { textBytesMax: TEXT_BYTES_MAX } = COMMAND_LIMITS;

export class App extends RowOwner {
  readonly name: AppName;
  facts: AppFacts;
  /** Found again from their rows. */
  readonly tasks = new Map<TaskName, AppTask>();

  constructor(name: AppName, facts: AppFacts) {
    super();
    this.name = name;
    this.facts = facts;
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => writer.u8(FAMILY.app).bytes(utf8(this.name)));
  }

  override rowValue(): Uint8Array {
    const { version, epoch, paused, description, options, createdAtMs, deployedAtMs } = this.facts;
    return encodeRow((writer) => {
      writer
        .varint(version)
        .varint(epoch)
        .u8(paused ? 1 : 0);
      writer.string(description).string(options).varint(createdAtMs).varint(deployedAtMs);
    });
  }
}

export function readApp(name: AppName, reader: ByteReader): App | undefined {
  const app = new App(name, {
    version: reader.varint(),
    epoch: reader.varint(),
    paused: reader.u8() !== 0,
    description: reader.string(TEXT_BYTES_MAX),
    options: reader.string(TEXT_BYTES_MAX),
    createdAtMs: reader.varint(),
    deployedAtMs: reader.varint(),
  });
  return reader.complete ? app : undefined;
}
