/**
 * Is a topology a function of its input? Runs it once, record by record; then every task again on what it read then, in other
 * batches and parts, with its log time told at other moments, and with its rows moved to another store in between. Outputs and
 * digests must be the same (I10). What it cannot see is what is the same in both runs: a machine's locale, an environment.
 */
import { equalBytes } from "../../lib/bytes.ts";
import { Prng } from "../../lib/prng.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { DigestPoint } from "../../record/digest-point.ts";
import type { StreamRecord } from "../../record/record.ts";
import type { Graph } from "../engine/graph.ts";
import { Task } from "../engine/task.ts";
import type { Poison, TaskInput, TaskOutput } from "../engine/task-input.ts";
import { MemoryStore } from "../state/memory-store.ts";
import { ROWS_FROM, ROWS_TO } from "../state/row-keys.ts";
import { type TaskRun, TopologyRun } from "./topology-run.ts";

export type AppendedRecord = StreamRecord & {
  /** With the partition behind its name, where there is more than one. */
  readonly stream: string;
  readonly logTime: number;
};

/** Absent: there is none so far. */
export type Compared = TaskOutput | DigestPoint | undefined;

type DifferenceWithin =
  | {
      readonly what: "output" | "digest" | "state";
      /** Which one, from 0. */
      readonly place: number;
      readonly first: Compared;
      readonly second: Compared;
    }
  /** It had not been before. */
  | { readonly what: "poison"; readonly poison: Poison };

export type Difference = { readonly stage: number; readonly partition: number } & DifferenceWithin;

const BATCH_MAX = 7;
const ADVANCE = 0.3;
const MOVE = 0.1;
/** Of what is due: that it is left for the next call. */
const LEAVE = 0.1;
const SEED = 1;

/** The first difference, if there is one. `until`: log time that both runs go on to. Throws `PoisonError` where the first run does. */
export function checkDeterminism(
  graph: Graph,
  records: readonly AppendedRecord[],
  until: number,
): Result<void, Difference> {
  const first = new TopologyRun(graph);
  for (const { stream, logTime, ...record } of records) first.append(stream, record, logTime);
  first.advance(until);
  return runAgain(first, until);
}

/** The second half of it, for a run whose log time has come to `until`, less the records that were poison. */
export function runAgain(first: TopologyRun, until: number): Result<void, Difference> {
  for (const run of first.tasks) {
    const second = again(run, until);
    const difference: DifferenceWithin | undefined = second.ok
      ? compare(run, second.value)
      : { what: "poison", poison: second.error };
    if (difference !== undefined) return err({ stage: run.stage.number, partition: run.partition, ...difference });
  }
  return ok(undefined);
}

type Again = { readonly outputs: TaskOutput[]; readonly digests: DigestPoint[]; readonly task: Task };

function again({ stage, inputs, partition }: TaskRun, until: number): Result<Again, Poison> {
  const prng = new Prng(SEED + partition);
  const outputs: TaskOutput[] = [];
  const digests: DigestPoint[] = [];
  let store = new MemoryStore();
  let task = new Task(stage, partition, store);
  const take = (): void => {
    const batch = task.take();
    outputs.push(...batch.outputs);
    digests.push(...batch.digests);
  };
  const more = (): boolean => !prng.chance(LEAVE);
  let left = 1;
  for (const input of inputs) {
    if (prng.chance(ADVANCE)) {
      const advanced = task.advance(between(prng, task, input), more);
      if (!advanced.ok) return advanced;
    }
    const done = task.process(input, more);
    if (!done.ok) return done;
    left -= 1;
    if (left > 0) continue;
    take();
    left = 1 + prng.below(BATCH_MAX);
    if (!prng.chance(MOVE)) continue;
    store = copyOf(store);
    task = new Task(stage, partition, store);
  }
  const ended = task.advance(until);
  if (!ended.ok) return ended;
  take();
  return ok({ outputs, digests, task });
}

/** A log time that may be told before the input comes. */
function between(prng: Prng, task: Task, { logTime }: TaskInput): number {
  const since = Number.isFinite(task.logTime) ? task.logTime : logTime;
  return since + Math.floor(prng.float() * (logTime - since + 1));
}

function copyOf(store: MemoryStore): MemoryStore {
  const copy = new MemoryStore();
  for (const [key, value] of store.range(ROWS_FROM, ROWS_TO)) copy.put(key, value);
  return copy;
}

function compare(run: TaskRun, other: Again): DifferenceWithin | undefined {
  const output = firstDifference(run.outputs, other.outputs, sameOutput);
  if (output !== undefined) return { what: "output", ...output };
  const digest = firstDifference(run.digests, other.digests, sameDigest);
  if (digest !== undefined) return { what: "digest", ...digest };
  const first = run.task.digest();
  const second = other.task.digest();
  return sameDigest(first, second) ? undefined : { what: "state", place: 0, first, second };
}

function firstDifference<T>(
  first: readonly T[],
  second: readonly T[],
  same: (a: T, b: T) => boolean,
): { readonly place: number; readonly first: T | undefined; readonly second: T | undefined } | undefined {
  for (let place = 0; place < Math.max(first.length, second.length); place += 1) {
    const [a, b] = [first[place], second[place]];
    if (a === undefined || b === undefined || !same(a, b)) return { place, first: a, second: b };
  }
  return undefined;
}

function sameDigest(a: DigestPoint, b: DigestPoint): boolean {
  return a.records === b.records && a.logTime === b.logTime && a.state === b.state && a.outputs === b.outputs;
}

function sameOutput(a: TaskOutput, b: TaskOutput): boolean {
  const [headersA, headersB] = [a.headers ?? [], b.headers ?? []];
  return (
    a.stream === b.stream &&
    a.timestamp === b.timestamp &&
    sameBytes(a.key, b.key) &&
    sameBytes(a.value, b.value) &&
    headersA.length === headersB.length &&
    headersA.every(([name, bytes], place) => {
      const [otherName, otherBytes] = headersB[place] ?? [];
      return name === otherName && sameBytes(bytes, otherBytes);
    })
  );
}

function sameBytes(a: Uint8Array | null | undefined, b: Uint8Array | null | undefined): boolean {
  if (a === undefined || a === null || b === undefined || b === null) return a === b;
  return equalBytes(a, b);
}
