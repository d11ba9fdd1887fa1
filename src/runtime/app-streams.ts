/** What an app has in the log: its tasks, what they read, and the streams that there must be. */
import type { Graph, Stage } from "../operators/engine/graph.ts";
import { numbered, partitionStream, sourceStream } from "../operators/verbs/partitioner.ts";
import type { AppName, TaskName, TaskSpec } from "../wire/app-command.ts";
import { commitsStream, deadLetterStream } from "../wire/app-streams.ts";
import type { StreamName } from "../wire/command.ts";

/** A stream that a task reads, and under which name its topology knows it. */
export type TaskSource = {
  readonly stream: StreamName;
  readonly source: string;
  readonly table: boolean;
  /** The app's own: the task reads it from its first record on. */
  readonly internal: boolean;
  /** What the task has taken in, and has in a verified snapshot, goes. */
  readonly trimmed: boolean;
};

export type TaskOfApp = { readonly stage: Stage; readonly partition: number; readonly task: TaskName };

export function taskName(stage: number, partition: number): TaskName {
  return `${stage}.${partition}`;
}

export function tasksOf({ stages }: Graph): TaskOfApp[] {
  return stages.flatMap((stage) =>
    Array.from({ length: stage.partitions }, (_, partition) => {
      return { stage, partition, task: taskName(stage.number, partition) };
    }),
  );
}

/** As an app is deployed with them. */
export function taskSpecsOf(graph: Graph): TaskSpec[] {
  return tasksOf(graph).map(({ stage, partition, task }) => {
    return { task, inputs: sourcesOf(stage, partition).map(({ stream }) => stream) };
  });
}

/** What the task of this partition reads. */
export function sourcesOf(stage: Stage, partition: number): TaskSource[] {
  return stage.nodes.flatMap(({ kind, source }) => {
    if (source === undefined) return [];
    const { name, internal, trimmed } = source;
    return [{ stream: sourceStream(source, partition), source: name, table: kind === "table", internal, trimmed }];
  });
}

/** What tasks write to, which must be there: their commits, dead letters, what they repartition, and the app's outputs. */
export function writtenStreamsOf(graph: Graph): StreamName[] {
  const { app, nodes } = graph;
  const commits = tasksOf(graph).map(({ task }) => commitsStream(app, task));
  return [...new Set([...commits, ...outputStreamsOf(app, nodes)])];
}

/** Where outputs of these nodes go, and dead letters. */
export function outputStreamsOf(app: AppName, nodes: Graph["nodes"]): StreamName[] {
  const sinks = nodes.flatMap(({ kind, sink }) => {
    if (sink === undefined) return [];
    const { stream, partitions } = sink;
    const numbers = Array.from({ length: partitions }, (_, partition) => partition);
    return numbers.map((partition) =>
      kind === "repartition" ? numbered(stream, partition) : partitionStream(stream, partition, partitions),
    );
  });
  return [...new Set([deadLetterStream(app), ...sinks])];
}
