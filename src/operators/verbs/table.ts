/** Keeps the newest value of each key, the newest being the last to come; null deletes it. */
import type { Operator } from "../engine/operator.ts";

export const TABLE: Operator = {
  process(item, context) {
    const { key, value } = item;
    const old = context.rows.get(key) ?? null;
    if (value === null) context.rows.delete(key);
    else context.rows.put(value, key);
    if (value !== null || old !== null) context.emit({ ...item, old });
  },

  lookup(key, { rows }) {
    return rows.get(key) ?? null;
  },
};
