/** Lets through the records that a predicate accepts. */
import type { Operator } from "../engine/operator.ts";
import { type AnyCallback, call } from "./callback.ts";

export function filter(predicate: AnyCallback<boolean>): Operator {
  return {
    process(item, context) {
      if (call(predicate, item, context)) context.emit(item);
    },
  };
}
