/** How a user's function is called: with the value, and with all else that it may depend on. */
import type { RecordHeader } from "../../record/record.ts";
import type { Key } from "../encoding/key-codec.ts";
import { notPromise } from "../engine/guards.ts";
import type { Item } from "../engine/item.ts";
import type { OperatorContext } from "../engine/operator.ts";

export interface CallbackContext<K extends Key = Key> {
  readonly key: K;
  /** Event time of the record, milliseconds since the Unix epoch. */
  readonly time: number;
  /** When the record was appended, by the leader's clock, likewise. */
  readonly logTime: number;
  readonly headers: readonly RecordHeader[];
  /** From 0 up to, not including, 1: the same in every replica and every replay. */
  readonly random: () => number;
}

/** Synchronous, and without effects: it is run again by every replica. */
export type Callback<K extends Key, V, R> = (value: V, context: CallbackContext<K>) => R;

/** As operators know it. */
export type AnyCallback<R = unknown> = (value: never, context: CallbackContext<never>) => R;

class ItemContext implements CallbackContext {
  readonly #item: Item;
  readonly #context: OperatorContext;

  constructor(item: Item, context: OperatorContext) {
    this.#item = item;
    this.#context = context;
  }

  get key(): Key {
    return this.#item.key;
  }

  get time(): number {
    return this.#item.timestamp;
  }

  get logTime(): number {
    return this.#context.logTime;
  }

  get headers(): readonly RecordHeader[] {
    return this.#item.headers ?? [];
  }

  /** So that it can be taken out of the context like all else. */
  get random(): () => number {
    return () => this.#context.random();
  }
}

/** Throws what the callback throws, and `DeterminismError` if it returns a promise. */
export function call<R>(
  callback: AnyCallback<R>,
  item: Item,
  context: OperatorContext,
  value: unknown = item.value,
): R {
  return notPromise((callback as Callback<Key, unknown, R>)(value, new ItemContext(item, context)));
}
