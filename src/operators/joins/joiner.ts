/** What joins have in common: whose records are wanted without a partner, and how a user's function puts two values together. */
import type { Key } from "../encoding/key-codec.ts";
import type { Item } from "../engine/item.ts";
import type { OperatorContext } from "../engine/operator.ts";
import { type AnyCallback, call, type CallbackContext } from "../verbs/callback.ts";

export type JoinKind = "inner" | "left" | "outer";

/**
 * Keys of which some may be equal to some of `K`: of the same kind, or null, which a source's keys may be. Keys of another kind
 * never are, and a join by them does not compile.
 */
export type Meeting<K extends Key> =
  | null
  | (K extends string
      ? string
      : K extends number
        ? number
        : K extends bigint
          ? bigint
          : K extends boolean
            ? boolean
            : K extends Uint8Array
              ? Uint8Array
              : K extends null
                ? never
                : readonly Key[]);

/** Null where a left or an outer join found nothing. */
export type Joiner<K extends Key, V, W, R> = (left: V, right: W, context: CallbackContext<K>) => R;
export type AnyJoiner = (left: never, right: never, context: CallbackContext<never>) => unknown;

export function joined(
  joiner: AnyJoiner,
  left: unknown,
  right: unknown,
  item: Item,
  context: OperatorContext,
): unknown {
  const paired: AnyCallback = (_value, callbackContext) => joiner(left as never, right as never, callbackContext);
  return call(paired, item, context);
}

/** Whether a join of this kind has a result where one side, or both, have nothing. */
export function wants(kind: JoinKind, hasLeft: boolean, hasRight: boolean): boolean {
  switch (kind) {
    case "inner":
      return hasLeft && hasRight;
    case "left":
      return hasLeft;
    case "outer":
      return hasLeft || hasRight;
  }
}
