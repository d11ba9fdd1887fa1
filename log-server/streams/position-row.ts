/** How far the state machine is, and its counters: the one row that every entry changes. */
import type { ByteReader } from "../../src/lib/byte-reader.ts";
import { encodeRow, FAMILY, RowOwner } from "./rows.ts";

/** Of all rows. */
const FORMAT = 1;

export class PositionRow extends RowOwner {
  index = 0;
  logTime = 0;
  nextStreamId = 1;

  override rowKey(): Uint8Array {
    return Uint8Array.of(FAMILY.position);
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => {
      writer.u8(FORMAT).varint(this.index).varint(this.logTime).varint(this.nextStreamId);
    });
  }
}

export function readPosition(reader: ByteReader, row: PositionRow): boolean {
  if (reader.u8() !== FORMAT) reader.fail();
  row.index = reader.varint();
  row.logTime = reader.varint();
  row.nextStreamId = reader.varint();
  return reader.complete;
}
