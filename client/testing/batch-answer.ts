/**
 * What a task must have put out, computed from what its inputs have in the log, without any runtime; and whether its commits are that, each
 * output once, in order, at its place (I12).
 */
import { assert } from "../../src/lib/assert.ts";
import { equalBytes, text } from "../../src/lib/bytes.ts";
import type { Result } from "../../src/lib/result.ts";
import type { Graph, Stage } from "../../src/operators/engine/graph.ts";
import { type Instead, Task } from "../../src/operators/engine/task.ts";
import type { Poison, TaskOutput } from "../../src/operators/engine/task-input.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import type { StateStore } from "../../src/operators/state/state-store.ts";
import type { DigestPoint } from "../../src/record/digest-point.ts";
import { BEFORE_RECORDS, compareRecordPlaces, type RecordPlace } from "../../src/record/record-place.ts";
import { sourcesOf, taskName, type TaskOfApp, tasksOf, writtenStreamsOf } from "../../src/runtime/app-streams.ts";
import { deadLetter } from "../../src/runtime/dead-letter.ts";
import { readStatement } from "../../src/runtime/dispute.ts";
import { inputOf } from "../../src/runtime/feed-input.ts";
import type { FeedRecord } from "../../src/runtime/task-log.ts";
import type { TaskCommit } from "../../src/wire/app-command.ts";
import { commitsStream, deadLetterStream } from "../../src/wire/app-streams.ts";
import type { StreamName } from "../../src/wire/command.ts";

/** What is in a log, for whoever judges. */
export interface LogView {
  readonly logTime: number;
  of(stream: string): readonly FeedRecord[];
  readCommit(record: FeedRecord): TaskCommit | undefined;
}

export type BatchAnswer = {
  readonly outputs: readonly TaskOutput[];
  readonly digests: readonly DigestPoint[];
  /** By record: how many outputs there are at least once it was taken in, and at most before the next is. */
  readonly bounds: readonly { readonly place: RecordPlace; readonly least: number; readonly most: number }[];
  /** Of what falls due without a record. */
  readonly nextDue: number | undefined;
  /** Of all that was taken in, and all that fell due until the log's time. */
  readonly end: DigestPoint;
};

export function batchAnswer(log: LogView, stage: Stage, partition: number): BatchAnswer {
  const task = new Task(stage, partition, new MemoryStore(), undefined, letters(stage, partition));
  const outputs: TaskOutput[] = [];
  const digests: DigestPoint[] = [];
  const take = (): number => {
    const batch = task.take();
    outputs.push(...batch.outputs);
    digests.push(...batch.digests);
    return outputs.length;
  };
  const sources = new Map(sourcesOf(stage, partition).map(({ stream, source }) => [stream, source]));
  const bounds = [{ place: BEFORE_RECORDS, least: 0, most: 0 }];
  for (const record of recordsBehind(log, [...sources.keys()], BEFORE_RECORDS)) {
    check(task.advance(record.logTime));
    (bounds.at(-1) as { most: number }).most = take();
    // A commit may be made before the timers that it makes due.
    check(task.process(inputOf(record, sources.get(record.stream) as string), () => false));
    const least = take();
    bounds.push({ place: record.place, least, most: least });
  }
  check(task.advance(log.logTime));
  (bounds.at(-1) as { most: number }).most = take();
  return { outputs, digests, bounds, nextDue: task.nextDue, end: task.digest() };
}

/** What a task that has read the same comes to, from the rows that it ended with, when time has come as far. */
export function endOf({ stage, partition }: TaskOfApp, rows: StateStore, logTime: number): DigestPoint {
  const task = new Task(stage, partition, rows, undefined, letters(stage, partition));
  check(task.advance(logTime));
  task.take();
  return task.digest();
}

/** A commit in the log, and what it took along. */
type Committed = {
  readonly commit: TaskCommit;
  readonly position: number;
  readonly outputs: readonly FeedRecord[];
};

/** What is wrong with an app's commits; undefined: they are the answer, as far as they go. `fed`: streams that others append to, too. */
export function commitFault(log: LogView, graph: Graph, fed: ReadonlySet<StreamName> = new Set()): string | undefined {
  const judges = new Map(
    tasksOf(graph).map(({ stage, partition, task }) => [task, new TaskJudge(task, batchAnswer(log, stage, partition))]),
  );
  const { commits, others } = split(log, graph);
  const stray = others.find(({ stream }) => !fed.has(stream));
  for (const committed of commits) {
    if (stray !== undefined && stray.place.position < committed.position) break;
    const fault = judges.get(committed.commit.task)?.fault(committed);
    if (fault !== undefined) return fault;
  }
  return stray === undefined ? undefined : `I12: ${shown(stray)} at ${stray.place.position} is of no commit`;
}

/** What others than the app's own commits appended to a stream that it may write, too. */
export function appendedTo(log: LogView, graph: Graph, stream: StreamName): readonly FeedRecord[] {
  if (!writtenStreamsOf(graph).includes(stream)) return log.of(stream);
  return split(log, graph).others.filter((record) => record.stream === stream);
}

