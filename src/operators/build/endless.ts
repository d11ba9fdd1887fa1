/** A topology may read what it writes, as long as something ends it: a record that comes again and again, whatever it is, ends nothing. */
import type { GraphNode } from "../engine/graph.ts";
import { TopologyError } from "./topology-error.ts";

/** Of what they are given, each record goes on. */
const ALWAYS: ReadonlySet<string> = new Set(["stream", "map", "key-by", "merge", "repartition", "repartitioned", "to"]);

/** Throws where a stream's records come back to it on a way on which nothing could hold them up. */
export function checkEnds(nodes: readonly GraphNode[]): void {
  const passing = nodes.filter(({ kind }) => ALWAYS.has(kind));
  const behind = ({ id, sink }: GraphNode): GraphNode[] =>
    passing.filter(({ inputs, source }) => {
      const isRead = source !== undefined && source.name === sink?.stream && source.partitions === sink.partitions;
      return isRead || inputs.some(({ from }) => from === id);
    });
  const ended = new Set<GraphNode>();
  const visit = (node: GraphNode, way: readonly GraphNode[]): void => {
    if (way.includes(node)) throw endless([...way.slice(way.indexOf(node)), node]);
    if (ended.has(node)) return;
    for (const next of behind(node)) visit(next, [...way, node]);
    ended.add(node);
  };
  for (const node of passing) visit(node, []);
}

function endless(circle: readonly GraphNode[]): TopologyError {
  const read = circle.find(({ source }) => source?.internal === false)?.source?.name;
  const way = circle.map(({ id }) => `"${id}"`).join(" -> ");
  return new TopologyError(
    "endless",
    `every record of "${read}" comes back to it, for ever (${way}): filter what comes again, or write to another stream`,
  );
}
