/** What flows between operators: a record of a stream, or a change of a table. */
import type { RecordHeader } from "../../record/record.ts";
import type { Key } from "../encoding/key-codec.ts";

export type Item = {
  readonly key: Key;
  /** In a table, null says that the key is gone. */
  readonly value: unknown;
  /** Event time, milliseconds since the Unix epoch. */
  readonly timestamp: number;
  readonly headers?: readonly RecordHeader[];
  /** Of a table's change: what the key had before; null if nothing. */
  readonly old?: unknown;
};
