/**
 * A table of what two tables have of a key, which changes when either does. It keeps no state, but asks them. Where a change of one table comes by both sides,
 * because both are made of that one, it is told of by each.
 */
import type { Item } from "../engine/item.ts";
import type { Operator, OperatorContext } from "../engine/operator.ts";
import { type AnyJoiner, joined, type JoinKind, wants } from "./joiner.ts";

const LEFT = 0;
const RIGHT = 1;

export function tableTableJoin(kind: JoinKind, joiner: AnyJoiner): Operator {
  const of = (left: unknown, right: unknown, item: Item, context: OperatorContext): unknown =>
    wants(kind, left !== null, right !== null) ? (joined(joiner, left, right, item, context) ?? null) : null;
  return {
    process(item, context, input) {
      const { old: before = null, ...change } = item;
      const side = input === LEFT ? RIGHT : LEFT;
      const joinedWith = (own: unknown, other: unknown): unknown =>
        input === LEFT ? of(own, other, item, context) : of(other, own, item, context);
      const old = joinedWith(before, context.lookupBefore(side, item.key));
      const value = joinedWith(item.value, context.lookup(side, item.key));
      if (value !== null || old !== null) context.emit({ ...change, value, old });
    },

    lookup(key, context) {
      const [left, right] = [context.lookup(LEFT, key), context.lookup(RIGHT, key)];
      return of(left, right, { key, value: null, timestamp: context.time }, context);
    },
  };
}
