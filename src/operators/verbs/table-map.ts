/** Another view of a table: it keeps nothing, but asks the table that it is made of. */
import type { Key } from "../encoding/key-codec.ts";
import type { Item } from "../engine/item.ts";
import type { Operator, OperatorContext } from "../engine/operator.ts";
import { type AnyCallback, call } from "./callback.ts";

export function tableFilter(predicate: AnyCallback<boolean>): Operator {
  return derived((value, item, context) => (call(predicate, item, context, value) ? value : null));
}

export function tableMap(mapper: AnyCallback): Operator {
  return derived((value, item, context) => call(mapper, item, context, value));
}

function derived(derive: (value: unknown, item: Item, context: OperatorContext) => unknown): Operator {
  const of = (value: unknown, item: Item, context: OperatorContext): unknown =>
    value === null || value === undefined ? null : (derive(value, item, context) ?? null);
  return {
    process(item, context) {
      const old = of(item.old, item, context);
      const value = of(item.value, item, context);
      if (value !== null || old !== null) context.emit({ ...item, value, old });
    },

    lookup(key: Key, context) {
      const value = context.lookup(0, key);
      return of(value, { key, value, timestamp: context.time }, context);
    },
  };
}
