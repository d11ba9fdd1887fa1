/** A topology as data: what the builder makes, the engine runs and `describe` shows. */
import type { Operator, SourceFormat, SourceReader } from "./operator.ts";

export type NodeId = string;

/** `output` tells a node's outputs apart, where it has more than one: branches. */
export type Edge = { readonly from: NodeId; readonly output: number };

export type SourceSettings = {
  /** What `TaskInput.source` says. */
  readonly name: string;
  readonly read: SourceReader;
  /** What its values are to `read`, for whoever writes some in a test. */
  readonly format: SourceFormat;
  readonly partitions: number;
  /** How many tasks write to it, each in its own order; 1 unless it is a repartition. */
  readonly lanes: number;
  /** Written by a repartition of the same app: its partitions always have their number behind the name. */
  readonly internal: boolean;
  /** Its records are of no use any more once the state that they brought about is in a verified snapshot. */
  readonly trimmed: boolean;
  /** How far behind the newest event time records may come; the watermark stays back by it. */
  readonly outOfOrderMs: number;
  /** Log time without a record after which the source holds the watermark back no longer. */
  readonly idleMs: number;
};

export type SinkSettings = {
  /** Without the partition, which is behind it where there is more than one, or where it is a repartition's. */
  readonly stream: string;
  readonly partitions: number;
};

export type GraphNode = {
  readonly id: NodeId;
  /** The verb: "filter", "tumbling-window" … */
  readonly kind: string;
  readonly inputs: readonly Edge[];
  readonly operator: Operator;
  readonly source?: SourceSettings;
  /** The stream it writes to, if it does. */
  readonly sink?: SinkSettings;
  /** What tells it from others of its kind: "5000 ms, grace 100 ms". Of an app that is deployed it stays what it was. */
  readonly detail: string;
  /** The same for people, if it is another text. */
  readonly shownDetail?: string;
  /** How long, in event time, it holds back what it emits: those behind it see a watermark that is so much earlier. */
  readonly holdMs: number;
};

/** When no source has had a record for its `idleMs`: event time stands still, or passes as log time does. */
export type Silence = "wait" | "advance";

/** What one task runs: the part of a graph between repartitions. Its sources are all cut into the same partitions. */
export type Stage = {
  readonly app: string;
  /** 0, 1 …, in order of building. */
  readonly number: number;
  /** In order of building, so that a node stands behind those that it takes from. */
  readonly nodes: readonly GraphNode[];
  readonly partitions: number;
  readonly silence: Silence;
  /** Some stage of the topology, this one or another, waits for several tasks, or passes over their silence. */
  readonly aligned: boolean;
  /** Log time between two digest points. */
  readonly digestEveryMs: number;
};

export type Graph = {
  readonly app: string;
  /** Of the topology: a newer one replaces it where it runs. */
  readonly version: number;
  readonly nodes: readonly GraphNode[];
  readonly stages: readonly Stage[];
};
