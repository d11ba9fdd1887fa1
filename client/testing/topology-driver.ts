/**
 * Runs a topology in a test: synchronously, in memory, in virtual time, without a server. Records go in by `write`, time passes
 * by `advance` and not otherwise, and what came out is read by `read`. Poison throws, where it is met.
 */
import { text, utf8 } from "../../src/lib/bytes.ts";
import type { RecordHeader } from "../../src/record/record.ts";
import type { Topology } from "../../src/operators/build/topology.ts";
import type { Counter, SourceFormat } from "../../src/operators/engine/operator.ts";
import type { TaskOutput } from "../../src/operators/engine/task-input.ts";
import { type Difference, runAgain } from "../../src/operators/run/check-determinism.ts";
import { TopologyRun } from "../../src/operators/run/topology-run.ts";

export type WrittenRecord = {
  readonly key?: string | Uint8Array;
  readonly headers?: readonly RecordHeader[];
  /** Event time; default: the driver's time. */
  readonly timestamp?: number;
};

export type ReadRecord = {
  /** As text; bytes where it is none; null where there is no key. */
  readonly key: string | Uint8Array | null;
  /** JSON's value; bytes where it is none; null for a tombstone. */
  readonly value: unknown;
  readonly timestamp: number;
  readonly headers: readonly RecordHeader[];
};

/** A topology that gave something else when it was run again on the same input. */
export class DifferenceError extends Error {
  override readonly name = "DifferenceError";
  readonly difference: Difference;

  constructor(difference: Difference) {
    const { stage, partition, what, place, first, second } = difference;
    const where = `stage ${stage}, partition ${partition}`;
    super(
      `${where}: run again on the same input, its ${what} ${place} is ${words(second)}, and was ${words(first)}; ` +
        "callbacks may depend on nothing but their arguments",
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
    const source = this.#sources.get(stream);
    if (source === undefined) {
      const known = [...this.#sources].flatMap(([name, { internal }]) => (internal ? [] : [name]));
      throw new TypeError(`the topology does not read "${stream}"; it reads ${known.join(", ")}`);
    }
    const bytes = bytesOf(value, source.format, stream);
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
    return all.filter((output) => output.stream === stream).map(shown);
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

function bytesOf(value: unknown, format: SourceFormat, stream: string): Uint8Array | null {
  if (value === null || value instanceof Uint8Array) return value;
  if (format === "json") return utf8(JSON.stringify(value));
  if (format === "text" && typeof value === "string") return utf8(value);
  throw new TypeError(`the topology reads "${stream}" as ${format}, and was given ${JSON.stringify(value)}`);
}

function shown({ key, value, timestamp, headers = [] }: TaskOutput): ReadRecord {
  return {
    key: key === undefined ? null : (text(key) ?? key),
    value: value === null ? null : jsonOrBytes(value),
    timestamp,
    headers,
  };
}

function jsonOrBytes(bytes: Uint8Array): unknown {
  const decoded = text(bytes);
  if (decoded === undefined) return bytes;
  try {
    return JSON.parse(decoded);
  } catch {
    return bytes;
  }
}

function words(found: Difference["first"]): string {
  if (found === undefined) return "nothing";
  const plain = "stream" in found ? { stream: found.stream, ...shown(found) } : found;
  return JSON.stringify(plain, (_name, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}
