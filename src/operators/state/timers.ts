/**
 * A task's timers, which are rows that sort by (time, node, key, name). The earliest of each kind is remembered, so that a
 * record that makes none due costs no search.
 */
import type { Rows } from "./rows.ts";
import { behind, type TimerKind, timerOfRow, type TimerParts, timerPrefix, timerRow } from "./row-keys.ts";

const NO_VALUE: Uint8Array = new Uint8Array(0);

export type DueTimer = TimerParts & { readonly row: Uint8Array };

export class Timers {
  readonly #rows: Rows;
  /** Infinity: there is none; undefined: to be looked up. */
  #earliest: Record<TimerKind, number | undefined> = { log: undefined, event: undefined };

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  set(kind: TimerKind, timer: TimerParts): void {
    this.#rows.put(timerRow(kind, timer), NO_VALUE);
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
    const prefix = timerPrefix(kind);
    for (const [row] of this.#rows.range(prefix, behind(prefix))) return { ...timerOfRow(row), row };
    return undefined;
  }

  /** The rows were changed by somebody else: undone. */
  forget(): void {
    this.#earliest = { log: undefined, event: undefined };
  }
}
