/** An app: what was deployed under its name, and its tasks. Each task has a row of its own. */
import { utf8 } from "../../../src/lib/bytes.ts";
import type { ByteReader } from "../../../src/lib/byte-reader.ts";
import type { AppName, TaskName } from "../../../src/wire/app-command.ts";
import { type AppFacts, readAppFacts, writeAppFacts } from "../../../src/wire/app-facts.ts";
import type { AppTask } from "./app-task.ts";
import { encodeRow, FAMILY, RowOwner } from "../rows.ts";

export class App extends RowOwner {
  readonly name: AppName;
  /** Changed as a whole, so that keeping the old ones is all that undoing takes. */
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
    return encodeRow((writer) => writeAppFacts(writer, this.facts));
  }
}

export function readApp(name: AppName, reader: ByteReader): App | undefined {
  const app = new App(name, readAppFacts(reader));
  return reader.complete ? app : undefined;
}
