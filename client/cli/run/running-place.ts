/**
 * What of a worker's tasks runs just now, as numbers in memory that two threads share: a worker that hangs in an operator can tell nobody.
 * It writes them as it goes, which costs a few stores for each record and operator; its watchdog reads them when it does not answer.
 */
import type { Graph } from "../../../src/operators/engine/graph.ts";
import type { TaskWatch } from "../../../src/operators/engine/task-watch.ts";
import { sourceStream } from "../../../src/operators/verbs/partitioner.ts";
import type { Offset } from "../../../src/record/offset.ts";
import { tasksOf } from "../../../src/runtime/app-streams.ts";
import type { StreamName } from "../../../src/wire/command.ts";
import type { TaskName } from "../../../src/wire/app-command.ts";

/** An operator that runs, and what it was given. */
export type RunningOperator = {
  readonly task: TaskName;
  readonly operator: string;
  /** Absent: a timer. */
  readonly record?: { readonly stream: StreamName; readonly offset: Offset };
};

export function runningText({ task, operator, record }: RunningOperator): string {
  const where = record === undefined ? "in a timer" : `at ${record.stream}, offset ${record.offset}`;
  return `task ${task}: operator "${operator}" does not return ${where}`;
}

/** What numbers mean: of each task its nodes in the stage's order, and the streams of those that are sources. */
export type TaskNodes = {
  readonly task: TaskName;
  readonly nodes: readonly { readonly id: string; readonly stream?: StreamName }[];
};

export function taskNodesOf(graph: Graph): TaskNodes[] {
  return tasksOf(graph).map(({ stage, partition, task }) => {
    const nodes = stage.nodes.map(({ id, source }) => {
      return { id, ...(source !== undefined && { stream: sourceStream(source, partition) }) };
    });
    return { task, nodes };
  });
}

/** Where in the shared memory each number is; doubles, since offsets are. */
const SLOT = { beats: 0, task: 1, node: 2, source: 3, offset: 4 } as const;
const SLOTS = 5;
const NONE = -1;

export class RunningPlace {
  readonly memory: SharedArrayBuffer;
  readonly #tasks: readonly TaskNodes[];
  readonly #slots: Float64Array;

  /** `memory`: of the one that another thread made. */
  constructor(tasks: readonly TaskNodes[], memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer(SLOTS * Float64Array.BYTES_PER_ELEMENT);
    this.#tasks = tasks;
    this.#slots = new Float64Array(this.memory);
    if (memory === undefined) this.#slots[SLOT.task] = NONE;
  }

  /** The worker's loop turns. */
  beat(): void {
    this.#slots[SLOT.beats] = this.beats + 1;
  }

  get beats(): number {
    return this.#slots[SLOT.beats] as number;
  }

  /** Undefined: none. What it says while the worker goes on may be of two operators. */
  get operator(): RunningOperator | undefined {
    const [, number, place, source, offset] = this.#slots as unknown as [number, number, number, number, number];
    const known = this.#tasks[number];
    const node = known?.nodes[place];
    if (known === undefined || node === undefined) return undefined;
    const stream = known.nodes[source]?.stream;
    return { task: known.task, operator: node.id, ...(stream !== undefined && { record: { stream, offset } }) };
  }

  watch(task: TaskName): TaskWatch {
    const number = this.#tasks.findIndex((other) => other.task === task);
    const slots = this.#slots;
    return {
      record(node, offset) {
        slots[SLOT.task] = number;
        slots[SLOT.source] = node;
        slots[SLOT.offset] = offset;
      },
      timer() {
        slots[SLOT.task] = number;
        slots[SLOT.source] = NONE;
      },
      node(place) {
        slots[SLOT.node] = place;
      },
      idle() {
        slots[SLOT.task] = NONE;
      },
    };
  }
}
