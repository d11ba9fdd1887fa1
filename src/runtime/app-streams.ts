/** The names of what an app has in the log: its tasks, and the streams that are its own. */
import type { Stage } from "../operators/engine/graph.ts";
import { partitionStream } from "../operators/verbs/partitioner.ts";
import type { TaskName } from "../wire/app-command.ts";

/** A task that reads a stream, and under which name its topology knows that. */
export type TaskSource = { readonly stream: string; readonly source: string; readonly table: boolean };

export function taskName(stage: number, partition: number): TaskName {
  return `${stage}.${partition}`;
}

/** Where what was poison goes, unless the app is set up otherwise. */
export function deadLetterStream(app: string): string {
  return `apps/${app}/dead`;
}

/** What the task of this partition reads. */
export function sourcesOf(stage: Stage, partition: number): TaskSource[] {
  return stage.nodes.flatMap(({ kind, source }) => {
    if (source === undefined) return [];
    const { name, internal, partitions } = source;
    const stream = internal ? `${name}/${partition}` : partitionStream(name, partition, partitions);
    return [{ stream, source: name, table: kind === "table" }];
  });
}
