/**
 * How far a task has come: its cursor, what it reads next of each source, its log time, its watermark, its outputs' number and the chain over them. It is a row like its
 * state, so that all of them move together (I12); the row is written where somebody looks: at digest points and commits.
 */
import { assert } from "../../lib/assert.ts";
import type { Offset } from "../../record/offset.ts";
import { BEFORE_RECORDS, compareRecordPlaces, type RecordPlace } from "../../record/record-place.ts";
import type { TaskPlace } from "../../record/task-place.ts";
import { decodeValue, encodeValue } from "../encoding/value-codec.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { PROGRESS_ROW } from "../state/row-keys.ts";
import type { Rows } from "../state/rows.ts";
import type { StateStore } from "../state/state-store.ts";
import type { Counter } from "./operator.ts";
import type { TaskInput } from "./task-input.ts";
import type { SavedWatermarks, Watermarks } from "./watermarks.ts";

export type Counters = Readonly<Record<Counter, number>>;

/** By source: the offset behind the last record taken in; nothing for one that had none yet. */
export type NextOffsets = Readonly<Record<string, Offset>>;

type Saved = {
  readonly cursor: RecordPlace;
  readonly nextOffsets: NextOffsets;
  readonly records: number;
  readonly logTime: number;
  readonly undigested: boolean;
  readonly pointDue: boolean;
  readonly clock: number;
  readonly setDue: number;
  readonly outputs: number;
  readonly chain: bigint;
  readonly counters: Counters;
  readonly watermarks: SavedWatermarks;
};

const NOTHING: Omit<Saved, "watermarks"> = {
  cursor: BEFORE_RECORDS,
  nextOffsets: {},
  records: 0,
  logTime: -Infinity,
  undigested: false,
  pointDue: false,
  clock: -Infinity,
  setDue: 0,
  outputs: 0,
  chain: 0n,
  counters: { late: 0, skipped: 0 },
};

export class Progress {
  readonly watermarks: Watermarks;
  readonly #nothing: Saved;
  #now: Saved;

  constructor(watermarks: Watermarks) {
    this.watermarks = watermarks;
    this.#nothing = { ...NOTHING, watermarks: watermarks.save() };
    this.#now = this.#nothing;
  }

  get cursor(): RecordPlace {
    return this.#now.cursor;
  }

  get place(): TaskPlace {
    const { cursor, outputs } = this.#now;
    return { cursor, outputs };
  }

  get nextOffsets(): NextOffsets {
    return this.#now.nextOffsets;
  }

  /** Taken in so far; those that were passed over count. */
  get records(): number {
    return this.#now.records;
  }

  /** Of the last thing that happened, record or timer; -Infinity before the first. */
  get logTime(): number {
    return this.#now.logTime;
  }

  /** Something happened since the last digest point. */
  get undigested(): boolean {
    return this.#now.undigested;
  }

  /** The newest record has a digest point behind it, and behind the timers that it made due. */
  get pointDue(): boolean {
    return this.#now.pointDue;
  }

  /** How far event time has come for operators: to the watermark, or while timers that it made due fire, as far as these. */
  get clock(): number {
    return this.#now.clock;
  }

  set clock(clock: number) {
    if (clock !== this.#now.clock) this.#now = { ...this.#now, clock };
  }

  get chain(): bigint {
    return this.#now.chain;
  }

  get counters(): Counters {
    return this.#now.counters;
  }

  /** A record is taken in. */
  record({ place, logTime, source, offset }: TaskInput): void {
    const now = this.#now;
    assert(compareRecordPlaces(place, now.cursor) > 0, "I12: a record is taken in once, in the log's order");
    assert(logTime >= now.logTime, "log time never goes back");
    const records = now.records + 1;
    this.#now = {
      ...now,
      cursor: { position: place.position, ordinal: place.ordinal, index: place.index },
      nextOffsets: { ...now.nextOffsets, [source]: offset + 1 },
      records,
      logTime,
      undigested: true,
      pointDue: records % OPERATOR_LIMITS.digestEveryRecords === 0,
      setDue: 0,
    };
  }

  /** Something fell due without a record. */
  elapse(logTime: number): void {
    const now = this.#now;
    const setDue = logTime > now.logTime ? 0 : now.setDue;
    this.#now = { ...now, logTime: Math.max(now.logTime, logTime), undigested: true, setDue };
  }

  /** A timer set another for a time that had come; answers how often that was so in this instant. */
  setDue(): number {
    this.#now = { ...this.#now, setDue: this.#now.setDue + 1 };
    return this.#now.setDue;
  }

  /** One more output; `chain`: with it. */
  output(chain: bigint): void {
    this.#now = { ...this.#now, outputs: this.#now.outputs + 1, chain };
  }

  /** So many outputs are committed, with this chain, whatever came out here: the next has the number behind them. */
  renumber(outputs: number, chain: bigint): void {
    this.#now = { ...this.#now, outputs, chain };
  }

  count(counter: Counter): void {
    const { counters } = this.#now;
    this.#now = { ...this.#now, counters: { ...counters, [counter]: counters[counter] + 1 } };
  }

  digested(logTime: number): void {
    this.#now = { ...this.#now, logTime, undigested: false, pointDue: false };
  }

  /** A way back from what operators do: they change neither the place nor the watermark. */
  mark(): Saved {
    return this.#now;
  }

  rollback(mark: Saved): void {
    this.#now = mark;
  }

  save(): Saved {
    return { ...this.#now, watermarks: this.watermarks.save() };
  }

  restore(saved: Saved): void {
    this.#now = saved;
    this.watermarks.load(saved.watermarks, saved.logTime);
  }

  write(rows: Rows): void {
    rows.put(PROGRESS_ROW, encodeValue(this.save()));
  }

  /** As it was when it was last written. */
  read(rows: Rows): void {
    this.restore(savedIn(rows) ?? this.#nothing);
  }
}

/** How far the task has come whose rows these are. */
export function placeIn(rows: Pick<StateStore, "get">): TaskPlace {
  const { cursor, outputs } = savedIn(rows) ?? NOTHING;
  return { cursor, outputs };
}

function savedIn(rows: Pick<StateStore, "get">): Saved | undefined {
  const stored = rows.get(PROGRESS_ROW);
  const decoded = stored === undefined ? undefined : decodeValue(stored);
  assert(decoded?.ok !== false, "the row of progress is one that was written");
  return decoded?.value as Saved | undefined;
}
