/** A stream whose records are put together by key and by time. What comes of it is a stream again, of windows' results. */
import type { Aggregate, AnyAggregate } from "../aggregates/aggregate.ts";
import { count } from "../aggregates/count.ts";
import { reduced } from "../aggregates/fold.ts";
import type { Key } from "../encoding/key-codec.ts";
import type { Operator } from "../engine/operator.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { alignedWindow } from "../windows/aligned-window.ts";
import { sessionWindow } from "../windows/session-window.ts";
import { slidingWindow } from "../windows/sliding-window.ts";
import { heldBack, type Window, type WindowResult, type WindowSettings, type WindowSpec } from "../windows/window.ts";
import type { Named, Port } from "./building.ts";
import { checkMs, checkOneOf, checkOptions, checkSink } from "./settings.ts";
import type { Stream } from "./stream.ts";
import { TopologyError } from "./topology-error.ts";

export class WindowedStream<K extends Key, V> {
  readonly #port: Port;
  readonly #settings: WindowSettings;
  readonly #asStream: <L extends Key, W>(port: Port) => Stream<L, W>;

  constructor(port: Port, spec: WindowSpec, asStream: <L extends Key, W>(port: Port) => Stream<L, W>) {
    this.#port = port;
    this.#settings = checked(spec);
    this.#asStream = asStream;
  }

  aggregate<A, R>(aggregate: Aggregate<V, A, R>, options: Named = {}): Stream<K, WindowResult<R>> {
    const { building, edge, keying } = this.#port;
    const { window, graceMs, emit, lateTo } = this.#settings;
    const operator = operatorOf(this.#settings, aggregate as unknown as AnyAggregate);
    const shape = Object.entries(window)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([name, value]) => (name === "kind" ? [] : [`${name} ${value}`]));
    const detail = [
      aggregate.name,
      ...shape,
      `graceMs ${graceMs}`,
      emit,
      ...(lateTo === undefined ? [] : [`late to ${lateTo}`]),
    ];
    const sink = lateTo === undefined ? {} : { sink: { stream: lateTo, partitions: 1 } };
    const node = { kind: `${window.kind}-window`, inputs: [edge], operator, detail: detail.join(", "), ...sink };
    const holdMs = heldBack(this.#settings);
    return this.#asStream({ building, edge: building.addNamed({ ...node, holdMs }, options), keying });
  }

  reduce(reducer: (a: V, b: V) => V, options: Named = {}): Stream<K, WindowResult<V>> {
    return this.aggregate(reduced(reducer), options);
  }

  count(options: Named = {}): Stream<K, WindowResult<number>> {
    return this.aggregate(count(), options);
  }
}

/** Besides those that all have. */
const WINDOW_OPTIONS: Readonly<Record<Window["kind"], readonly string[]>> = {
  tumbling: ["kind", "sizeMs", "offsetMs"],
  hopping: ["kind", "sizeMs", "everyMs", "offsetMs"],
  sliding: ["kind", "sizeMs"],
  session: ["kind", "gapMs"],
};

function checked(spec: WindowSpec): WindowSettings {
  const { graceMs = 0, emit = "on-close", lateTo, ...window } = spec;
  checkOneOf("window.kind", window.kind, ["tumbling", "hopping", "sliding", "session"]);
  checkOptions(`a ${window.kind} window`, window, WINDOW_OPTIONS[window.kind]);
  checkMs("graceMs", graceMs, 0);
  checkOneOf("emit", emit, ["on-close", "on-change"]);
  if (lateTo !== undefined) checkSink(lateTo, 1);
  if (window.kind === "session") checkMs("gapMs", window.gapMs, 1);
  else checkMs("sizeMs", window.sizeMs, 1);
  if (window.kind === "hopping") checkHops(window);
  if (window.kind === "tumbling" || window.kind === "hopping") checkMs("offsetMs", window.offsetMs, 0);
  return { window, graceMs, emit, lateTo };
}

function checkHops({ sizeMs, everyMs }: { readonly sizeMs: number; readonly everyMs: number }): void {
  checkMs("everyMs", everyMs, 1);
  const windows = Math.ceil(sizeMs / everyMs);
  const { windowsPerRecordMax } = OPERATOR_LIMITS;
  if (windows <= windowsPerRecordMax) return;
  const least = Math.ceil(sizeMs / windowsPerRecordMax);
  throw new TopologyError(
    "bad-setting",
    `each record would be in ${windows} windows of ${sizeMs} ms, and ${windowsPerRecordMax} are the most: give everyMs ${least} or more`,
  );
}

function operatorOf(settings: WindowSettings, aggregate: AnyAggregate): Operator {
  const { window } = settings;
  switch (window.kind) {
    case "tumbling":
      return alignedWindow(settings, { ...window, everyMs: window.sizeMs }, aggregate);
    case "hopping":
      return alignedWindow(settings, window, aggregate);
    case "sliding":
      return slidingWindow(settings, window.sizeMs, aggregate);
    case "session":
      if (aggregate.merge === undefined)
        throw new TopologyError(
          "no-merge",
          `session windows join, and "${aggregate.name}" cannot; give it a function \`merge\``,
        );
      return sessionWindow(settings, window.gapMs, aggregate);
  }
}
