/** The text of server-sent events of records. Everything in them is JSON on one line: nothing in it can end an event. */
import { formatOffset, type Incarnation, type Offset } from "../../../src/record/offset.ts";
import type { ShownRecord } from "./piece.ts";

/** An event a record; offsets from `from` up to `nextOffset` that have none were removed, and are told as gaps (I7). */
export function recordEvents(
  incarnation: Incarnation,
  from: Offset,
  records: readonly ShownRecord[],
  nextOffset: Offset,
): string {
  let events = "";
  let next = from;
  for (const { offset, text } of records) {
    if (offset > next) events += gapEvent(incarnation, next, offset);
    next = offset + 1;
    events += `${idLine(incarnation, next)}data: ${text}\n\n`;
  }
  return nextOffset > next ? events + gapEvent(incarnation, next, nextOffset) : events;
}

export function gapEvent(incarnation: Incarnation, from: Offset, to: Offset): string {
  return `event: gap\n${idLine(incarnation, to)}data: ${JSON.stringify({ from, to })}\n\n`;
}

export function endEvent(incarnation: Incarnation, next: Offset): string {
  return `event: end\n${idLine(incarnation, next)}data: ${JSON.stringify({ closed: true, next })}\n\n`;
}

/** Where to go on: what a reader that comes back shows as `Last-Event-ID`. */
function idLine(incarnation: Incarnation, next: Offset): string {
  return `id: ${formatOffset(incarnation, next)}\n`;
}
