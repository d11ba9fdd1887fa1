/** Sends each record to the first branch that accepts it; one that none accepts goes nowhere. */
import type { Operator } from "../engine/operator.ts";
import { type AnyCallback, call } from "./callback.ts";

export function branch(predicates: readonly AnyCallback<boolean>[]): Operator {
  return {
    process(item, context) {
      const output = predicates.findIndex((predicate) => call(predicate, item, context));
      if (output >= 0) context.emit(item, output);
    },
  };
}
