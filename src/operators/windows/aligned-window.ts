/**
 * Windows that lie where the clock says, whatever comes: tumbling and hopping. Each that has a record is a row, (key, start),
 * with what it has so far, and an event timer for its closing.
 */
import { added, type AnyAggregate, begun, resultOf } from "../aggregates/aggregate.ts";
import { isOver, overAt } from "../engine/lateness.ts";
import type { Operator } from "../engine/operator.ts";
import { emitResult, late, windowFacts, type WindowSettings } from "./window.ts";

type Alignment = { readonly sizeMs: number; readonly everyMs: number; readonly offsetMs: number };

export function alignedWindow(settings: WindowSettings, alignment: Alignment, aggregate: AnyAggregate): Operator {
  const { graceMs, emit } = settings;
  const { sizeMs } = alignment;
  return {
    process(item, context) {
      const { key, value, timestamp } = item;
      const { rows, watermark } = context;
      const starts = startsOf(timestamp, alignment);
      const open = starts.filter((start) => !isOver(start + sizeMs - 1, graceMs, watermark));
      if (open.length === 0 && starts.length > 0) late(settings, item, context);
      for (const start of open) {
        const end = start + sizeMs;
        const before = rows.get(key, start);
        const after = added(aggregate, before ?? begun(aggregate), value);
        rows.put(after, key, start);
        if (before === undefined) context.setTimer({ kind: "event", due: overAt(end - 1, graceMs), key, name: start });
        if (emit === "on-change") emitResult(item, { start, end, value: resultOf(aggregate, after) }, context);
      }
    },

    onTimer({ key, name }, context) {
      const start = name as number;
      const sofar = context.rows.get(key, start);
      context.rows.delete(key, start);
      if (emit === "on-close")
        emitResult({ key }, { start, end: start + sizeMs, value: resultOf(aggregate, sofar) }, context);
    },

    timerFacts({ name }) {
      const start = name as number;
      return windowFacts(start, start + sizeMs);
    },
  };
}

/** Of all windows that have the time, the earliest first. */
export function startsOf(time: number, { sizeMs, everyMs, offsetMs }: Alignment): number[] {
  const starts: number[] = [];
  let start = offsetMs + Math.floor((time - offsetMs) / everyMs) * everyMs;
  for (; start + sizeMs > time; start -= everyMs) starts.push(start);
  return starts.reverse();
}
