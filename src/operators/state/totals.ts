/** What all rows of a task add up to: how much state there is, and what it is compared by. */
import type { ByteReader } from "../../lib/byte-reader.ts";
import type { ByteWriter } from "../../lib/byte-writer.ts";
import { asDigest, type Row, rowHash } from "../../record/row.ts";

export type RowTotals = {
  /** Sum of the rows' hashes, mod 2^64. */
  readonly digest: bigint;
  readonly rows: number;
  /** Of keys and values. */
  readonly bytes: number;
};

export const NO_ROWS: RowTotals = { digest: 0n, rows: 0, bytes: 0 };

export function rowBytes(key: Uint8Array, value: Uint8Array | undefined): number {
  return value === undefined ? 0 : key.length + value.length;
}

/** Reads all of them. */
export function totalsOf(all: Iterable<Row>): RowTotals {
  let digest = 0n;
  let rows = 0;
  let bytes = 0;
  for (const [key, value] of all) {
    digest += rowHash(key, value);
    rows += 1;
    bytes += rowBytes(key, value);
  }
  return { digest: asDigest(digest), rows, bytes };
}

export function sameTotals(a: RowTotals, b: RowTotals): boolean {
  return a.digest === b.digest && a.rows === b.rows && a.bytes === b.bytes;
}

export function writeTotals(writer: ByteWriter, { digest, rows, bytes }: RowTotals): ByteWriter {
  return writer.u64(digest).int(rows).int(bytes);
}

export function readTotals(reader: ByteReader): RowTotals {
  return { digest: reader.u64(), rows: reader.int(), bytes: reader.int() };
}
