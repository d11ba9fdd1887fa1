/**
 * Inputs that a run waits for as they do not exist: to those who look at it, one with a slip in its name is a stream to which nothing comes.
 */
import type { Graph } from "../../../src/operators/engine/graph.ts";
import { taskSpecsOf } from "../../../src/runtime/app-streams.ts";
import type { Client } from "../../client.ts";
import { inputEnds } from "../../apps/input-ends.ts";
import type { CallOptions } from "../../deadline.ts";
import type { WorkerStatus } from "./workers.ts";

/** Asks only of tasks of which a replica has read nothing so far, not even how far the log is. */
export async function awaitedInputs(
  client: Client,
  graph: Graph,
  statuses: readonly WorkerStatus[],
  call: CallOptions,
): Promise<readonly string[]> {
  const waiting = new Set(
    statuses.flatMap(({ replicas }) =>
      replicas.flatMap(({ task, work }) => (work?.readLogTime === -Infinity ? [task] : [])),
    ),
  );
  const inputs = taskSpecsOf(graph).flatMap((spec) => (waiting.has(spec.task) ? spec.inputs : []));
  const ends = await inputEnds((stream) => client.stream(stream), inputs, call);
  return [...new Set(inputs)].filter((stream) => !ends.has(stream));
}
