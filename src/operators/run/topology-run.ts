/**
 * Runs a whole topology in memory, all tasks of all stages, with a log that is a counter: for tests of topologies and for the
 * check of determinism. It commits after every record, and stops at poison; it is no runtime.
 */
import { assert } from "../../lib/assert.ts";
import { messageOf } from "../../lib/thrown.ts";
import type { DigestPoint } from "../../record/digest-point.ts";
import type { StreamRecord } from "../../record/record.ts";
import type { RecordPlace } from "../../record/record-place.ts";
import { TopologyError } from "../build/topology-error.ts";
import type { Graph, SourceSettings, Stage } from "../engine/graph.ts";
import { Task } from "../engine/task.ts";
import { placeText } from "../engine/poison-place.ts";
import type { Poison, TaskInput, TaskOutput } from "../engine/task-input.ts";
import { MemoryStore } from "../state/memory-store.ts";
import { sourceStream } from "../verbs/partitioner.ts";
import type { Result } from "../../lib/result.ts";

/** A topology that could not go on: what was poison, and where. */
export class PoisonError extends Error {
  override readonly name = "PoisonError";
  readonly poison: Poison;

  constructor(poison: Poison) {
    const { at, operator, error } = poison;
    super(`operator "${operator}" failed ${placeText(at)}: ${messageOf(error)}`, {
      cause: error,
    });
    this.poison = poison;
  }
}

export type TaskRun = {
  readonly stage: Stage;
  readonly partition: number;
  readonly task: Task;
  /** But for those that were poison. */
  readonly inputs: TaskInput[];
  readonly outputs: TaskOutput[];
  readonly digests: DigestPoint[];
};

type Target = { readonly run: TaskRun; readonly source: SourceSettings };

/** A topology may read what it writes: one record is the cause of so many at most. */
const RECORDS_PER_APPEND_MAX = 100_000;

export class TopologyRun {
  readonly tasks: readonly TaskRun[];
  /** What was written to streams that are not its own, whether it reads them itself or not. */
  readonly outputs: TaskOutput[] = [];
  readonly #targets: ReadonlyMap<string, Target>;
  readonly #offsets = new Map<string, number>();
  #position = 0;

  constructor(graph: Graph) {
    this.tasks = graph.stages.flatMap((stage) =>
      Array.from({ length: stage.partitions }, (_, partition) => {
        const task = new Task(stage, partition, new MemoryStore());
        return { stage, partition, task, inputs: [], outputs: [], digests: [] };
      }),
    );
    this.#targets = new Map(this.tasks.flatMap(targetsOf));
  }

  /** The streams that it reads, and what is known of each. */
  get sources(): ReadonlyMap<string, SourceSettings> {
    return new Map([...this.#targets].map(([stream, { source }]) => [stream, source]));
  }

  /** A record of a stream, whose name has the partition behind it where there is more than one. */
  append(stream: string, record: StreamRecord, logTime: number): void {
    assert(this.#targets.has(stream), `the topology reads no stream "${stream}"`);
    this.#follow(this.#deliver({ ...record, stream, timestamp: record.timestamp ?? logTime }, logTime), logTime);
    this.advance(logTime);
  }

  /** Log time has come so far. */
  advance(logTime: number): void {
    for (const run of this.tasks) {
      check(run.task.advance(logTime));
      this.#follow(taken(run), logTime);
    }
  }

  /** What keeps a task from going on to this log time, to which it had come otherwise. */
  stuck(logTime: number): PoisonError | undefined {
    for (const { task } of this.tasks) {
      const advanced = task.advance(logTime);
      if (!advanced.ok) return new PoisonError(advanced.error);
    }
    return undefined;
  }

  /** Through all tasks that read it, and what comes of that, until it has left the topology. */
  #follow(outputs: readonly TaskOutput[], logTime: number): void {
    const waiting = [...outputs];
    for (let delivered = 0; delivered < waiting.length; delivered += 1) {
      if (delivered >= RECORDS_PER_APPEND_MAX)
        throw new TopologyError(
          "endless",
          `one record brought about ${RECORDS_PER_APPEND_MAX} others, in streams that the topology both writes and reads, and still more`,
        );
      const output = waiting[delivered] as TaskOutput;
      if (this.#targets.get(output.stream)?.source.internal !== true) this.outputs.push(output);
      waiting.push(...this.#deliver(output, logTime));
    }
  }

  /** Answers what came of it. */
  #deliver(output: TaskOutput, logTime: number): readonly TaskOutput[] {
    const { stream, ...record } = output;
    const target = this.#targets.get(stream);
    if (target === undefined) return [];
    const { run, source } = target;
    const offset = this.#offsets.get(stream) ?? 0;
    this.#offsets.set(stream, offset + 1);
    const input: TaskInput = { ...record, source: source.name, offset, place: this.#nextPlace(), logTime };
    check(run.task.process(input));
    run.inputs.push(input);
    return taken(run);
  }

  #nextPlace(): RecordPlace {
    this.#position += 1;
    return { position: this.#position, ordinal: 0, index: 0 };
  }
}

function targetsOf(run: TaskRun): [string, Target][] {
  return run.stage.nodes.flatMap(({ source }) => {
    if (source === undefined) return [];
    return [[sourceStream(source, run.partition), { run, source }]];
  });
}

function taken({ task, outputs, digests }: TaskRun): readonly TaskOutput[] {
  const batch = task.take();
  outputs.push(...batch.outputs);
  digests.push(...batch.digests);
  return batch.outputs;
}

function check(result: Result<unknown, Poison>): void {
  if (!result.ok) throw new PoisonError(result.error);
}
