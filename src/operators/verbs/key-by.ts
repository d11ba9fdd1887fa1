/** Gives each record another key; its value stays. Which partition it belongs to is then another matter (`repartition.ts`). */
import type { Key } from "../encoding/key-codec.ts";
import type { Operator } from "../engine/operator.ts";
import { type AnyCallback, call } from "./callback.ts";

export function keyBy(selector: AnyCallback<Key>): Operator {
  return {
    process(item, context) {
      context.emit({ ...item, key: call(selector, item, context) });
    },
  };
}
