/** Gives each record another value; its key stays. */
import type { Operator } from "../engine/operator.ts";
import { type AnyCallback, call } from "./callback.ts";

export function map(mapper: AnyCallback): Operator {
  return {
    process(item, context) {
      context.emit({ ...item, value: call(mapper, item, context) });
    },
  };
}
