/**
 * The user's own operator: a function per record and one per timer, with keyed state. All other verbs could be written so.
 * What a function returns, an array or a generator, goes on under the same key and at the context's time.
 */
import type { Key } from "../encoding/key-codec.ts";
import { keyText } from "../encoding/key-text.ts";
import { notPromise } from "../engine/guards.ts";
import type { Operator, OperatorContext, TimeKind, Timer } from "../engine/operator.ts";
import type { TimerFact } from "../engine/task-input.ts";
import { expire, type StateHandles, type StateSpecs } from "../state/keyed-state.ts";

export interface TimerSetter {
  /** When the watermark reaches the time: records before it have come, others of this very time perhaps not. */
  event(due: number, name?: Key): void;
  /** Before the first record that is later in log time. */
  log(due: number, name?: Key): void;
  clearEvent(due: number, name?: Key): void;
  clearLog(due: number, name?: Key): void;
}

export interface ProcessContext<K extends Key, S extends StateSpecs> {
  readonly key: K;
  /** Event time of the record; while a timer fires, the time that it was due. */
  readonly time: number;
  readonly logTime: number;
  /** No record before this is expected any more, though one of this very time may be; -Infinity at first. */
  readonly watermark: number;
  /** Of this key. */
  readonly state: StateHandles<S>;
  readonly timers: TimerSetter;
  readonly random: () => number;
}

export type FiredTimer = { readonly kind: TimeKind; readonly due: number; readonly name: Key };

/** `Out` comes of records, and `Fired` of timers. */
export type Processor<K extends Key, V, S extends StateSpecs, Out, Fired> = {
  readonly state?: S;
  readonly onRecord: (value: V, context: ProcessContext<K, S>) => Iterable<Out> | undefined;
  readonly onTimer?: (timer: FiredTimer, context: ProcessContext<K, S>) => Iterable<Fired> | undefined;
};

export type AnyProcessor = Processor<Key, unknown, StateSpecs, unknown, unknown>;

/** What the timers of users begin with. */
const USER = "user";

export function process(processor: AnyProcessor): Operator {
  return {
    process(item, context) {
      const values = notPromise(processor.onRecord(item.value, contextOf(processor, item.key, context)));
      for (const value of values ?? []) context.emit({ ...item, value: notPromise(value) });
    },

    onTimer(timer, context) {
      if (expire(timer, context)) return;
      const [, name = null] = timer.name as readonly Key[];
      const fired = { kind: timer.kind, due: timer.due, name };
      const values = notPromise(processor.onTimer?.(fired, contextOf(processor, timer.key, context)));
      for (const value of values ?? [])
        context.emit({ key: timer.key, value: notPromise(value), timestamp: context.time });
    },

    timerFacts: factsOf,
  };
}

function factsOf({ name }: Timer): readonly TimerFact[] {
  const [owner, own = null] = name as readonly Key[];
  return owner === USER && own !== null ? [["timer-name", keyText(own)]] : [];
}

function contextOf({ state = {} }: AnyProcessor, key: Key, context: OperatorContext): ProcessContext<Key, StateSpecs> {
  const { time, logTime, watermark } = context;
  const handles = Object.entries(state).map(([name, spec]) => [name, spec(context, key, name)] as const);
  const timer = (kind: TimeKind, due: number, name: Key = null): Timer => {
    if (!Number.isSafeInteger(due)) throw new RangeError(`a timer is due at ${due}; give it whole milliseconds`);
    return { kind, due, key, name: [USER, name] };
  };
  return {
    key,
    time,
    logTime,
    watermark,
    state: Object.fromEntries(handles),
    timers: {
      event: (due, name) => context.setTimer(timer("event", due, name)),
      log: (due, name) => context.setTimer(timer("log", due, name)),
      clearEvent: (due, name) => context.clearTimer(timer("event", due, name)),
      clearLog: (due, name) => context.clearTimer(timer("log", due, name)),
    },
    random: () => context.random(),
  };
}
