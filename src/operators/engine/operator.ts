/**
 * What an operator is: an object without state of its own, which one task's engine drives by the same rules as any other.
 * All it remembers are rows, so that they can be undone, saved, compared and moved; all it knows of time comes with what it
 * is given. One file in `verbs`, `windows`, `aggregates` or `joins` has one operator.
 */
import type { Key } from "../encoding/key-codec.ts";
import type { NodeRows } from "../state/node-rows.ts";
import type { Item } from "./item.ts";
import type { TaskInput, TaskOutput, TimerFact } from "./task-input.ts";

export interface Operator {
  /** The task's first record is at hand, whatever becomes of it. */
  begin?(context: OperatorContext): void;
  /** `input` is the place, among the node's inputs, of the one that this comes from. */
  process(item: Item, context: OperatorContext, input: number): void;
  onTimer?(timer: Timer, context: OperatorContext): void;
  /** What a timer is about besides its key: asked when it was poison, for nobody could tell otherwise what is missing. */
  timerFacts?(timer: Timer): readonly TimerFact[];
  /** Of a table: what the key has now; null if nothing. Asked by joins, which keep no copy of what they join. */
  lookup?(key: Key, context: OperatorContext): unknown;
}

/** What values are: JSON's, text, or bytes that only the app knows. */
export type SourceFormat = "json" | "text" | "bytes";

/** Where a record comes in. */
export type SourceReader = (input: TaskInput) => Reading;

export type Reading = {
  /** Absent: there is nothing in it for the operators. */
  readonly item?: Item;
  /** Of the tasks that write to the source, which one; 0 unless it is a repartition. */
  readonly lane: number;
  /** What it tells of event time: the record's own, or how far the task was that it is from. Absent: nothing. */
  readonly eventTime?: number;
  /** Of a repartition: how far the app's own input had come in the task that it is from, in log time, and whether all of it was idle. */
  readonly told?: { readonly inputTime: number; readonly idle: boolean };
};

export type TimeKind = "event" | "log";

export type Timer = {
  readonly kind: TimeKind;
  /** Event timers fire when the watermark reaches it; log timers before the first record that is later. */
  readonly due: number;
  readonly key: Key;
  /** Tells a key's timers apart. Setting one again that is there changes nothing. */
  readonly name: Key;
};

export interface OperatorContext {
  /** The node's id. */
  readonly id: string;
  /** The task's. */
  readonly partition: number;
  /** Event time of the record at hand; while a timer fires, the time that it was due. */
  readonly time: number;
  /** The leader's stamp on the record at hand; while a log timer fires, the time that it was due. */
  readonly logTime: number;
  /** No record before this is expected any more at this node, though one of this very time may be; -Infinity at first. */
  readonly watermark: number;
  /** How far the app's own input has come in this task, in log time: behind a repartition, as far as every task has it that writes there. */
  readonly inputTime: number;
  /** All sources of the task are. */
  readonly idle: boolean;
  /** Somewhere in the topology several tasks are waited for: they hear how far each has come also while there is nothing else to tell. */
  readonly aligned: boolean;
  /** From 0 up to, not including, 1: the same on every replica, for it is drawn from node, key and place. */
  random(): number;
  /** To whoever takes from this node; `output` tells branches apart. */
  emit(item: Item, output?: number): void;
  /** Out of the task, to a stream. */
  send(output: TaskOutput): void;
  readonly rows: NodeRows;
  setTimer(timer: Timer): void;
  clearTimer(timer: Timer): void;
  /** In the table that is the node's input of this number. */
  lookup(input: number, key: Key): unknown;
  /**
   * The same before the change that is under way: another than `lookup` has where a table is behind two of the node's inputs, and changed
   * both at once.
   */
  lookupBefore(input: number, key: Key): unknown;
  /** Adds one to a counter that the task shows. */
  count(counter: Counter): void;
}

/** `late`: no window took it any more. `skipped`: a tombstone in a stream, or a record that lacks what a join needs. */
export type Counter = "late" | "skipped";
