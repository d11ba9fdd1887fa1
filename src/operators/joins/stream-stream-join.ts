/**
 * Pairs of records of two streams, of one key and near each other in event time: a record at t on the left with those on the
 * right from t - before to t + after, both included. Each record is kept, (key, side, time), until no partner can come any more; then a
 * left or outer join emits it alone, if it had none. So a lonely result is final: it is never taken back.
 *
 * A record that is more than `graceMs` behind the watermark is late. All pairs of records that are not are found.
 */
import { isOver, overAt } from "../engine/lateness.ts";
import type { Operator, OperatorContext } from "../engine/operator.ts";
import type { Item } from "../engine/item.ts";
import { type AnyJoiner, joined, type JoinKind, wants } from "./joiner.ts";

export type JoinBounds = { readonly beforeMs: number; readonly afterMs: number; readonly graceMs: number };

type Kept = { readonly value: unknown; readonly matched: boolean };

const LEFT = 0;
const RIGHT = 1;
type Side = typeof LEFT | typeof RIGHT;

export function streamStreamJoin(kind: JoinKind, joiner: AnyJoiner, bounds: JoinBounds): Operator {
  const { beforeMs, afterMs, graceMs } = bounds;
  /** How far ahead of a record, and behind it, its partners may be. */
  const ahead = (side: Side): number => (side === LEFT ? afterMs : beforeMs);
  const behind = (side: Side): number => (side === LEFT ? beforeMs : afterMs);
  const isWantedAlone = (side: Side): boolean => wants(kind, side === LEFT, side === RIGHT);
  const pair = (side: Side, own: unknown, other: unknown, item: Item, context: OperatorContext): unknown =>
    side === LEFT ? joined(joiner, own, other, item, context) : joined(joiner, other, own, item, context);

  return {
    process(item, context, input) {
      const { key, value, timestamp } = item;
      const { rows } = context;
      const side = input as Side;
      const other = side === LEFT ? RIGHT : LEFT;
      if (isOver(timestamp, graceMs, context.watermark)) {
        context.count("late");
        return;
      }
      const partners = [...rows.between(timestamp - behind(side), timestamp + ahead(side) + 1, key, other)];
      for (const { parts, value: stored } of partners) {
        const time = parts[0] as number;
        const kept = stored as readonly Kept[];
        const pairTime = Math.max(time, timestamp);
        for (const partner of kept) {
          const result = { ...item, timestamp: pairTime };
          context.emit({ ...result, value: pair(side, value, partner.value, result, context) });
        }
        if (isWantedAlone(other) && kept.some(({ matched }) => !matched))
          rows.put(
            kept.map((partner) => ({ ...partner, matched: true })),
            key,
            other,
            time,
          );
      }
      const before = (rows.get(key, side, timestamp) ?? []) as readonly Kept[];
      rows.put([...before, { value, matched: partners.length > 0 }], key, side, timestamp);
      if (before.length > 0) return;
      const due = overAt(timestamp + ahead(side), graceMs);
      context.setTimer({ kind: "event", due, key, name: [side, timestamp] });
    },

    onTimer({ key, name }, context) {
      const [side, time] = name as readonly [Side, number];
      const kept = context.rows.get(key, side, time) as readonly Kept[];
      context.rows.delete(key, side, time);
      if (!isWantedAlone(side)) return;
      for (const { value, matched } of kept) {
        const alone = { key, value, timestamp: time };
        if (!matched) context.emit({ ...alone, value: pair(side, value, null, alone, context) });
      }
    },
  };
}

/** How far behind the watermark results may be: a pair as far as the records that are taken, one alone by as long as it waited. */
export function heldBack(kind: JoinKind, { beforeMs, afterMs, graceMs }: JoinBounds): number {
  switch (kind) {
    case "inner":
      return graceMs;
    case "left":
      return overAt(afterMs, graceMs);
    case "outer":
      return overAt(Math.max(afterMs, beforeMs), graceMs);
  }
}
