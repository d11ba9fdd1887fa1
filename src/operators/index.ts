/**
 * What topologies are written with, `tidemark/operators`, and all of it: what is not named here may change. A topology is data;
 * building one runs nothing. `tidemark/testing` runs it in a test.
 */
export { topology, type Topology, type SourceValue } from "./build/topology.ts";
export type { StreamOptions, TableOptions, TopologyOptions } from "./build/topology.ts";
export { TopologyError, type TopologyErrorCode } from "./build/topology-error.ts";
export type { DedupeOptions, JoinOptions, RepartitionOptions, Stream, ToOptions } from "./build/stream.ts";
export type { GroupedStream } from "./build/grouped-stream.ts";
export type { WindowedStream } from "./build/windowed-stream.ts";
export type { Table, TableRepartitionOptions, TableToOptions } from "./build/table.ts";
export type { Named } from "./build/building.ts";
export { hopping, session, sliding, tumbling } from "./windows/window.ts";
export type { WindowOptions, WindowResult, WindowSpec } from "./windows/window.ts";
export type { Aggregate, SomeAggregate } from "./aggregates/aggregate.ts";
export { avg } from "./aggregates/avg.ts";
export { combine } from "./aggregates/combine.ts";
export { count } from "./aggregates/count.ts";
export { distinct } from "./aggregates/distinct.ts";
export { fold, type Fold } from "./aggregates/fold.ts";
export { max, min } from "./aggregates/min-max.ts";
export { sum, sumBigint } from "./aggregates/sum.ts";
export { topN } from "./aggregates/top-n.ts";
export { listState, mapState, timeState, valueState } from "./state/keyed-state.ts";
export type { ListState, MapState, StateOptions, TimeState, ValueState } from "./state/keyed-state.ts";
export type { StateHandles, StateSpec, StateSpecs } from "./state/keyed-state.ts";
export type { FiredTimer, ProcessContext, Processor, TimerSetter } from "./verbs/process.ts";
export type { Callback, CallbackContext } from "./verbs/callback.ts";
export type { Joiner } from "./joins/joiner.ts";
export { inputStream, type InputPartitions, type Partitioner } from "./verbs/partitioner.ts";
export { SourceError, type SourceRecord } from "./verbs/source.ts";
export { DeterminismError } from "./engine/determinism-error.ts";
export type { Silence } from "./engine/graph.ts";
export type { SourceFormat, TimeKind } from "./engine/operator.ts";
export { EncodingError } from "./encoding/encoding-error.ts";
export type { Key } from "./encoding/key-codec.ts";
export type { RecordHeader } from "../record/record.ts";
