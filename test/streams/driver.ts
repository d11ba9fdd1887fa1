/** Drives a state machine in tests: numbers the entries, keeps the time, and makes batches. */
import { hex } from "../../src/lib/bytes.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type {
  AppendCommand,
  AppendedResult,
  Command,
  CommandResult,
  CreateCommand,
  CreatedResult,
  ProducerTag,
  Rejection,
} from "../../src/wire/command.ts";
import { STREAMS_LIMITS, type StreamsLimits } from "../../log-server/streams/limits.ts";
import { StreamsMachine } from "../../log-server/streams/machine.ts";
import { type Row, rowHash } from "../../src/record/row.ts";
import type { Applied } from "../../log-server/streams/views.ts";

export const START_MS = 1_700_000_000_000;

let hashes = 0n;

/** A batch of this many records; each has another hash. */
export function batchOf(span: number): BatchRef {
  hashes += 1n;
  return { hash: hashes, length: 40 + span, span };
}

export class Driver {
  readonly machine: StreamsMachine;
  now: number;

  constructor(machine: StreamsMachine = new StreamsMachine(STREAMS_LIMITS)) {
    this.machine = machine;
    this.now = Math.max(START_MS, machine.logTime);
  }

  static limited(limits: Partial<StreamsLimits>): Driver {
    return new Driver(new StreamsMachine({ ...STREAMS_LIMITS, ...limits }));
  }

  /** One entry with these commands. */
  apply(...commands: readonly Command[]): Applied {
    return this.machine.apply({ index: this.machine.position + 1, logTime: this.now }, commands);
  }

  /** One entry with one command; its result. */
  run(command: Command): CommandResult {
    return this.apply(command).results[0] as CommandResult;
  }

  /** Time passes, and an entry notices. */
  pass(milliseconds: number): Applied {
    this.now += milliseconds;
    return this.apply({ kind: "tick" });
  }

  create(stream: string, more: Partial<CreateCommand> = {}): CreatedResult {
    const result = this.run(create(stream, more));
    if (result.kind !== "created") throw new Error(`not created: ${JSON.stringify(result)}`);
    return result;
  }

  append(stream: string, span = 1, more: Partial<AppendCommand> = {}): AppendedResult {
    const result = this.run(append(stream, span, more));
    if (result.kind !== "appended") throw new Error(`not appended: ${JSON.stringify(result)}`);
    return result;
  }

  /** Runs what must be refused. */
  refused(command: Command): Rejection {
    const result = this.run(command);
    if (result.kind !== "rejected") throw new Error(`not refused: ${JSON.stringify(result)}`);
    return result;
  }

  fork(source: string, stream: string, more: Partial<CreateCommand["fork"]> = {}): CreatedResult {
    return this.create(stream, { fork: this.forkPoint(source, more) });
  }

  forkPoint(source: string, more: Partial<CreateCommand["fork"]> = {}): NonNullable<CreateCommand["fork"]> {
    const incarnation = this.machine.stream(source)?.incarnation ?? 0;
    return { source, incarnation, partialBytes: 0, ...more };
  }
}

export function create(stream: string, more: Partial<CreateCommand> = {}): CreateCommand {
  return { kind: "create", stream, closed: false, ...more };
}

/** Span 0: without a batch. */
export function append(stream: string, span = 1, more: Partial<AppendCommand> = {}): AppendCommand {
  return { kind: "append", stream, close: false, ...(span > 0 && { batch: batchOf(span) }), ...more };
}

export function tag(id: string, epoch: number, sequence: number): { readonly producer: ProducerTag } {
  return { producer: { id, epoch, sequence } };
}

/** Rows as text, which is easy to compare and to read. */
export function rowTexts(rows: Iterable<Row>): string[] {
  return [...rows].map(([key, value]) => `${hex(key)}=${hex(value)}`);
}

/** The digest as its definition says. */
export function digestOf(rows: Iterable<Row>): bigint {
  let sum = 0n;
  for (const [key, value] of rows) sum += rowHash(key, value);
  return BigInt.asUintN(64, sum);
}

export function restored(machine: StreamsMachine, limits: StreamsLimits = STREAMS_LIMITS): StreamsMachine {
  const result = StreamsMachine.restore([...machine.rows()], limits);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}
