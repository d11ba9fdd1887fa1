/**
 * Runs a topology in a test: synchronously, in memory, in virtual time, without a server. Records go in by `write`, time passes
 * by `advance` and not otherwise, and what came out is read by `read`. Poison throws, where it is met.
 */
import { utf8 } from "../../src/lib/bytes.ts";
import type { Topology } from "../../src/operators/build/topology.ts";
import type { Counter } from "../../src/operators/engine/operator.ts";
import { type Difference, runAgain } from "../../src/operators/run/check-determinism.ts";
import { TopologyRun } from "../../src/operators/run/topology-run.ts";
import { bytesOf, type ReadRecord, readRecord, sourceOf, type WrittenRecord } from "./test-record.ts";

/** A topology that gave something else when it was run again on the same input. */
export class DifferenceError extends Error {
  override readonly name = "DifferenceError";
  readonly difference: Difference;

  constructor(difference: Difference) {
    const { stage, partition, what, place, first, second } = difference;
    const where = `stage ${stage}, partition ${partition}`;
    super(
      `${where}: run again on the same input, its ${what} ${place} is ${words(second)}, and was ${words(first)}; ` +
        "callbacks may depend on nothing but their arguments and their state",
    );
    this.difference = difference;
  }
}

export class TopologyDriver {
  readonly #run: TopologyRun;
  readonly #sources: TopologyRun["sources"];
  #now: number;

  /** `now`: the log time at which it begins. */
  constructor(topology: Topology, now = 0) {
    this.#run = new TopologyRun(topology.build());
    this.#sources = this.#run.sources;
    this.#now = now;
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
    const { key, ...rest } = record;
    const bytes = bytesOf(value, sourceOf(this.#sources, stream).format, stream);
    const keyed = key === undefined ? {} : { key: typeof key === "string" ? utf8(key) : key };
    this.#run.append(stream, { value: bytes, ...keyed, ...rest }, this.#now);
  }

  /** Log time passes, without a record: timers fire, sources become idle. */
  advance(ms: number): void {
    this.#now += ms;
    this.#run.advance(this.#now);
  }

  /** What was written to the stream since it was read last. */
  read(stream: string): ReadRecord[] {
    const all = this.#run.outputs.splice(0);
    this.#run.outputs.push(...all.filter((output) => output.stream !== stream));
    return all.filter((output) => output.stream === stream).map(readRecord);
  }

  /**
   * Runs every task again on what it was given so far, in other batches and with its state moved in between. Throws
   * `DifferenceError` unless outputs and digests are the same: what callbacks keep outside of their state shows so.
   */
  checkDeterminism(): void {
    const same = runAgain(this.#run, this.#now);
    if (!same.ok) throw new DifferenceError(same.error);
  }

  /** Of all tasks. */
  counted(counter: Counter): number {
    return this.#run.tasks.reduce((sum, { task }) => sum + task.counters[counter], 0);
  }
}

function words(found: Difference["first"]): string {
  if (found === undefined) return "nothing";
  const plain = "stream" in found ? { stream: found.stream, ...readRecord(found) } : found;
  return JSON.stringify(plain, (_name, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}
