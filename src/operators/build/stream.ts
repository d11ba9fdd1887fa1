/** A stream in a topology: its verbs add nodes to the graph, and nothing runs until a task does. */
import type { Key } from "../encoding/key-codec.ts";
import { keyText } from "../encoding/key-text.ts";
import type { Operator } from "../engine/operator.ts";
import type { AnyJoiner, Joiner, JoinKind, Meeting } from "../joins/joiner.ts";
import { heldBack, type JoinBounds, streamStreamJoin } from "../joins/stream-stream-join.ts";
import { streamTableJoin } from "../joins/stream-table-join.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { type StateSpecs, statesText } from "../state/keyed-state.ts";
import { branch } from "../verbs/branch.ts";
import type { AnyCallback, Callback } from "../verbs/callback.ts";
import { dedupe } from "../verbs/dedupe.ts";
import { filter } from "../verbs/filter.ts";
import { flatMap } from "../verbs/flat-map.ts";
import { keyBy } from "../verbs/key-by.ts";
import { map } from "../verbs/map.ts";
import { HASH, type Partitioner, partitionFor, partitionStream } from "../verbs/partitioner.ts";
import { PASS } from "../verbs/pass.ts";
import { type AnyProcessor, process, type Processor } from "../verbs/process.ts";
import { readRepartitioned, repartition } from "../verbs/repartition.ts";
import { TABLE } from "../verbs/table.ts";
import { type Route, to } from "../verbs/to.ts";
import type { Named, Port } from "./building.ts";
import { GroupedStream } from "./grouped-stream.ts";
import { checkCoPartitioned, isKeyed, type Keying, ruleOf } from "./keying.ts";
import { checkCount, checkMs, checkOptions, checkPartitioner, checkSink } from "./settings.ts";
import { Table } from "./table.ts";

export type RepartitionOptions = Named & {
  /** Default: as many as before. */
  readonly partitions?: number;
  /** Default: by a hash of the key. */
  readonly by?: Partitioner;
};

export type DedupeOptions<K extends Key, V> = Named & {
  /** Log time for which a record is remembered: one that comes exactly so much later is still the same. */
  readonly ttlMs: number;
  /** What makes two records of a key the same; default: the key alone. */
  readonly by?: Callback<K, V, Key>;
};

export type ToOptions = Named & {
  /** Default 1; more are `stream/0`, `stream/1` … */
  readonly partitions?: number;
  /** Which of them a record goes to; default: by a hash of its key. Who reads the stream says the same. */
  readonly by?: Partitioner;
};

export type JoinOptions = Named & {
  /** How far from each other, in event time, two records may be; so far included. */
  readonly withinMs?: number;
  /** How far the other may be before, and after; default `withinMs`. */
  readonly beforeMs?: number;
  readonly afterMs?: number;
  /** How far behind the watermark a record may come; default 0. One that is further is late: it is counted, and gone. */
  readonly graceMs?: number;
};

const PARTITION_OPTIONS: readonly (keyof ToOptions)[] = ["name", "partitions", "by"];

type Narrows<V, W extends V> = (value: V, context: never) => value is W;

/** A stream per predicate, of what it narrows the values to where it does. */
export type Branches<K extends Key, V, P extends readonly unknown[]> = {
  readonly [I in keyof P]: Stream<K, P[I] extends Narrows<V, infer W> ? W : V>;
};

export class Stream<K extends Key, V> {
  /** Where it stands in the graph; for other handles. */
  readonly port: Port;

  constructor(port: Port) {
    this.port = port;
  }

  filter<W extends V>(predicate: (value: V) => value is W, options?: Named): Stream<K, W>;
  filter(predicate: Callback<K, V, boolean>, options?: Named): Stream<K, V>;
  filter(predicate: Callback<K, V, boolean>, options: Named = {}): Stream<K, V> {
    return this.#then("filter", filter(predicate), options);
  }

  map<R>(mapper: Callback<K, V, R>, options: Named = {}): Stream<K, R> {
    return this.#then("map", map(mapper), options);
  }

  flatMap<R>(mapper: Callback<K, V, Iterable<R>>, options: Named = {}): Stream<K, R> {
    return this.#then("flat-map", flatMap(mapper), options);
  }

  /** Another key. Where there are several partitions, the next verb that keeps state repartitions first. */
  keyBy<L extends Key>(selector: Callback<K, V, L>, options: Named = {}): Stream<L, V> {
    return this.#then("key-by", keyBy(selector), options, { ...this.port.keying, rekeyed: true });
  }

  /** One stream per predicate; a record goes to the first that accepts it, or nowhere. */
  branch<const P extends readonly Callback<K, V, boolean>[]>(predicates: P, options: Named = {}): Branches<K, V, P> {
    const { building, edge, keying } = this.port;
    const { from } = building.addNamed({ kind: "branch", inputs: [edge], operator: branch(predicates) }, options);
    const branches = predicates.map((_, output) => new Stream<K, V>({ building, edge: { from, output }, keying }));
    return branches as unknown as Branches<K, V, P>;
  }

