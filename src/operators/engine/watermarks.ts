/**
 * How far event time has come in a task. Each source's bound is its newest event time less the disorder that it is allowed;
 * the watermark is the least of them. A repartition's reader has such a bound for each task that writes to it: a *lane* counts
 * like a source. A source without a record for `idleMs` of log time no longer counts until it has one
 * again. It never goes back. Only records and log time decide, so it is the same in every replica (I10, I14).
 *
 * When all sources are idle it goes as far as the furthest had come. There it waits, as a source that is only late must not
 * find its windows closed; or, where the topology says so, it passes as log time does, which closes the last windows.
 */
import { assert } from "../../lib/assert.ts";
import type { Silence, SourceSettings } from "./graph.ts";

export type SavedWatermarks = {
  readonly reached: number;
  readonly sources: Readonly<Record<string, SavedSource>>;
};
type SavedSource = { readonly bound: number; readonly seen: number; readonly idle: boolean };

type Source = { readonly settings: SourceSettings; readonly id: string; bound: number; seen: number; idle: boolean };

export class Watermarks {
  readonly #sources: readonly Source[];
  readonly #silence: Silence;
  #reached = -Infinity;

  constructor(sources: readonly SourceSettings[], silence: Silence) {
    // Before the first record nobody waits for anyone.
    this.#sources = sources.flatMap((settings) =>
      Array.from({ length: settings.lanes }, (_, lane) => {
        return { settings, id: idOf(settings.name, lane), bound: -Infinity, seen: Infinity, idle: false };
      }),
    );
    this.#silence = silence;
  }

  get reached(): number {
    return this.#reached;
  }

  /** The task's first record: from now on its sources are waited for. */
  begin(logTime: number): void {
    for (const source of this.#sources) source.seen = logTime;
  }

  /** A record of a source; without an event time, if it could not be read. */
  observe(name: string, lane: number, logTime: number, eventTime?: number): void {
    const source = this.#sources.find(({ id }) => id === idOf(name, lane));
    assert(source !== undefined, `a record comes from one of the task's sources, not "${name}", ${lane}`);
    source.seen = logTime;
    source.idle = false;
    if (eventTime !== undefined) source.bound = Math.max(source.bound, eventTime - source.settings.outOfOrderMs);
    this.#raise();
  }

  /**
   * The log time at which the watermark changes, if nothing comes: a source becomes idle, or silence carries it to `due`,
   * the earliest event time that somebody waits for. Infinity: it does not.
   */
  nextChange(due: number): number {
    let next = Infinity;
    for (const { idle, seen, settings } of this.#sources) if (!idle) next = Math.min(next, seen + settings.idleMs);
    if (next < Infinity || !this.#passes || due === Infinity) return next;
    return this.#silentSince + Math.max(0, due - this.#furthest);
  }

  /** Log time has come so far, and all that was due before has been done. */
  pass(logTime: number): void {
    for (const source of this.#sources) if (source.seen + source.settings.idleMs <= logTime) source.idle = true;
    this.#raise();
    if (this.#passes) this.#reach(this.#furthest + (logTime - this.#silentSince));
  }

  save(): SavedWatermarks {
    const sources = this.#sources.map(({ id, bound, seen, idle }) => [id, { bound, seen, idle }] as const);
    return { reached: this.#reached, sources: Object.fromEntries(sources) };
  }

  /** A source that was not there is new: it is waited for since `logTime`. */
  load({ reached, sources }: SavedWatermarks, logTime: number): void {
    this.#reached = reached;
    for (const source of this.#sources) {
      const saved = sources[source.id];
      Object.assign(source, saved ?? { bound: -Infinity, seen: logTime, idle: false });
    }
  }

  get #passes(): boolean {
    return this.#silence === "advance" && this.#furthest > -Infinity && this.#sources.every(({ idle }) => idle);
  }

  get #furthest(): number {
    return Math.max(...this.#sources.map(({ bound }) => bound));
  }

  get #silentSince(): number {
    return Math.max(...this.#sources.map(({ seen, settings }) => seen + settings.idleMs));
  }

  #raise(): void {
    const counted = this.#sources.filter(({ idle }) => !idle);
    this.#reach(counted.length > 0 ? Math.min(...counted.map(({ bound }) => bound)) : this.#furthest);
  }

  #reach(time: number): void {
    this.#reached = Math.max(this.#reached, time);
  }
}

/** A number comes last, and names end with anything: no two are alike. */
function idOf(name: string, lane: number): string {
  return `${name} ${lane}`;
}
