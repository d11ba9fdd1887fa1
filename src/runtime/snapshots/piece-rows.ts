/**
 * Rows in a piece, in key order, each once. A *slice* has all rows of a range of keys; a *delta* those that changed since another
 * snapshot, the deleted ones among them.
 *
 *   row   key (length, bytes) · 0 if it was deleted, else the value's length + 1 · value
 */
import { ByteReader } from "../../lib/byte-reader.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import { compareBytes } from "../../lib/bytes.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { RowChange } from "../../record/row.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";

/** Gathers rows until they are enough for a piece. */
export class PieceRows {
  readonly #writer = new ByteWriter();

  /** Encoded. */
  get bytes(): number {
    return this.#writer.length;
  }

  add(key: Uint8Array, value: Uint8Array | undefined): void {
    this.#writer.blob(key);
    if (value === undefined) this.#writer.varint(0);
    else this.#writer.varint(value.length + 1).bytes(value);
  }

  /** What was gathered; it begins anew. */
  take(): Uint8Array {
    const content = this.#writer.finish();
    this.#writer.reset();
    return content;
  }
}

/** Keys and values are views of the content. */
export function readRows(content: Uint8Array): Result<readonly RowChange[], string> {
  const reader = new ByteReader(content);
  const rows: RowChange[] = [];
  let before: Uint8Array | undefined;
  while (reader.remaining > 0) {
    const key = reader.blob(SNAPSHOT_LIMITS.keyBytesMax);
    const length = reader.varint();
    const value = length === 0 ? undefined : reader.bytes(length - 1);
    if (reader.failed || (before !== undefined && compareBytes(before, key) >= 0))
      return err(`row ${rows.length} is not valid`);
    rows.push({ key, value });
    before = key;
  }
  return reader.complete ? ok(rows) : err(`row ${rows.length} is not valid`);
}
