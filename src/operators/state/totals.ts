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

/** Adds rows up, one after the other, each key once. */
export class TotalsSum {
  #digest = 0n;
  #rows = 0;
  #bytes = 0;

  add(key: Uint8Array, value: Uint8Array): void {
    this.#digest += rowHash(key, value);
    this.#rows += 1;
    this.#bytes += rowBytes(key, value);
  }

  get totals(): RowTotals {
    return { digest: asDigest(this.#digest), rows: this.#rows, bytes: this.#bytes };
  }
}

/** Reads all of them. */
export function totalsOf(all: Iterable<Row>): RowTotals {
  const sum = new TotalsSum();
  for (const [key, value] of all) sum.add(key, value);
  return sum.totals;
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
