/**
 * Where a task's rows are: ordered by key, as unsigned bytes, and synchronous, for operators are. It knows nothing of what
 * a row means; `row-keys.ts` does. Every implementation passes test/operators/state-contract.ts.
 *
 * Bytes handed over, in either direction, are not written to by anyone afterwards.
 */
import type { Row } from "../../record/row.ts";

export interface StateStore {
  get(key: Uint8Array): Uint8Array | undefined;
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
  /**
   * Rows with `from <= key < to`, in key order. Rows may be changed meanwhile: each step goes to the next key that is
   * there then.
   */
  range(from: Uint8Array, to: Uint8Array): Iterable<Row>;
}
