/**
 * Runs a topology in a test: synchronously, in memory, in virtual time, without a server. Records go in by `write`, time passes
 * by `advance` and not otherwise, and what came out is read by `read`. Poison throws, where it is met.
 */
import type { Topology } from "../../src/operators/build/topology.ts";
import type { Graph } from "../../src/operators/engine/graph.ts";
import type { Counter } from "../../src/operators/engine/operator.ts";
import { type Compared, type Difference, runAgain } from "../../src/operators/run/check-determinism.ts";
import { PoisonError, TopologyRun } from "../../src/operators/run/topology-run.ts";
import { isTimestamp } from "../../src/record/record.ts";
import { outputStreamsOf } from "../../src/runtime/app-streams.ts";
import { deadLetterStream } from "../../src/wire/app-streams.ts";
import { checkOneOf, checkWhole, invalid } from "./options.ts";
import { type ReadRecord, readRecord, sourceOf, type WrittenRecord, writtenRecord } from "./test-record.ts";

const COUNTERS: readonly Counter[] = ["late", "skipped"];

/** A topology that gave something else when it was run again on the same input. */
export class DifferenceError extends Error {
  override readonly name = "DifferenceError";
  readonly difference: Difference;

  constructor(difference: Difference) {
    const { stage, partition } = difference;
    super(
      `stage ${stage}, partition ${partition}: run again on the same input, ${told(difference)}; ` +
        "callbacks may depend on nothing but their arguments and their state",
    );
    this.difference = difference;
  }
}

export class TopologyDriver {
  readonly #run: TopologyRun;
  /** That it writes to. */
  readonly #sinks: ReadonlySet<string>;
  readonly #sources: TopologyRun["sources"];
  #now: number;

  /** `now`: the log time at which it begins. */
  constructor(topology: Topology, now = 0) {
    const graph = topology.build();
    this.#run = new TopologyRun(graph);
    this.#sources = this.#run.sources;
    this.#sinks = sinksOf(graph);
    this.#now = checkLogTime(now);
  }

  /** Log time, milliseconds since the Unix epoch. */
  get now(): number {
    return this.#now;
  }

  /** The least of all tasks'; -Infinity before each has a record. */
  get watermark(): number {
    return Math.min(...this.#run.tasks.map(({ task }) => task.watermark));
  }

  /**
   * A value as JSON, or as text where the topology reads text; bytes as they are, null as a tombstone. A stream in partitions
   * has its number behind the name.
   */
  write(stream: string, value: unknown, record: WrittenRecord = {}): void {
    const { format } = sourceOf(this.#sources, stream);
    this.#run.append(stream, writtenRecord(value, record, format, stream), this.#now);
  }

  /** Log time passes, without a record: timers fire, sources become idle. */
  advance(ms: number): void {
    checkWhole("what log time advances by", ms, 0);
    this.#now = checkLogTime(this.#now + ms);
    this.#run.advance(this.#now);
  }

  /** What the topology wrote to the stream since it was read last. */
  read(stream: string): ReadRecord[] {
    if (!this.#sinks.has(stream))
      throw invalid(`the topology does not write "${stream}"; it writes ${[...this.#sinks].join(", ")}`);
    const all = this.#run.outputs.splice(0);
    this.#run.outputs.push(...all.filter((output) => output.stream !== stream));
    return all.filter((output) => output.stream === stream).map(readRecord);
  }

  /**
   * Runs every task again on what it was given so far, in other batches and with its state moved in between. Throws
   * `DifferenceError` unless outputs and digests are the same: what callbacks keep outside of their state shows so. Records that were
   * poison are left out, as they were. A timer that is poison stays due, and there is nothing to compare behind it: that throws.
   */
  checkDeterminism(): void {
    const stuck = this.#run.stuck(this.#now);
    if (stuck !== undefined)
      throw new Error(`there is nothing to compare: a timer that is poison stays due, and ${stuck.message}`, {
        cause: stuck,
      });
    const same = runAgain(this.#run, this.#now);
    if (!same.ok) throw new DifferenceError(same.error);
  }

  /** Of all tasks. */
  counted(counter: Counter): number {
    checkOneOf("a counter", counter, COUNTERS);
    return this.#run.tasks.reduce((sum, { task }) => sum + task.counters[counter], 0);
  }
}

function sinksOf({ app, nodes }: Graph): ReadonlySet<string> {
  const streams = new Set(
    outputStreamsOf(
      app,
      nodes.filter(({ kind }) => kind !== "repartition"),
    ),
  );
  // What is poison throws here.
  streams.delete(deadLetterStream(app));
  return streams;
}

function checkLogTime(now: number): number {
  if (isTimestamp(now)) return now;
  throw invalid(`log time is whole milliseconds since the Unix epoch, and was to be ${String(now)}`);
}

function told(difference: Difference): string {
  if (difference.what === "poison") return new PoisonError(difference.poison).message;
  const { what, place, first, second } = difference;
  return `its ${what} ${place} is ${words(second)}, and was ${words(first)}`;
}

function words(found: Compared): string {
  if (found === undefined) return "nothing";
  const plain = "stream" in found ? { stream: found.stream, ...readRecord(found) } : found;
  return JSON.stringify(plain, (_name, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}
