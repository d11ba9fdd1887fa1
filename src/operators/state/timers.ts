/**
 * A task's timers, which are rows that sort by (time, node, key, name). The earliest of each kind is remembered, so that a
 * record that makes none due costs no search; and where the search ended, so that the next one begins there: a store on disk walks over
 * what was deleted until that is flushed, which for many timers at once would be all that fired before.
 */
import { compareBytes } from "../../lib/bytes.ts";
import type { Rows } from "./rows.ts";
import { behind, type TimerKind, timerOfRow, type TimerParts, timerPrefix, timerRow } from "./row-keys.ts";

const NO_VALUE: Uint8Array = new Uint8Array(0);

export type DueTimer = TimerParts & { readonly row: Uint8Array };

export class Timers {
  readonly #rows: Rows;
  /** Infinity: there is none; undefined: to be looked up. */
  #earliest: Record<TimerKind, number | undefined> = { log: undefined, event: undefined };
  /** No row of a timer is before it. */
  #from: Record<TimerKind, Uint8Array> = fromPrefixes();

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  set(kind: TimerKind, timer: TimerParts): void {
    const row = timerRow(kind, timer);
    this.#rows.put(row, NO_VALUE);
    if (compareBytes(row, this.#from[kind]) < 0) this.#from[kind] = row;
    const earliest = this.#earliest[kind];
    if (earliest !== undefined && timer.due < earliest) this.#earliest[kind] = timer.due;
  }

  clear(kind: TimerKind, timer: TimerParts): void {
    this.remove(kind, timerRow(kind, timer));
  }

  remove(kind: TimerKind, row: Uint8Array): void {
    this.#rows.delete(row);
    this.#earliest[kind] = undefined;
  }

  /** When the earliest is due; Infinity if there is none. */
  earliest(kind: TimerKind): number {
    return (this.#earliest[kind] ??= this.first(kind)?.due ?? Infinity);
  }

  first(kind: TimerKind): DueTimer | undefined {
    const end = behind(timerPrefix(kind));
    for (const [row] of this.#rows.range(this.#from[kind], end)) {
      // Kept for longer than the row's memory may be.
      this.#from[kind] = row.slice();
      return { ...timerOfRow(row), row };
    }
    this.#from[kind] = end;
    return undefined;
  }

  /** The rows were changed by somebody else: undone. */
  forget(): void {
    this.#earliest = { log: undefined, event: undefined };
    this.#from = fromPrefixes();
  }
}

function fromPrefixes(): Record<TimerKind, Uint8Array> {
  return { log: timerPrefix("log"), event: timerPrefix("event") };
}
