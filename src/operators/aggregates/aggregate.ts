/**
 * What an aggregate is, and the operator that keeps one for each key. `sum`, `topN` and the like make them; `fold` makes
 * a user's own. What it has so far is state: plain data, a copy of which each function is given and may change.
 *
 * Records are added in the log's order, one by one, wherever batches end: so even sums of doubles, which depend on the order of
 * their terms, are the same in every replica. They are not the same as in another order.
 */
import { notPromise } from "../engine/guards.ts";
import type { Operator } from "../engine/operator.ts";

export type Aggregate<V, A, R> = {
  readonly name: string;
  readonly start: () => A;
  readonly add: (sofar: A, value: V) => A;
  /** Of two sets of records into that of both, those of `a` being older; session windows need it. */
  readonly merge?: (a: A, b: A) => A;
  readonly result: (sofar: A) => R;
};

/** Whatever it keeps meanwhile. */
export type SomeAggregate<V, R> = {
  readonly name: string;
  readonly start: () => unknown;
  readonly add: (sofar: never, value: V) => unknown;
  readonly merge?: (a: never, b: never) => unknown;
  readonly result: (sofar: never) => R;
};

/** As operators know it. */
export type AnyAggregate = Aggregate<unknown, unknown, unknown>;

/** Of no record yet. */
export function begun({ start }: Pick<AnyAggregate, "start">): unknown {
  return notPromise(start());
}

/** Without one function a promise would be state before anybody looks at it. */
export function added({ add }: AnyAggregate, sofar: unknown, value: unknown): unknown {
  return notPromise(add(sofar, value));
}

export function resultOf({ result }: AnyAggregate, sofar: unknown): unknown {
  return notPromise(result(sofar));
}

/** A table of results: what each key has so far. */
export function aggregateByKey(aggregate: AnyAggregate): Operator {
  /** Null, too, where there is something that comes to nothing: the key is not in the table. */
  const shown = (sofar: unknown): unknown => (sofar === undefined ? null : (resultOf(aggregate, sofar) ?? null));
  return {
    process(item, context) {
      const { rows } = context;
      const old = shown(rows.get(item.key));
      const after = added(aggregate, rows.get(item.key) ?? begun(aggregate), item.value);
      rows.put(after, item.key);
      const value = shown(after);
      if (value !== null || old !== null) context.emit({ ...item, value, old });
    },

    lookup(key, { rows }) {
      return shown(rows.get(key));
    },
  };
}
