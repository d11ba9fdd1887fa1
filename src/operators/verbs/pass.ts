/** Lets everything through: where sources come in, where streams merge, and where a table is read as a stream. */
import type { Operator } from "../engine/operator.ts";

export const PASS: Operator = {
  process(item, context) {
    context.emit(item);
  },
};

/** A table's changes as records: without what was there before, and without what went away. */
export const TABLE_TO_STREAM: Operator = {
  process({ key, value, timestamp, headers }, context) {
    if (value !== null) context.emit({ key, value, timestamp, ...(headers !== undefined && { headers }) });
  },
};
