/** A named cursor: a small durable value, moved by a command or inside a transaction. */
import { utf8 } from "../../src/lib/bytes.ts";
import { encodeRow, FAMILY, RowOwner } from "./rows.ts";

export class Cursor extends RowOwner {
  readonly name: string;
  value: Uint8Array;

  constructor(name: string, value: Uint8Array) {
    super();
    this.name = name;
    this.value = value;
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => writer.u8(FAMILY.cursor).bytes(utf8(this.name)));
  }

  override rowValue(): Uint8Array {
    return this.value;
  }
}
