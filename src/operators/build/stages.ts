/** Cuts a graph where it is repartitioned: what hangs together by edges runs in one task, and is a stage. */
import type { GraphNode, NodeId, Silence, Stage } from "../engine/graph.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { TopologyError } from "./topology-error.ts";

export function stagesOf(app: string, nodes: readonly GraphNode[], silence: Silence): Stage[] {
  const roots = new Map<NodeId, NodeId>();
  const rootOf = (id: NodeId): NodeId => {
    const above = roots.get(id) as NodeId;
    if (above === id) return id;
    const root = rootOf(above);
    roots.set(id, root);
    return root;
  };
  for (const { id, inputs } of nodes) {
    roots.set(id, id);
    for (const { from } of inputs) roots.set(rootOf(from), id);
  }
  const parts = Map.groupBy(nodes, ({ id }) => rootOf(id));
  const aligned = [...parts.values()].some((part) => isAligned(part, silence));
  return [...parts.values()].map((part, number) => ({
    app,
    number,
    nodes: part,
    partitions: partitionsOf(part),
    silence,
    aligned,
    digestEveryMs: OPERATOR_LIMITS.digestEveryMs,
  }));
}

/** What reads of one task alone need not hear of it while there is nothing to tell, unless silence is to close its windows. */
function isAligned(nodes: readonly GraphNode[], silence: Silence): boolean {
  const sources = nodes.flatMap(({ source }) => (source === undefined ? [] : [source]));
  if (!sources.some(({ internal }) => internal)) return false;
  return silence === "advance" || sources.length > 1 || sources.some(({ lanes }) => lanes > 1);
}

/** One task has the same partition of all that it reads. */
function partitionsOf(nodes: readonly GraphNode[]): number {
  const sources = nodes.flatMap(({ source }) => (source === undefined ? [] : [source]));
  const [first, ...others] = sources;
  const other = others.find(({ partitions }) => partitions !== first?.partitions);
  if (first !== undefined && other !== undefined) {
    throw new TopologyError(
      "not-co-partitioned",
      `"${first.name}" has ${first.partitions} partitions and "${other.name}" ${other.partitions}, but both meet; .repartition({ partitions: … }) one of them`,
    );
  }
  return first?.partitions ?? 1;
}
