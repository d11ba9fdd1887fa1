/**
 * How far event time has come in a task. Each source's bound is its newest event time less the disorder that it is allowed;
 * the watermark is the least of them. A source without a record for `idleMs` of log time no longer counts until it has one
 * again. It never goes back. Only records and log time decide, so it is the same in every replica (I10, I14).
 *
 * A repartition's reader has such a bound for each task that writes to it: a *lane* counts like a source. That nothing comes of a lane says
 * nothing: its task may stand still, and have much to read. So each tells how far the app's own input had come there in log time (*input time*), and
 * whether all of it was idle by then. What one tells beyond the input time that all lanes have come to waits (`told.ts`): no task runs ahead of
 * another's input, whoever of them stood still, or is replayed first. Only for a lane that never told anything the others need not wait for ever: they
 * go on alone once their input has come `idleMs` further than log time was when the reader began.
 *
 * When all sources are idle it goes as far as the furthest had come. There it waits, as a source that is only late must not
 * find its windows closed; or, where the topology says so, it passes as log time does, which closes the last windows. Lanes tell so themselves.
 */
import { assert } from "../../lib/assert.ts";
import type { Silence, SourceSettings } from "./graph.ts";
import type { Reading } from "./operator.ts";
import { queued, type Told } from "./told.ts";

export type SavedWatermarks = {
  readonly reached: number;
  readonly inputTime: number;
  readonly sources: Readonly<Record<string, SavedSource>>;
};
type SavedSource = {
  /** As of the input time that all lanes have come to. */
  readonly bound: number;
  readonly idle: boolean;
  /** Log time of its last record; before the first, since when it is waited for. */
  readonly seen: number;
  /** Of a lane: the newest input time; -Infinity: it never told one. */
  readonly inputTime: number;
  /** Beyond the input time that all lanes have come to. */
  readonly waiting: readonly Told[];
};

type Source = { -readonly [Field in keyof SavedSource]: SavedSource[Field] } & {
  readonly settings: SourceSettings;
  readonly id: string;
};

const NOTHING_TOLD = { bound: -Infinity, idle: false, inputTime: -Infinity, waiting: [] } as const;

export class Watermarks {
  readonly #sources: readonly Source[];
  readonly #lanes: readonly Source[];
  readonly #silence: Silence;
  #reached = -Infinity;
  #inputTime = -Infinity;

