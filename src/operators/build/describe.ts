/** A graph for people: as text, and as a picture that Mermaid draws. */
import type { Graph, GraphNode, Stage } from "../engine/graph.ts";

/** One line a node, by stage: its id, what it is, and whom it takes from. */
export function describeText({ app, version, stages }: Graph): string {
  return [`app ${app}, version ${version}`, ...stages.flatMap(stageLines)].join("\n");
}

function stageLines({ number, partitions, nodes }: Stage): string[] {
  const width = Math.max(...nodes.map(({ id }) => id.length));
  return [
    `  stage ${number}, ${partitions} ${partitions === 1 ? "task" : "tasks"}`,
    ...nodes.map((node) => `    ${node.id.padEnd(width)}  ${[shownLabel(node), ...takesFrom(node)].join(" ")}`),
  ];
}

export function labelOf({ kind, detail }: Pick<GraphNode, "kind" | "detail">): string {
  return detail === "" ? kind : `${kind} (${detail})`;
}

function shownLabel({ kind, detail, shownDetail = detail }: GraphNode): string {
  return labelOf({ kind, detail: shownDetail });
}

export function takesFrom({ inputs }: GraphNode): string[] {
  if (inputs.length === 0) return [];
  return [`<- ${inputs.map(({ from, output }) => (output === 0 ? from : `${from}[${output}]`)).join(", ")}`];
}

/** A flowchart; streams of the log are drawn as what they are, between the nodes. */
export function describeMermaid({ stages }: Graph): string {
  const lines = ["flowchart LR"];
  const streams = new Set<string>();
  for (const { number, nodes } of stages) {
    lines.push(`  subgraph stage${number} ["stage ${number}"]`);
    for (const node of nodes) lines.push(`    ${nodeName(node.id)}["${escaped(`${node.id}: ${shownLabel(node)}`)}"]`);
    lines.push("  end");
    for (const { id, inputs, source, sink } of nodes) {
      for (const { from } of inputs) lines.push(`  ${nodeName(from)} --> ${nodeName(id)}`);
      if (source !== undefined) lines.push(`  ${streamName(source.name)} --> ${nodeName(id)}`);
      if (sink !== undefined) lines.push(`  ${nodeName(id)} --> ${streamName(sink.stream)}`);
      for (const stream of [source?.name, sink?.stream]) if (stream !== undefined) streams.add(stream);
    }
  }
  for (const stream of streams) lines.push(`  ${streamName(stream)}[("${escaped(stream)}")]`);
  return lines.join("\n");
}

/** Ids that Mermaid takes: its own words and signs do not occur in them. */
function nodeName(id: string): string {
  return `n_${id.replaceAll(/[^A-Za-z0-9]/g, (sign) => `_${sign.charCodeAt(0).toString(16)}_`)}`;
}

function streamName(stream: string): string {
  return `s${nodeName(stream)}`;
}

function escaped(label: string): string {
  return label.replaceAll("&", "#amp;").replaceAll('"', "#quot;").replaceAll("<", "#lt;").replaceAll(">", "#gt;");
}
