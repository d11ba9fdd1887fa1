/**
 * Each record of a stream with what a table has of its key when it comes, in the log's order. Changes of the table bring
 * nothing about by themselves. It keeps no state: the table has it.
 */
import type { Operator } from "../engine/operator.ts";
import { type AnyJoiner, joined, wants } from "./joiner.ts";

const STREAM = 0;
const TABLE = 1;

export function streamTableJoin(kind: "inner" | "left", joiner: AnyJoiner): Operator {
  return {
    process(item, context, input) {
      if (input !== STREAM) return;
      const right = context.lookup(TABLE, item.key);
      if (!wants(kind, true, right !== null)) {
        context.count("skipped");
        return;
      }
      context.emit({ ...item, value: joined(joiner, item.value, right, item, context) });
    },
  };
}