  constructor(sources: readonly SourceSettings[], silence: Silence) {
    // Before the first record nobody waits for anyone.
    this.#sources = sources.flatMap((settings) =>
      Array.from({ length: settings.lanes }, (_, lane) => {
        return { settings, id: idOf(settings.name, lane), seen: Infinity, ...NOTHING_TOLD };
      }),
    );
    this.#lanes = this.#sources.filter(({ settings }) => settings.internal);
    this.#silence = silence;
  }

  get reached(): number {
    return this.#reached;
  }

  /** All sources are, as of the input time. */
  get idle(): boolean {
    return this.#sources.every(({ idle }) => idle);
  }

  /** How far the app's own input has come here, at this log time of the task. */
  inputTime(logTime: number): number {
    return this.#lanes.length === 0 ? logTime : this.#inputTime;
  }

  /** The task's first record: from now on its sources are waited for. */
  begin(logTime: number): void {
    for (const source of this.#sources) source.seen = logTime;
  }

  /** A record of a source; without a reading, if it could not be read. */
  observe(name: string, logTime: number, reading: Omit<Reading, "item"> | undefined): void {
    const id = idOf(name, reading?.lane ?? 0);
    const source = this.#sources.find((other) => other.id === id);
    assert(source !== undefined, `a record comes from one of the task's sources, not "${id}"`);
    source.seen = logTime;
    const { eventTime = -Infinity, told } = reading ?? {};
    const bound = Math.max(newestOf(source).bound, eventTime - source.settings.outOfOrderMs);
    if (!source.settings.internal) this.#tell(source, { inputTime: logTime, bound, idle: false });
    else if (told !== undefined) {
      source.inputTime = Math.max(source.inputTime, told.inputTime);
      this.#tell(source, { inputTime: source.inputTime, bound, idle: told.idle });
    }
    this.#raise(logTime);
  }

  /**
   * The log time at which the watermark changes, if nothing comes: a source becomes idle, or silence carries it to `due`,
   * the earliest event time that somebody waits for. Infinity: it does not.
   */
  nextChange(due: number): number {
    let next = Infinity;
    for (const source of this.#sources) next = Math.min(next, this.#idleAt(source));
    if (next < Infinity || !this.#passes || due === Infinity) return next;
    return this.#silentSince + Math.max(0, due - this.#furthest);
  }

  /** Log time has come so far, and all that was due before has been done. */
  pass(logTime: number): void {
    for (const source of this.#sources) {
      const inputTime = this.#idleAt(source);
      if (!source.settings.internal && inputTime <= logTime)
        this.#tell(source, { inputTime, bound: newestOf(source).bound, idle: true });
    }
    this.#raise(logTime);
    if (this.#passes) this.#reach(this.#furthest + (logTime - this.#silentSince));
  }

  save(): SavedWatermarks {
    const sources = this.#sources.map(
      ({ id, bound, idle, seen, inputTime, waiting }) => [id, { bound, idle, seen, inputTime, waiting }] as const,
    );
    return { reached: this.#reached, inputTime: this.#inputTime, sources: Object.fromEntries(sources) };
  }

  /** A source that was not there is new: it is waited for since `logTime`. */
  load({ reached, inputTime, sources }: SavedWatermarks, logTime: number): void {
    this.#reached = reached;
    this.#inputTime = inputTime;
    for (const source of this.#sources) Object.assign(source, sources[source.id] ?? { ...NOTHING_TOLD, seen: logTime });
  }

  /** Silence passes as log time does. What lanes tell has passed where they are from. */
  get #passes(): boolean {
    return this.#silence === "advance" && this.#lanes.length === 0 && this.#furthest > -Infinity && this.idle;
  }

  get #furthest(): number {
    return Math.max(...this.#sources.map(({ bound }) => bound));
  }

  get #silentSince(): number {
    return Math.max(...this.#sources.map(({ seen, settings }) => seen + settings.idleMs));
  }

  /** In log time, if nothing comes of it; Infinity: it is, or others tell. */
  #idleAt(source: Source): number {
    const { settings, seen } = source;
    const isTold = settings.internal && this.#lanes.some(isHeard);
    return newestOf(source).idle || isTold ? Infinity : seen + settings.idleMs;
  }

  /** Of one source alone, or without lanes, nothing waits: all of it is as of now. */
  #tell(source: Source, told: Told): void {
    if (this.#lanes.length === 0 || this.#sources.length === 1) apply(source, told);
    else source.waiting = queued(source.waiting, told);
  }

  #raise(logTime: number): void {
    if (this.#lanes.length > 0) this.#align(logTime);
    const counted = this.#sources.filter(({ idle }) => !idle);
    this.#reach(counted.length > 0 ? Math.min(...counted.map(({ bound }) => bound)) : this.#furthest);
  }

  /** As far as the input of all lanes has come. One that never told anything holds them up as long as it is waited for. */
  #align(logTime: number): void {
    const heard = this.#lanes.filter(isHeard);
    const come = Math.min(logTime, ...heard.map(({ inputTime }) => inputTime));
    const unheard = this.#lanes.filter((lane) => !isHeard(lane) && !lane.idle);
    for (const lane of unheard) lane.idle = lane.seen + lane.settings.idleMs <= come;
    if (unheard.every(({ idle }) => idle)) this.#inputTime = Math.max(this.#inputTime, come);
    for (const source of this.#sources) {
      const due = source.waiting.findLastIndex(({ inputTime }) => inputTime <= this.#inputTime);
      if (due < 0) continue;
      apply(source, source.waiting[due] as Told);
      source.waiting = source.waiting.slice(due + 1);
    }
  }

  #reach(time: number): void {
    this.#reached = Math.max(this.#reached, time);
  }
}

function apply(source: Source, { bound, idle }: Told): void {
  source.bound = bound;
  source.idle = idle;
}

function newestOf({ bound, idle, waiting }: Source): Pick<Told, "bound" | "idle"> {
  return waiting.at(-1) ?? { bound, idle };
}

/** It told how far its input has come. */
function isHeard({ inputTime }: Source): boolean {
  return inputTime > -Infinity;
}

/** A number comes last, and names end with anything: no two are alike. */
function idOf(name: string, lane: number): string {
  return `${name} ${lane}`;
}
