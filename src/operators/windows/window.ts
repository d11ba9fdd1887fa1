/**
 * What windows have in common. A window [start, end) waits for records before its end, so it closes when the watermark reaches end + grace:
 * its result is then final, and a record that comes for it is late. Grace has no default but 0, and a result comes on closing unless updates are
 * asked for: nobody waits a day for a number by accident.
 */
import type { Item } from "../engine/item.ts";
import { overAt } from "../engine/lateness.ts";
import type { OperatorContext } from "../engine/operator.ts";
import type { TimerFact } from "../engine/task-input.ts";
import { to } from "../verbs/to.ts";

export type WindowOptions = {
  /** Event time after its end for which a window still takes records; default 0. */
  readonly graceMs?: number;
  /**
   * One final result, the default; or one for each record, the last of which is final. Either has the time of the window's last
   * millisecond.
   */
  readonly emit?: "on-close" | "on-change";
  /**
   * The stream that takes records that are late: every window has closed that they would be in; of those that slide, the first has. Without it
   * they are counted, and gone.
   */
  readonly lateTo?: string;
};

export type Window =
  | { readonly kind: "tumbling"; readonly sizeMs: number; readonly offsetMs: number }
  | { readonly kind: "hopping"; readonly sizeMs: number; readonly everyMs: number; readonly offsetMs: number }
  | { readonly kind: "sliding"; readonly sizeMs: number }
  | { readonly kind: "session"; readonly gapMs: number };

/** With its options complete. */
export type WindowSettings = {
  readonly window: Window;
  readonly graceMs: number;
  readonly emit: "on-close" | "on-change";
  readonly lateTo: string | undefined;
};

/** Of the window [start, end), in event time. */
export type WindowResult<R> = { readonly start: number; readonly end: number; readonly value: R };

export type WindowSpec = Window & WindowOptions;

/** [offset + n · size, offset + (n + 1) · size): each record is in one. */
export function tumbling(options: WindowOptions & { readonly sizeMs: number; readonly offsetMs?: number }): WindowSpec {
  return { offsetMs: 0, ...options, kind: "tumbling" };
}

/** One that is `sizeMs` long begins every `everyMs`: each record is in several, or, where they leave gaps, in none. */
export function hopping(
  options: WindowOptions & { readonly sizeMs: number; readonly everyMs: number; readonly offsetMs?: number },
): WindowSpec {
  return { offsetMs: 0, ...options, kind: "hopping" };
}

/**
 * One for each time at which the key has a record: that, and all in the `sizeMs` that end with it. A record that is more than the grace
 * behind the watermark is late, and in no window, not even in those that end later: so each is in all of its windows, or late.
 */
export function sliding(options: WindowOptions & { readonly sizeMs: number }): WindowSpec {
  return { ...options, kind: "sliding" };
}

/**
 * From a key's record to `gapMs` after its last: a silence of `gapMs` ends it. With updates, a result replaces those of windows
 * that lie inside of it, which a record between them has joined.
 */
export function session(options: WindowOptions & { readonly gapMs: number }): WindowSpec {
  return { ...options, kind: "session" };
}

/** How far behind the watermark results may be: final ones come when it has passed their time by the grace, updates before that. */
export function heldBack({ graceMs, emit }: WindowSettings): number {
  return emit === "on-close" ? overAt(0, graceMs) : graceMs;
}

/** No window takes the record any more. */
export function late({ lateTo }: WindowSettings, item: Item, context: OperatorContext): void {
  context.count("late");
  if (lateTo !== undefined) to(() => lateTo).process(item, context, 0);
}

/** Which window it is, where its timer is poison. */
export function windowFacts(start: number, end: number): readonly TimerFact[] {
  return [
    ["window-start", String(start)],
    ["window-end", String(end)],
  ];
}

/** A result, final or not, is as old as the newest record that there could be in it: of one window all are of the same time. */
export function emitResult(
  item: Omit<Item, "timestamp" | "value">,
  result: WindowResult<unknown>,
  context: OperatorContext,
): void {
  context.emit({ ...item, value: result, timestamp: result.end - 1 });
}