  /** The records of both, in the order in which the log has them. */
  merge<L extends Key, W>(other: Stream<L, W>, options: Named = {}): Stream<K | L, V | W> {
    const { building, edge, keying } = this.port;
    building.checkOwn(other.port);
    checkCoPartitioned(keying, other.port.keying, false, "a merge");
    const merged = building.addNamed({ kind: "merge", inputs: [edge, other.port.edge], operator: PASS }, options);
    const rekeyed = keying.rekeyed || other.port.keying.rekeyed || keying.partitioner !== other.port.keying.partitioner;
    return new Stream({ building, edge: merged, keying: { ...keying, rekeyed } });
  }

  /** Through an internal stream of the log, so that all records of a key meet in one task. */
  repartition(options: RepartitionOptions = {}): Stream<K, V> {
    const { building, edge, keying } = this.port;
    checkOptions("repartition", options, PARTITION_OPTIONS);
    const { by = HASH, name } = options;
    const partitions = checkCount("partitions", options.partitions ?? keying.partitions, OPERATOR_LIMITS.partitionsMax);
    checkPartitioner(by, partitions);
    const id = building.newId("repartition", name);
    const stream = `apps/${building.app}/${id}`;
    const detailOf = (rule: string): string => `${rule}, ${partitions} partitions`;
    building.put(id, {
      kind: "repartition",
      inputs: [edge],
      operator: repartition(stream, by, partitions, building.idleMs),
      sink: { stream, partitions },
      detail: detailOf(ruleOf(by)),
      shownDetail: detailOf(ruleOf(by, keyText)),
    });
    const source = {
      name: stream,
      read: readRepartitioned,
      partitions,
      lanes: keying.partitions,
      internal: true,
      trimmed: true,
    };
    // What is out of order within a task, its watermark has taken into account.
    const settings = { ...source, format: "bytes" as const, outOfOrderMs: 0, idleMs: building.idleMs };
    const from = building.newId(`${id}.in`, `${id}.in`);
    building.put(from, { kind: "repartitioned", inputs: [], operator: PASS, source: settings, detail: stream });
    return new Stream({ building, edge: { from, output: 0 }, keying: { partitions, partitioner: by, rekeyed: false } });
  }

  /** The first of equal records, and another only after `ttlMs` of log time without one. */
  dedupe(options: DedupeOptions<K, V>): Stream<K, V> {
    checkOptions("dedupe", options, ["name", "ttlMs", "by"]);
    checkMs("ttlMs", options.ttlMs, 1);
    const { by = () => null, ttlMs, ...named } = options;
    return this.keyed().#then("dedupe", dedupe(by as AnyCallback<Key>, ttlMs), named, undefined, `${ttlMs} ms`);
  }

  /** Put together by another key. */
  groupBy<L extends Key>(selector: Callback<K, V, L>, options: Named = {}): GroupedStream<L, V> {
    return this.keyBy(selector, options).groupByKey();
  }

  groupByKey(): GroupedStream<K, V> {
    return new GroupedStream(this.keyed().port, asStream);
  }

  /** The newest value of each key; null deletes. */
  toTable(options: Named = {}): Table<K, NonNullable<V>> {
    const { building, edge, keying } = this.keyed().port;
    return new Table(
      { building, edge: building.addNamed({ kind: "table", inputs: [edge], operator: TABLE }, options), keying },
      asStream,
    );
  }

  /** A function per record and per timer, with state of its own for each key. */
  process<Out, S extends StateSpecs, Fired = never>(
    processor: Processor<K, V, S, Out, Fired>,
    options: Named = {},
  ): Stream<K, Out | Fired> {
    const operator = process(processor as unknown as AnyProcessor);
    return this.keyed().#then("process", operator, options, undefined, statesText(processor.state ?? {}));
  }

  /** Pairs with another stream's records of the same key that are near in event time, or with what a table has of it. */
  join<L extends Meeting<K>, W, R>(table: Table<L, W>, joiner: Joiner<K, V, W, R>, options?: Named): Stream<K, R>;
  join<L extends Meeting<K>, W, R>(
    stream: Stream<L, W>,
    joiner: Joiner<K, V, W, R>,
    options: JoinOptions,
  ): Stream<K, R>;
  join<L extends Meeting<K>, W, R>(
    other: Stream<L, W> | Table<L, W>,
    joiner: Joiner<K, V, W, R>,
    options: Named | JoinOptions = {},
  ): Stream<K, R> {
    return this.#join("inner", other, joiner, options);
  }

