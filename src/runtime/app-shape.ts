/** A topology as it is deployed: its stages and nodes with all that decides what becomes of a record, but for callbacks. */
import { hex64, utf8 } from "../lib/bytes.ts";
import { labelOf, takesFrom } from "../operators/build/describe.ts";
import type { Graph, GraphNode, Stage } from "../operators/engine/graph.ts";
import { xxh64 } from "../record/checksum.ts";
import type { AppShape, ShapePart } from "../wire/app-shape.ts";
import { RUNTIME_LIMITS } from "./limits.ts";

/** No node is called so. */
const STAGE = "the stage itself";

export function shapeOf({ stages }: Graph): AppShape {
  return stages.flatMap((stage) => [
    { stage: stage.number, name: STAGE, text: stageText(stage) },
    ...stage.nodes.map((node): ShapePart => ({ stage: stage.number, name: node.id, text: shortened(nodeText(node)) })),
  ]);
}

function stageText({ partitions, silence, digestEveryMs }: Stage): string {
  return `partitions ${partitions}, silence ${silence}, digestEveryMs ${digestEveryMs}`;
}

function nodeText(node: GraphNode): string {
  const { kind, source } = node;
  if (source === undefined) return [labelOf(node), ...takesFrom(node)].join(" ");
  // Whether it is trimmed, which its label has, changes nothing of what is made of it.
  const { name, format, lanes, outOfOrderMs, idleMs } = source;
  return `${kind} (${name}, ${format}, lanes ${lanes}, outOfOrderMs ${outOfOrderMs}, idleMs ${idleMs})`;
}

/** What is left out still counts. */
function shortened(text: string): string {
  const { shapeTextLengthMax } = RUNTIME_LIMITS;
  if (text.length <= shapeTextLengthMax) return text;
  return `${text.slice(0, shapeTextLengthMax).toWellFormed()}… ${hex64(xxh64(utf8(text)))}`;
}
