/** How far the state machine is, and its counters: the one row that every entry changes. */
import type { ByteReader } from "../../src/lib/byte-reader.ts";
import { encodeRow, FAMILY, RowOwner } from "./rows.ts";

/** Of all rows. */
const FORMAT = 1;

export class PositionRow extends RowOwner {
  index = 0;
  logTime = 0;
  nextStreamId = 1;
  /** Of sessions, ownerships and leases of groups, and epochs of apps: none is given twice, whatever is deleted and made anew (P39). */
  nextGeneration = 1;

  /** Only while an entry is applied: this row is written after each anyway. */
  drawGeneration(): number {
    const generation = this.nextGeneration;
    this.nextGeneration += 1;
    return generation;
  }

  override rowKey(): Uint8Array {
    return Uint8Array.of(FAMILY.position);
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => {
      writer.u8(FORMAT).varint(this.index).varint(this.logTime).varint(this.nextStreamId).varint(this.nextGeneration);
    });
  }
}

export function readPosition(reader: ByteReader, row: PositionRow): boolean {
  if (reader.u8() !== FORMAT) reader.fail();
  row.index = reader.varint();
  row.logTime = reader.varint();
  row.nextStreamId = reader.varint();
  row.nextGeneration = reader.varint();
  return reader.complete;
}
