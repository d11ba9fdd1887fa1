/** A graph while it is built: nodes in order, each with an id that stays the same as long as the topology does. */
import type { Edge, Graph, GraphNode, Silence, SourceSettings } from "../engine/graph.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { sourceStream } from "../verbs/partitioner.ts";
import { checkEnds } from "./endless.ts";
import type { Keying } from "./keying.ts";
import { checkCount, checkId, checkOneOf, checkOptions } from "./settings.ts";
import { stagesOf } from "./stages.ts";
import { TopologyError } from "./topology-error.ts";

/** Where a handle stands in the graph. */
export type Port = { readonly building: Building; readonly edge: Edge; readonly keying: Keying };

/** What every verb may be given. */
export type Named = {
  /** The node's id. Without it it is the kind and a number, and changes when nodes of the kind are added before it. */
  readonly name?: string;
};

export type NewNode = Pick<GraphNode, "kind" | "inputs" | "operator"> &
  Partial<Pick<GraphNode, "source" | "sink" | "detail" | "shownDetail" | "holdMs">>;

export class Building {
  readonly app: string;
  readonly #version: number;
  readonly #silence: Silence;
  readonly #nodes = new Map<string, GraphNode>();
  /** By stream, the node that reads it. */
  readonly #readers = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  constructor(app: string, options: { readonly version?: number; readonly silence?: Silence }) {
    checkOptions("a topology", options, ["version", "silence"]);
    const { version = 1, silence = "wait" } = options;
    this.app = checkId("the app's name", app);
    this.#version = checkCount("version", version, OPERATOR_LIMITS.versionMax);
    this.#silence = checkOneOf("silence", silence, ["wait", "advance"]);
  }

  add(node: NewNode, name: string | undefined): Edge {
    const id = this.newId(node.kind, name);
    this.put(id, node);
    return { from: id, output: 0 };
  }

  /** Of a verb that takes nothing else. */
  addNamed(node: NewNode, options: Named): Edge {
    checkOptions(node.kind, options, ["name"]);
    return this.add(node, options.name);
  }

  newId(kind: string, name: string | undefined): string {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    const id = checkId("a node's name", name ?? `${kind}-${count}`);
    if (!this.#nodes.has(id)) return id;
    throw new TopologyError("name-taken", `two nodes are called "${id}"; give one of them another { name }`);
  }

  put(id: string, { kind, inputs, operator, detail = "", holdMs = 0, ...rest }: NewNode): void {
    const { source } = rest;
    if (this.#nodes.size >= OPERATOR_LIMITS.nodesMax)
      throw new TopologyError(
        "too-large",
        `a topology has at most ${OPERATOR_LIMITS.nodesMax} nodes; make it two apps`,
      );
    const streams = source === undefined ? [] : streamsOf(source);
    const twice = streams.find((stream) => this.#readers.has(stream));
    if (twice !== undefined)
      throw new TopologyError(
        "read-twice",
        `"${twice}" is read by "${this.#readers.get(twice)}" already; use that handle twice`,
      );
    for (const stream of streams) this.#readers.set(stream, id);
    this.#nodes.set(id, { id, kind, inputs, operator, detail, holdMs, ...rest });
  }

  /** The most that any source read so far has: what streams inside of the app are given. */
  get idleMs(): number {
    const given = [...this.#nodes.values()].flatMap(({ source }) => (source === undefined ? [] : [source.idleMs]));
    return Math.max(...given);
  }

  /** A handle of another topology has no place in this one. */
  checkOwn(other: Port): void {
    if (other.building !== this)
      throw new TopologyError(
        "other-topology",
        `a stream of "${other.building.app}" is used in "${this.app}"; write it to a stream there, and read that here`,
      );
  }

  graph(): Graph {
    const nodes = [...this.#nodes.values()];
    if (nodes.length === 0)
      throw new TopologyError("empty", "the topology reads nothing; begin with .stream() or .table()");
    checkEnds(nodes);
    return { app: this.app, version: this.#version, nodes, stages: stagesOf(this.app, nodes, this.#silence) };
  }
}

/** Of all its partitions: one may be another source's by its own name. */
function streamsOf(source: SourceSettings): readonly string[] {
  return Array.from({ length: source.partitions }, (_, partition) => sourceStream(source, partition));
}
