/** A task, a stream of snapshots in memory that can be harmed, and a clock that does not wait: what tests of snapshots need. */
import type { Clock } from "../../src/ports/clock.ts";
import type { Incarnation, Offset } from "../../src/record/offset.ts";
import { hex, utf8 } from "../../src/lib/bytes.ts";
import { topology } from "../../src/operators/build/topology.ts";
import type { Stage } from "../../src/operators/engine/graph.ts";
import type { TaskInput } from "../../src/operators/engine/task-input.ts";
import { mapState } from "../../src/operators/state/keyed-state.ts";
import type { StateStore } from "../../src/operators/state/state-store.ts";
import { SNAPSHOT_SIZES, type SnapshotSizes } from "../../src/runtime/snapshots/limits.ts";
import type { SpareKv } from "../../src/runtime/snapshots/snapshotter.ts";
import type { SnapshotStream, StreamBounds, StreamPart } from "../../src/runtime/snapshots/snapshot-stream.ts";

import type { TaskPlace } from "../../src/record/task-place.ts";
import { SimKv } from "../../src/sim/kv.ts";

/** Further than any task. */
export const ANYWHERE: TaskPlace = { cursor: { position: Infinity, ordinal: 0, index: 0 }, outputs: Infinity };

/** So small that a few rows make several pieces. */
export const SMALL_SIZES: SnapshotSizes = {
  ...SNAPSHOT_SIZES,
  sliceBytesMin: 200,
  sliceBytesMax: 400,
  deltaBytes: 150,
  rowsPerTurn: 2,
  snapshotsPerCycle: 8,
};

/** Everything comes in the next turn. */
export const INSTANT: Clock = {
  now: () => 0,
  monotonic: () => 0,
  schedule: (_, run) => {
    queueMicrotask(run);
    return { cancel: () => undefined };
  },
  defer: (run) => queueMicrotask(run),
};

/** A disk that has room for a snapshot's rows once more. */
export async function openSpare(): Promise<SpareKv> {
  const kv = new SimKv();
  return { kv, discard: () => kv.close() };
}

const READ_VALUES = 3;

export class MemorySnapshots implements SnapshotStream {
  incarnation = 1;
  first: Offset = 0;
  values: Uint8Array[] = [];
  /** Called before every append; may throw. */
  onAppend: () => void = () => undefined;

  get next(): Offset {
    return this.first + this.values.length;
  }

  get bytes(): number {
    return this.values.reduce((sum, { length }) => sum + length, 0);
  }

  async bounds(): Promise<StreamBounds> {
    return { first: this.first, next: this.next, incarnation: this.incarnation };
  }

  /** Readers at once, at most. */
  readers = 0;
  /** Awaited in every read. */
  pace: () => Promise<void> = async () => undefined;
  #reading = 0;

  async read(from: Offset): Promise<StreamPart> {
    this.#reading += 1;
    this.readers = Math.max(this.readers, this.#reading);
    await this.pace();
    this.#reading -= 1;
    const start = Math.max(from, this.first);
    return { from: start, values: this.values.slice(start - this.first, start - this.first + READ_VALUES) };
  }

  async append(values: readonly Uint8Array[]): Promise<Offset> {
    this.onAppend();
    const first = this.next;
    this.values.push(...values.map((value) => value.slice()));
    return first;
  }

  async trim(before: Offset, incarnation: Incarnation): Promise<void> {
    if (before <= this.first || incarnation !== this.incarnation) return;
    this.values.splice(0, before - this.first);
    this.first = before;
  }

  /** And somebody has made it anew by then. */
  deleteAll(): void {
    this.incarnation += 1;
    this.first = 0;
    this.values = [];
  }
}

export type Step = {
  readonly key: number;
  readonly field: number;
  readonly text: string | null;
  readonly timer: boolean;
};

/** Keeps texts by key and field, forgets some by timers, and tells of what it replaces. */
export function stage(): Stage {
  const app = topology("texts");
  app
    .stream("in", { key: (value) => (value as Step).key })
    .process({
      state: { texts: mapState<number, string>() },
      *onRecord(value, { state, timers, logTime }) {
        const { field, text, timer } = value as Step;
        yield `${state.texts.get(field) ?? "nothing"} became ${text ?? "nothing"}`;
        if (text === null) state.texts.delete(field);
        else state.texts.set(field, text);
        if (timer) timers.log(logTime + 25_000, field);
      },
      *onTimer({ name }, { state }) {
        state.texts.delete(name as number);
        yield `${name as number} went`;
      },
    })
    .to("out");
  return app.build().stages[0] as Stage;
}

export function inputOf(n: number, logTime: number, step: Step): TaskInput {
  const place = { position: n, ordinal: 0, index: 0 };
  return { source: "in", offset: n - 1, place, value: utf8(JSON.stringify(step)), logTime };
}

export function shown(store: StateStore): string[] {
  return [...store.range(new Uint8Array(0), Uint8Array.of(0xff))].map(([key, value]) => `${hex(key)}=${hex(value)}`);
}
