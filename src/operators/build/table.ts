/** A table in a topology: the newest value of each key, as something to join and to look up. */
import type { Key } from "../encoding/key-codec.ts";
import type { Operator } from "../engine/operator.ts";
import type { AnyJoiner, Joiner, JoinKind, Meeting } from "../joins/joiner.ts";
import { tableTableJoin } from "../joins/table-table-join.ts";
import type { Callback } from "../verbs/callback.ts";
import type { Partitioner } from "../verbs/partitioner.ts";
import { TABLE_TO_STREAM } from "../verbs/pass.ts";
import { tableFilter, tableMap } from "../verbs/table-map.ts";
import type { Named, Port } from "./building.ts";
import { checkCoPartitioned } from "./keying.ts";
import type { Stream } from "./stream.ts";
import { TopologyError } from "./topology-error.ts";

/** Only what keeps all changes of a key in one partition is a table again there. */
type TablePartitioner = Extract<Partitioner, { readonly kind: "hash" | "range" }>;

export type TableToOptions = Named & {
  /** Default 1; more are `stream/0`, `stream/1` … */
  readonly partitions?: number;
  /** Default: by a hash of the key. */
  readonly by?: TablePartitioner;
};

export type TableRepartitionOptions = Named & {
  /** Default: as many as before. */
  readonly partitions?: number;
  /** Default: by a hash of the key. */
  readonly by?: TablePartitioner;
};

export class Table<K extends Key, V> {
  /** Where it stands in the graph; for other handles. */
  readonly port: Port;
  readonly #asStream: <L extends Key, W>(port: Port) => Stream<L, W>;

  constructor(port: Port, asStream: <L extends Key, W>(port: Port) => Stream<L, W>) {
    this.port = port;
    this.#asStream = asStream;
  }

  /** What is not accepted is not in the new table. It keeps no state, so the predicate is asked again at each look-up. */
  filter(predicate: Callback<K, V, boolean>, options: Named = {}): Table<K, V> {
    return this.#then("table-filter", tableFilter(predicate), options);
  }

  /** Keeps no state either. What is mapped to null is not in the new table. */
  map<R>(mapper: Callback<K, V, R>, options: Named = {}): Table<K, NonNullable<R>> {
    return this.#then("table-map", tableMap(mapper), options);
  }

  /** A table of what both have of a key. */
  join<L extends Meeting<K>, W, R>(
    other: Table<L, W>,
    joiner: Joiner<K, V, W, R>,
    options: Named = {},
  ): Table<K, NonNullable<R>> {
    return this.#join("inner", other, joiner, options);
  }

  /** Of all keys that this has, with null where the other has nothing. */
  leftJoin<L extends Meeting<K>, W, R>(
    other: Table<L, W>,
    joiner: Joiner<K, V, W | null, R>,
    options: Named = {},
  ): Table<K, NonNullable<R>> {
    return this.#join("left", other, joiner, options);
  }

  /** Of all keys that either has. */
  outerJoin<L extends Meeting<K>, W, R>(
    other: Table<L, W>,
    joiner: Joiner<K | L, V | null, W | null, R>,
    options: Named = {},
  ): Table<K | L, NonNullable<R>> {
    return this.#join("outer", other, joiner, options);
  }

  /** The same table in other partitions, through an internal stream of the log that has its changes, deletions among them. */
  repartition(options: TableRepartitionOptions = {}): Table<K, NonNullable<V>> {
    return this.#asStream<K, V>(this.port).repartition(checked(options)).toTable();
  }

  /** Its changes, as records; deletions are left out. */
  toStream(options: Named = {}): Stream<K, V> {
    const { building, edge, keying } = this.port;
    const stream = building.addNamed({ kind: "to-stream", inputs: [edge], operator: TABLE_TO_STREAM }, options);
    return this.#asStream({ building, edge: stream, keying });
  }

  /** Its changes, to a stream of the log that a table can be read from again: deletions are tombstones. */
  to(stream: string, options: TableToOptions = {}): void {
    this.#asStream(this.port).to(stream, checked(options));
  }

  #join<L extends Key, R>(kind: JoinKind, other: Table<L, unknown>, joiner: AnyJoiner, options: Named): Table<K, R> {
    const { building, edge, keying } = this.port;
    building.checkOwn(other.port);
    checkCoPartitioned(keying, other.port.keying, true, `a ${kind} join of tables`);
    const node = { kind: "table-table-join", inputs: [edge, other.port.edge], operator: tableTableJoin(kind, joiner) };
    return new Table({ building, edge: building.addNamed({ ...node, detail: kind }, options), keying }, this.#asStream);
  }

  #then<R>(kind: string, operator: Operator, options: Named): Table<K, R> {
    const { building, edge, keying } = this.port;
    return new Table(
      { building, edge: building.addNamed({ kind, inputs: [edge], operator }, options), keying },
      this.#asStream,
    );
  }
}

/** What plain JavaScript may give. */
function checked<T extends { readonly by?: Partitioner }>(options: T): T {
  const kind = options.by?.kind ?? "hash";
  if (kind === "hash" || kind === "range") return options;
  throw new TopologyError("bad-setting", `a table's changes go by hash or by range, and not by ${kind}`);
}
