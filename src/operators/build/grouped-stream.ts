/** A stream whose records are put together by key: all of a key, or those of a window. */
import { aggregateByKey, type Aggregate, type AnyAggregate } from "../aggregates/aggregate.ts";
import { count } from "../aggregates/count.ts";
import { reduced } from "../aggregates/fold.ts";
import type { Key } from "../encoding/key-codec.ts";
import type { WindowSpec } from "../windows/window.ts";
import type { Named, Port } from "./building.ts";
import type { Stream } from "./stream.ts";
import { Table } from "./table.ts";
import { WindowedStream } from "./windowed-stream.ts";

export class GroupedStream<K extends Key, V> {
  readonly #port: Port;
  readonly #asStream: <L extends Key, W>(port: Port) => Stream<L, W>;

  constructor(port: Port, asStream: <L extends Key, W>(port: Port) => Stream<L, W>) {
    this.#port = port;
    this.#asStream = asStream;
  }

  /** What each key has so far; it only grows. */
  aggregate<A, R>(aggregate: Aggregate<V, A, R>, options: Named = {}): Table<K, NonNullable<R>> {
    const { building, edge, keying } = this.#port;
    const operator = aggregateByKey(aggregate as unknown as AnyAggregate);
    const node = { kind: "aggregate", inputs: [edge], operator, detail: aggregate.name };
    return new Table({ building, edge: building.addNamed(node, options), keying }, this.#asStream);
  }

  reduce(reducer: (a: V, b: V) => V, options: Named = {}): Table<K, NonNullable<V>> {
    return this.aggregate(reduced(reducer), options);
  }

  count(options: Named = {}): Table<K, number> {
    return this.aggregate(count(), options);
  }

  /** `tumbling`, `hopping`, `sliding` or `session`. */
  window(spec: WindowSpec): WindowedStream<K, V> {
    return new WindowedStream(this.#port, spec, this.#asStream);
  }
}
