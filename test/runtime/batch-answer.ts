/**
 * What a task must have put out, computed from what its inputs have in the log, without any runtime; and whether its commits are that, each
 * output once, in order, at its place (I12).
 */
import { assert } from "../../src/lib/assert.ts";
import { equalBytes } from "../../src/lib/bytes.ts";
import type { Stage } from "../../src/operators/engine/graph.ts";
import { Task } from "../../src/operators/engine/task.ts";
import type { Poison, TaskInput, TaskOutput } from "../../src/operators/engine/task-input.ts";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import type { DigestPoint } from "../../src/record/digest-point.ts";
import { BEFORE_RECORDS, compareRecordPlaces, type RecordPlace } from "../../src/record/record-place.ts";
import { deadLetterStream, sourcesOf, taskName } from "../../src/runtime/app-streams.ts";
import { deadLetter } from "../../src/runtime/dead-letter.ts";
import type { FeedRecord } from "../../src/runtime/task-log.ts";
import { type MemoryLog, recordsBehind } from "./memory-log.ts";

export type BatchAnswer = {
  readonly outputs: readonly TaskOutput[];
  readonly digests: readonly DigestPoint[];
  /** By record: how many outputs there are at least once it was taken in, and at most before the next is. */
  readonly bounds: readonly { readonly place: RecordPlace; readonly least: number; readonly most: number }[];
  /** Of what falls due without a record. */
  readonly nextDue: number | undefined;
};

export function batchAnswer(log: MemoryLog, stage: Stage, partition: number): BatchAnswer {
  const task = new Task(stage, partition, new MemoryStore());
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
    advance(task, record.logTime);
    (bounds.at(-1) as { most: number }).most = take();
    process(task, inputOf(record, sources.get(record.stream) as string));
    const least = take();
    bounds.push({ place: record.place, least, most: least });
  }
  advance(task, log.logTime);
  (bounds.at(-1) as { most: number }).most = take();
  return { outputs, digests, bounds, nextDue: task.nextDue };
}

/** What is wrong with the task's commits; undefined: they are the answer, as far as they go. */
export function commitFault(log: MemoryLog, stage: Stage, partition: number): string | undefined {
  const answer = batchAnswer(log, stage, partition);
  const name = taskName(stage.number, partition);
  let outputs = 0;
  let cursor: RecordPlace = BEFORE_RECORDS;
  for (const { commit, outputs: committed, position } of log.committed(stage.app, name)) {
    const where = `${name}, commit at ${position}`;
    if (commit.from.outputs !== outputs || compareRecordPlaces(commit.from.cursor, cursor) !== 0)
      return `${where}: it does not begin where the one before ended`;
    for (const output of committed) {
      const expected = answer.outputs[outputs];
      if (expected === undefined || !sameOutput(output, expected))
        return `${where}: output ${outputs} is ${shown(output)}, not ${shown(expected)}`;
      outputs += 1;
    }
    if (commit.to.outputs !== outputs) return `${where}: I12: it says ${commit.to.outputs} outputs, and has ${outputs}`;
    cursor = commit.to.cursor;
    const bound = answer.bounds.find(({ place }) => compareRecordPlaces(place, cursor) === 0);
    if (bound === undefined) return `${where}: I12: no record of its inputs is at its cursor`;
    if (outputs < bound.least || outputs > bound.most)
      return `${where}: I12: ${outputs} outputs at a cursor with ${bound.least} to ${bound.most}`;
    if (cursor.position >= position) return `${where}: I12: it covers what came after it`;
    for (const point of commit.digests) {
      const own = answer.digests.find(({ records, logTime }) => records === point.records && logTime === point.logTime);
      if (own === undefined || own.state !== point.state || own.outputs !== point.outputs)
        return `${where}: I10: a digest that the batch does not have`;
    }
  }
  return undefined;
}

function inputOf(record: FeedRecord, source: string): TaskInput {
  const { offset, place, key, value, headers, timestamp, logTime } = record;
  return {
    source,
    offset,
    place,
    value,
    logTime,
    ...(key !== undefined && { key }),
    ...(headers !== undefined && { headers }),
    ...(timestamp !== undefined && { timestamp }),
  };
}

function advance(task: Task, logTime: number): void {
  for (let done = task.advance(logTime); !done.ok; done = task.advance(logTime)) replace(task, done.error);
}

/** With a dead letter in place of what is poison. */
function process(task: Task, input: TaskInput): void {
  let done = task.process(input);
  let poison: Poison | undefined;
  while (!done.ok) {
    if (done.error.at.kind === "timer") replace(task, done.error);
    else poison = done.error;
    done = poison === undefined ? task.process(input) : task.passOver(input, letterOf(task, poison, input));
  }
}

function replace(task: Task, poison: Poison): void {
  assert(poison.at.kind === "timer", "without a record only timers are poison");
  task.replaceTimer(poison.at.row, letterOf(task, poison));
}

function letterOf({ stage: { app, number }, partition }: Task, poison: Poison, input?: TaskInput): TaskOutput {
  return deadLetter({ stream: deadLetterStream(app), app, task: taskName(number, partition) }, poison, input);
}

function sameOutput(a: TaskOutput, b: TaskOutput): boolean {
  return (
    a.stream === b.stream &&
    a.timestamp === b.timestamp &&
    same(a.key, b.key) &&
    same(a.value, b.value) &&
    (a.headers?.length ?? 0) === (b.headers?.length ?? 0)
  );
}

function same(a: Uint8Array | null | undefined, b: Uint8Array | null | undefined): boolean {
  return a && b ? equalBytes(a, b) : a === b;
}

function shown(output: TaskOutput | undefined): string {
  if (output === undefined) return "nothing";
  const { stream, key, value } = output;
  return `${stream} ${String(key && Buffer.from(key).toString())}=${String(value && Buffer.from(value).toString())}`;
}
