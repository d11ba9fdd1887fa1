/** What goes into a task and what comes out of it. */
import type { Key } from "../encoding/key-codec.ts";
import type { RecordHeader } from "../../record/record.ts";
import type { RecordPlace } from "../../record/record-place.ts";

export type TaskInput = {
  /** The source's name in the topology; which partition of it is the task's own matter. */
  readonly source: string;
  readonly offset: number;
  /** In the log's one order; it only ever grows. */
  readonly place: RecordPlace;
  readonly key?: Uint8Array;
  readonly value: Uint8Array | null;
  readonly headers?: readonly RecordHeader[];
  /** Event time; absent, log time. */
  readonly timestamp?: number;
  /** The leader's stamp, which never goes back. */
  readonly logTime: number;
};

export type TaskOutput = {
  readonly stream: string;
  readonly key?: Uint8Array;
  readonly value: Uint8Array | null;
  readonly timestamp: number;
  readonly headers?: readonly RecordHeader[];
};

/** What a timer is about, for people: of a window's where it starts, say. */
export type TimerFact = readonly [name: string, value: string];

/**
 * What a task cannot get past: a callback, or a decoder, threw. Nothing that the record or the timer did is left; something else goes
 * out in its place, or the task stops.
 */
export type Poison = {
  readonly operator: string;
  readonly error: unknown;
  readonly at:
    | { readonly kind: "record"; readonly source: string; readonly offset: number }
    /** `node`: whose timer it is; `due`: when its task fired it. */
    | {
        readonly kind: "timer";
        readonly node: string;
        readonly due: number;
        readonly key: Key;
        readonly facts: readonly TimerFact[];
      };
};
