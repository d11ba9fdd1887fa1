/**
 * Rows: how the state is kept outside of memory. Every entity of the state machine has exactly one row, with one
 * encoding, so that equal states have equal rows whatever their history (I10). A row's key is its family's number and
 * what is unique within; rows sort by the bytes of their keys.
 */
import { ByteWriter } from "../../src/lib/byte-writer.ts";

/** Never renumber: these are on disk. A row refers only to rows whose keys are before its own. */
export const FAMILY = {
  position: 0,
  stream: 1,
  producer: 2,
  cursor: 3,
  subscription: 4,
  explicitStream: 5,
  link: 6,
  group: 7,
  groupMember: 8,
  groupLink: 9,
  configuration: 10,
  member: 11,
  featureLevel: 12,
  formerDisk: 13,
  app: 14,
  appTask: 15,
} as const;

/** An entity with a row. The fields are the ledger's (`row-ledger.ts`), kept here to need no map beside it. */
export abstract class RowOwner {
  marks = 0;
  /** Of the row as it is in the digest; 0 if it is not. */
  hash = 0n;

  abstract rowKey(): Uint8Array;
  abstract rowValue(): Uint8Array;
}

const writer = new ByteWriter(4_096);

/** Runs `write` on a writer that is used for every row; encoding is synchronous. */
export function encodeRow(write: (writer: ByteWriter) => void): Uint8Array {
  writer.reset();
  write(writer);
  return writer.finish();
}

const HIGH = 0x1_0000_0000;
const KEY_NUMBER_BYTES = 8;

/** Big-endian, so that keys sort as the numbers do. */
export function writeKeyNumber(writer: ByteWriter, value: number): void {
  let high = Math.floor(value / HIGH);
  let low = value % HIGH;
  for (let place = 0; place < KEY_NUMBER_BYTES / 2; place += 1) {
    writer.u8(Math.floor(high / 0x100_0000));
    high = (high % 0x100_0000) * 0x100;
  }
  for (let place = 0; place < KEY_NUMBER_BYTES / 2; place += 1) {
    writer.u8(Math.floor(low / 0x100_0000));
    low = (low % 0x100_0000) * 0x100;
  }
}