/** Records of the streams that an app writes: those of its commits, with them, and all others. */
function split(
  log: LogView,
  graph: Graph,
): { readonly commits: readonly Committed[]; readonly others: readonly FeedRecord[] } {
  const commits: Committed[] = [];
  const others: FeedRecord[] = [];
  let outputs: FeedRecord[] = [];
  for (const record of recordsBehind(log, writtenStreamsOf(graph), BEFORE_RECORDS)) {
    const commit = log.readCommit(record);
    if (commit === undefined) {
      const isStatement = record.key !== undefined && readStatement(record.key, record.value) !== undefined;
      if (!isStatement) outputs.push(record);
      continue;
    }
    const { position } = record.place;
    // A commit's outputs are right before it, in its entry, where other things may come first.
    const inEntry = outputs.filter(({ place }) => place.position === position).length;
    const count = Math.min(inEntry, Math.max(0, commit.to.outputs - commit.from.outputs));
    const begin = outputs.length - count;
    others.push(...outputs.slice(0, begin));
    commits.push({ commit, position, outputs: outputs.slice(begin) });
    outputs = [];
  }
  return { commits, others: [...others, ...outputs] };
}

/** What is to come out yet; undefined: nothing that was due at this log time. */
export function missingOutputs(log: LogView, graph: Graph, now: number): string | undefined {
  for (const { stage, partition, task } of tasksOf(graph)) {
    const { outputs, nextDue } = batchAnswer(log, stage, partition);
    const commits = log.of(commitsStream(graph.app, task)).map((record) => log.readCommit(record));
    const committed = commits.findLast((commit) => commit !== undefined)?.to.outputs ?? 0;
    if (committed !== outputs.length) return `${task} has ${committed} of ${outputs.length} outputs`;
    if (nextDue !== undefined && nextDue < now)
      return `I14: ${task} has something due at ${nextDue}, and log time does not get there`;
  }
  return undefined;
}

/** Follows the commits of one task. */
class TaskJudge {
  readonly #task: string;
  readonly #answer: BatchAnswer;
  #outputs = 0;
  #cursor: RecordPlace = BEFORE_RECORDS;

  constructor(task: string, answer: BatchAnswer) {
    this.#task = task;
    this.#answer = answer;
  }

  fault({ commit, outputs: records, position }: Committed): string | undefined {
    const { from, to, digests } = commit;
    const where = `task ${this.#task}, commit at ${position}`;
    if (from.outputs !== this.#outputs || compareRecordPlaces(from.cursor, this.#cursor) !== 0)
      return `${where}: it does not begin where the one before ended`;
    if (to.outputs !== from.outputs + records.length)
      return `${where}: I12: it says ${to.outputs - from.outputs} outputs, and has ${records.length}`;
    const expected = Map.groupBy(this.#answer.outputs.slice(from.outputs, to.outputs), ({ stream }) => stream);
    for (const [stream, actual] of Map.groupBy(records, (record) => record.stream)) {
      for (const [place, record] of actual.entries()) {
        const output = expected.get(stream)?.[place];
        if (output === undefined || !sameOutput(record, output))
          return `${where}: ${shown(record)}, not ${shown(output)}`;
      }
    }
    this.#outputs = to.outputs;
    this.#cursor = to.cursor;
    return this.#placeFault(where, position) ?? this.#digestFault(where, digests);
  }

  #placeFault(where: string, position: number): string | undefined {
    const bound = this.#answer.bounds.find(({ place }) => compareRecordPlaces(place, this.#cursor) === 0);
    if (bound === undefined) return `${where}: I12: no record of its inputs is at its cursor`;
    if (this.#outputs < bound.least || this.#outputs > bound.most)
      return `${where}: I12: ${this.#outputs} outputs at a cursor with ${bound.least} to ${bound.most}`;
    return this.#cursor.position < position ? undefined : `${where}: I12: it covers what came after it`;
  }

  #digestFault(where: string, digests: readonly DigestPoint[]): string | undefined {
    const differs = digests.some(({ records, logTime, state, outputs }) => {
      const own = this.#answer.digests.find((point) => point.records === records && point.logTime === logTime);
      return own?.state !== state || own.outputs !== outputs;
    });
    return differs ? `${where}: I10: a digest that the batch does not have` : undefined;
  }
}

/** Records of the streams behind a place, in log order. */
function recordsBehind(log: LogView, streams: readonly string[], after: RecordPlace): FeedRecord[] {
  return streams
    .flatMap((stream) => log.of(stream))
    .filter(({ place }) => compareRecordPlaces(place, after) > 0)
    .toSorted((a, b) => compareRecordPlaces(a.place, b.place));
}

/** With a dead letter in place of what is poison. */
function letters({ app, number }: Stage, partition: number): Instead {
  const origin = { stream: deadLetterStream(app), app, task: taskName(number, partition) };
  return (poison, input) => deadLetter(origin, poison, input);
}

function check(done: Result<unknown, Poison>): void {
  assert(done.ok, "what is poison is replaced");
}

function sameOutput(record: FeedRecord, output: TaskOutput): boolean {
  return (
    record.timestamp === output.timestamp &&
    same(record.key, output.key) &&
    same(record.value, output.value) &&
    (record.headers?.length ?? 0) === (output.headers?.length ?? 0)
  );
}

function same(a: Uint8Array | null | undefined, b: Uint8Array | null | undefined): boolean {
  return a && b ? equalBytes(a, b) : a === b;
}

function shown(
  output: (Pick<TaskOutput, "stream" | "value"> & { readonly key?: Uint8Array | undefined }) | undefined,
): string {
  if (output === undefined) return "nothing";
  const { stream, key, value } = output;
  const keyed = key === undefined ? "" : `${textOf(key)} = `;
  return `${keyed}${value === null ? "deleted" : textOf(value)} to "${stream}"`;
}

function textOf(bytes: Uint8Array): string {
  return text(bytes) ?? `${bytes.length} bytes`;
}
