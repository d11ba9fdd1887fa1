/** Where a topology begins: its name, and the streams and tables that it reads. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Key } from "../encoding/key-codec.ts";
import type { Graph, Silence } from "../engine/graph.ts";
import type { Operator, SourceFormat } from "../engine/operator.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { HASH, type Partitioner } from "../verbs/partitioner.ts";
import { PASS } from "../verbs/pass.ts";
import { reader, type SourceRecord } from "../verbs/source.ts";
import { TABLE } from "../verbs/table.ts";
import { Building, type Named, type Port } from "./building.ts";
import { describeMermaid, describeText } from "./describe.ts";
import { isKeyed } from "./keying.ts";
import { checkCount, checkInput, checkMs, checkOneOf, checkOptions, checkPartitioner } from "./settings.ts";
import { asStream, Stream } from "./stream.ts";
import { Table } from "./table.ts";
import { TopologyError } from "./topology-error.ts";

export type TopologyOptions = {
  /**
   * From 1, the default, up: where an older version runs, this takes its place, and goes on with the state of the tasks that both
   * have. What runs under a version never changes.
   */
  readonly version?: number;
  /**
   * When all sources have been silent for their `idleMs`, event time stands still ("wait", the default: nothing that is only
   * delayed is late), or passes as log time does ("advance": the last windows close without another record).
   */
  readonly silence?: Silence;
};

export type TableOptions<S extends StandardSchemaV1 | undefined, F extends SourceFormat> = Named & {
  /** Any validator's that implements Standard Schema. A value that it does not allow is poison. */
  readonly schema?: S;
  /** How the value is written; default "json". */
  readonly format?: F;
  /** The event time; default: the record's timestamp, or its log time if it has none. */
  readonly timestamp?: (value: SourceValue<S, F>, record: SourceRecord) => number;
  /** How far behind the newest event time records may come, so far included; default 0. What is further behind may be late. */
  readonly outOfOrderMs?: number;
  /** Log time without a record after which nobody waits for this source any more; default 60 s. */
  readonly idleMs?: number;
  /** Default 1; more are read from `name/0`, `name/1` … */
  readonly partitions?: number;
  /** How its producers partition it; default: by a hash of the record's key. */
  readonly by?: Partitioner;
};

export type StreamOptions<S extends StandardSchemaV1 | undefined, F extends SourceFormat, K extends Key> = TableOptions<
  S,
  F
> & {
  /** Default: the record's key as text, null if it has none. A stream in several partitions is then repartitioned before
   *  its state is kept, as after `keyBy`. */
  readonly key?: (value: SourceValue<S, F>, record: SourceRecord) => K;
  /**
   * Records go from the log once what they brought about is in a verified snapshot. For a stream that nobody else reads: who
   * reads it later, or resets the app, has what is left of it. Default false.
   */
  readonly trim?: boolean;
};

/** What the schema makes of the value, or what the format does. */
export type SourceValue<S extends StandardSchemaV1 | undefined, F extends SourceFormat> = S extends StandardSchemaV1
  ? StandardSchemaV1.InferOutput<S>
  : { readonly json: unknown; readonly text: string; readonly bytes: Uint8Array }[F];

const TABLE_OPTIONS: readonly (keyof TableOptions<undefined, "json">)[] = [
  ...(["name", "schema", "format", "timestamp"] as const),
  ...(["outOfOrderMs", "idleMs", "partitions", "by"] as const),
];

export class Topology {
  readonly #building: Building;

  constructor(name: string, options: TopologyOptions = {}) {
    this.#building = new Building(name, options);
  }

  stream<
    S extends StandardSchemaV1 | undefined = undefined,
    F extends SourceFormat = "json",
    K extends Key = string | null,
  >(name: string, options: StreamOptions<S, F, K> = {}): Stream<K, SourceValue<S, F>> {
    const port = this.#source("stream", PASS, name, options, options.trim ?? false);
    return new Stream({ ...port, keying: { ...port.keying, rekeyed: options.key !== undefined } });
  }

  /** The newest value of each key; a tombstone deletes it. */
  table<S extends StandardSchemaV1 | undefined = undefined, F extends SourceFormat = "json">(
    name: string,
    options: TableOptions<S, F> = {},
  ): Table<string | null, NonNullable<SourceValue<S, F>>> {
    return new Table(this.#source("table", TABLE, name, options), asStream);
  }

  /** The graph, checked and cut into stages. More may be built afterwards; it is then another graph. */
  build(): Graph {
    return this.#building.graph();
  }

  /** The graph as text, or as a flowchart for Mermaid. */
  describe(as: "text" | "mermaid" = "text"): string {
    return as === "text" ? describeText(this.build()) : describeMermaid(this.build());
  }

  #source<S extends StandardSchemaV1 | undefined, F extends SourceFormat>(
    kind: "stream" | "table",
    operator: Operator,
    name: string,
    options: StreamOptions<S, F, Key>,
    trimmed = false,
  ): Port {
    checkOptions(`a ${kind}`, options, kind === "table" ? TABLE_OPTIONS : [...TABLE_OPTIONS, "key", "trim"]);
    const { schema, key, timestamp } = options;
    const format = checkOneOf<SourceFormat>("format", options.format ?? "json", ["json", "text", "bytes"]);
    if (schema !== undefined && !("~standard" in schema))
      throw new TopologyError("bad-setting", "schema is none that implements Standard Schema: it has no ~standard");
    const read = reader({ format, schema, key, timestamp, tombstones: kind === "table" });
    const outOfOrderMs = checkMs("outOfOrderMs", options.outOfOrderMs ?? 0, 0);
    const idleMs = checkMs("idleMs", options.idleMs ?? OPERATOR_LIMITS.idleMsDefault, 1);
    const partitions = checkCount("partitions", options.partitions ?? 1, OPERATOR_LIMITS.partitionsMax);
    checkInput(this.#building.app, name, partitions);
    const by = checkPartitioner(options.by ?? HASH, partitions);
    const keying = { partitions, partitioner: by, rekeyed: false };
    if (kind === "table" && !isKeyed(keying))
      throw new TopologyError(
        "not-co-partitioned",
        `the table "${name}" has a key's records in any of its partitions (${by.kind}), and so no order among them: ` +
          "let its producers partition it by hash or range (inputStream says which partition a record goes to), or have one",
      );
    const source = { name, read, format, partitions, lanes: 1, internal: false, trimmed, outOfOrderMs, idleMs };
    const detail = trimmed ? `${name}, trimmed` : name;
    const edge = this.#building.add({ kind, inputs: [], operator, source, detail }, options.name);
    return { building: this.#building, edge, keying };
  }
}

/** A new topology; `name` is the app's, and part of the names of its internal streams. */
export function topology(name: string, options?: TopologyOptions): Topology {
  return new Topology(name, options);
}
