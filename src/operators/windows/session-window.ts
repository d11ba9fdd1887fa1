/**
 * Windows that records make: each stretches from its own time by the gap, and those that overlap are one. An open session is a
 * row, (key, start), with its end and what it has so far. A record that lies between two joins them, so the sessions are
 * the same in whatever order their records came.
 */
import { assert } from "../../lib/assert.ts";
import { added, type AnyAggregate, begun, resultOf } from "../aggregates/aggregate.ts";
import { notPromise } from "../engine/guards.ts";
import type { Key } from "../encoding/key-codec.ts";
import { isOver, overAt } from "../engine/lateness.ts";
import type { Operator, OperatorContext } from "../engine/operator.ts";
import { emitResult, late, windowFacts, type WindowSettings } from "./window.ts";

type Session = { readonly start: number; readonly end: number; readonly sofar: unknown };

export function sessionWindow(settings: WindowSettings, gapMs: number, aggregate: AnyAggregate): Operator {
  const { graceMs, emit } = settings;
  const { merge } = aggregate;
  assert(merge !== undefined, "the builder refuses sessions of what cannot be merged");
  return {
    process(item, context) {
      const { key, value, timestamp } = item;
      const touched = touchedBy(timestamp, gapMs, key, context);
      const isLate = touched.length === 0 && isOver(timestamp + gapMs - 1, graceMs, context.watermark);
      if (isLate) {
        late(settings, item, context);
        return;
      }
      const [first, ...others] = touched;
      for (const { start } of touched) context.rows.delete(key, start);
      const start = Math.min(timestamp, first?.start ?? timestamp);
      const end = Math.max(timestamp + gapMs, ...touched.map((session) => session.end));
      let sofar = first === undefined ? begun(aggregate) : first.sofar;
      for (const session of others) sofar = notPromise(merge(sofar, session.sofar));
      sofar = added(aggregate, sofar, value);
      context.rows.put({ end, sofar }, key, start);
      // Where the start stays, its timer is there already, and moves when it fires.
      if (first === undefined || start < first.start)
        context.setTimer({ kind: "event", due: overAt(end - 1, graceMs), key, name: start });
      if (emit === "on-change") emitResult(item, { start, end, value: resultOf(aggregate, sofar) }, context);
    },

    onTimer({ key, name, due }, context) {
      const start = name as number;
      const session = context.rows.get(key, start) as Omit<Session, "start"> | undefined;
      // It was joined to one that began before.
      if (session === undefined) return;
      const { end, sofar } = session;
      const closing = overAt(end - 1, graceMs);
      if (closing > due) {
        context.setTimer({ kind: "event", due: closing, key, name });
        return;
      }
      context.rows.delete(key, start);
      if (emit === "on-close") emitResult({ key }, { start, end, value: resultOf(aggregate, sofar) }, context);
    },

    // One that closes ends where its timer says.
    timerFacts({ name, due }) {
      return windowFacts(name as number, due - graceMs);
    },
  };
}

/** The open sessions that [time, time + gap) overlaps, the earliest first. */
function touchedBy(time: number, gapMs: number, key: Key, { rows }: OperatorContext): Session[] {
  const touched: Session[] = [];
  for (const { parts, value } of rows.between(-Infinity, time + gapMs, key)) {
    const session = value as Omit<Session, "start">;
    if (session.end > time) touched.push({ start: parts[0] as number, ...session });
  }
  return touched;
}
