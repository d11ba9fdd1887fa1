/** Makes any number of values of each record, in order; its key stays. */
import { notPromise } from "../engine/guards.ts";
import type { Operator } from "../engine/operator.ts";
import { type AnyCallback, call } from "./callback.ts";

export function flatMap(mapper: AnyCallback<Iterable<unknown>>): Operator {
  return {
    process(item, context) {
      for (const value of call(mapper, item, context)) context.emit({ ...item, value: notPromise(value) });
    },
  };
}