  /**
   * As `join`, and its own records that find nothing, with null: as soon as no partner can come any more, which is when the watermark is later than
   * the last time that one may have and the grace. Such a result is final.
   */
  leftJoin<L extends Meeting<K>, W, R>(
    table: Table<L, W>,
    joiner: Joiner<K, V, W | null, R>,
    options?: Named,
  ): Stream<K, R>;
  leftJoin<L extends Meeting<K>, W, R>(
    stream: Stream<L, W>,
    joiner: Joiner<K, V, W | null, R>,
    options: JoinOptions,
  ): Stream<K, R>;
  leftJoin<L extends Meeting<K>, W, R>(
    other: Stream<L, W> | Table<L, W>,
    joiner: Joiner<K, V, W | null, R>,
    options: Named | JoinOptions = {},
  ): Stream<K, R> {
    return this.#join("left", other, joiner, options);
  }

  /** As `join`, and both streams' records that find nothing. */
  outerJoin<L extends Meeting<K>, W, R>(
    stream: Stream<L, W>,
    joiner: Joiner<K | L, V | null, W | null, R>,
    options: JoinOptions,
  ): Stream<K | L, R> {
    return this.#join("outer", stream, joiner, options);
  }

  /**
   * Writes the records to a stream of the log: values as JSON, or bytes as they are; a value null as a tombstone. A key that is a
   * text, or bytes, is the record's; one of another kind is encoded so that it sorts, and no text: `keyBy` a text for others to read.
   */
  to(stream: string, options: ToOptions = {}): void {
    const { building, edge } = this.port;
    checkOptions("to", options, PARTITION_OPTIONS);
    const count = checkCount("partitions", options.partitions ?? 1, OPERATOR_LIMITS.partitionsMax);
    checkSink(stream, count);
    const by = checkPartitioner(options.by ?? HASH, count);
    const route: Route = (item, context) => partitionStream(stream, partitionFor(by, count, item, context), count);
    // A hash goes without saying, as it always did: what is deployed is compared by this.
    const detailOf = (rule: string): string =>
      [stream, ...(by.kind === "hash" ? [] : [rule]), `${count} partitions`].join(", ");
    const details =
      count === 1 ? { detail: stream } : { detail: detailOf(ruleOf(by)), shownDetail: detailOf(ruleOf(by, keyText)) };
    building.add(
      { kind: "to", inputs: [edge], operator: to(route), sink: { stream, partitions: count }, ...details },
      options.name,
    );
  }

  /** With all records of a key in one task. */
  keyed(): Stream<K, V> {
    return isKeyed(this.port.keying) ? this : this.repartition();
  }

  #join<R>(
    kind: JoinKind,
    other: Stream<Key, unknown> | Table<Key, unknown>,
    joiner: AnyJoiner,
    options: Named | JoinOptions,
  ): Stream<K, R> {
    const { building } = this.port;
    building.checkOwn(other.port);
    checkOptions(
      "a join",
      options,
      other instanceof Table ? ["name"] : ["name", "withinMs", "beforeMs", "afterMs", "graceMs"],
    );
    const own = this.keyed().port;
    const right = other instanceof Table ? other.port : other.keyed().port;
    checkCoPartitioned(own.keying, right.keying, true, `a ${kind} join`);
    const inputs = [own.edge, right.edge];
    const { keying } = own;
    if (other instanceof Table) {
      // Tables have no outer join with a stream: a change of theirs brings nothing about.
      const operator = streamTableJoin(kind === "left" ? "left" : "inner", joiner);
      const edge = building.add({ kind: "stream-table-join", inputs, operator, detail: kind }, options.name);
      return new Stream({ building, edge, keying });
    }
    const bounds = joinBounds(options);
    const detail = `${kind}, from -${bounds.beforeMs} to ${bounds.afterMs} ms, grace ${bounds.graceMs} ms`;
    const operator = streamStreamJoin(kind, joiner, bounds);
    const node = { kind: "stream-stream-join", inputs, operator, detail, holdMs: heldBack(kind, bounds) };
    return new Stream({ building, edge: building.add(node, options.name), keying });
  }

  #then<L extends Key, R>(
    kind: string,
    operator: Operator,
    options: Named,
    keying: Keying = this.port.keying,
    detail = "",
  ): Stream<L, R> {
    const { building, edge } = this.port;
    return new Stream({
      building,
      edge: building.addNamed({ kind, inputs: [edge], operator, detail }, options),
      keying,
    });
  }
}

function joinBounds(options: Named | JoinOptions): JoinBounds {
  const { withinMs = 0, beforeMs = withinMs, afterMs = withinMs, graceMs = 0 } = options as JoinOptions;
  checkMs("beforeMs", beforeMs, 0);
  checkMs("afterMs", afterMs, 0);
  checkMs("graceMs", graceMs, 0);
  return { beforeMs, afterMs, graceMs };
}

/** Given to tables, which would otherwise need this file as this file needs theirs. */
export function asStream<K extends Key, V>(port: Port): Stream<K, V> {
  return new Stream(port);
}
