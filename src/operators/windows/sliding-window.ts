/**
 * A window for each time at which a key has a record: that record, those of the same time, and all in the size that ends with
 * them. The records are kept, (key, "at", time), and a window is made of them when its result is wanted, in the order of
 * time: so it does not depend on the order in which they came.
 *
 * A record is late once its own window has closed, which is the first that has it, and is in no other then. So what becomes of it is
 * decided by its time, and not by what else its key has: each is in all of its windows, or late.
 */
import { added, type AnyAggregate, begun, resultOf } from "../aggregates/aggregate.ts";
import type { Key } from "../encoding/key-codec.ts";
import { isOver, overAt } from "../engine/lateness.ts";
import type { Operator, OperatorContext } from "../engine/operator.ts";
import { emitResult, late, windowFacts, type WindowResult, type WindowSettings } from "./window.ts";

const AT = "at";
/** A window's closing, and the last use of its records: of one key, at one time, in this order. */
const CLOSE = "close";
const DROP = "drop";

export function slidingWindow(settings: WindowSettings, sizeMs: number, aggregate: AnyAggregate): Operator {
  const { graceMs, emit } = settings;
  const resultAt = (time: number, key: Key, { rows }: OperatorContext): WindowResult<unknown> => {
    let sofar = begun(aggregate);
    for (const { value } of rows.between(time - sizeMs + 1, time + 1, key, AT))
      for (const one of value as readonly unknown[]) sofar = added(aggregate, sofar, one);
    return { start: time - sizeMs + 1, end: time + 1, value: resultOf(aggregate, sofar) };
  };
  return {
    process(item, context) {
      const { key, value, timestamp } = item;
      const { rows } = context;
      if (isOver(timestamp, graceMs, context.watermark)) {
        late(settings, item, context);
        return;
      }
      const before = (rows.get(key, AT, timestamp) ?? []) as readonly unknown[];
      rows.put([...before, value], key, AT, timestamp);
      if (before.length === 0) {
        context.setTimer({ kind: "event", due: overAt(timestamp, graceMs), key, name: [CLOSE, timestamp] });
        // When the last window closes that has it, which begins with it.
        const dropped = overAt(timestamp + sizeMs - 1, graceMs);
        context.setTimer({ kind: "event", due: dropped, key, name: [DROP, timestamp] });
      }
      if (emit !== "on-change") return;
      for (const { parts } of [...rows.between(timestamp, timestamp + sizeMs, key, AT)])
        emitResult(item, resultAt(parts[0] as number, key, context), context);
    },

    onTimer({ key, name }, context) {
      const [what, time] = name as readonly [string, number];
      if (what === DROP) context.rows.delete(key, AT, time);
      else if (emit === "on-close") emitResult({ key }, resultAt(time, key, context), context);
    },

    timerFacts({ name }) {
      const [, time] = name as readonly [string, number];
      return windowFacts(time - sizeMs + 1, time + 1);
    },
  };
}
