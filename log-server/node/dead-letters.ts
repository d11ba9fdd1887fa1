/**
 * Moves dead records of queues into their dead-letter streams (the leader's work). The
 * state says which are dead; each is read from the log, and one command appends it there and settles it here, so it is
 * in the dead-letter stream exactly once, whatever happens between (I8, I9). It looks whenever something was applied.
 */
import { utf8 } from "../../src/lib/bytes.ts";
import type { Timer } from "../../src/ports/clock.ts";
import { decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import { formatOffset, type Offset } from "../../src/record/offset.ts";
import type { RecordHeader, StreamRecord } from "../../src/record/record.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import type { DeadRecord } from "../streams/groups/group-views.ts";
import type { NodeParts } from "./node-parts.ts";
import type { Reader } from "./reading/reader.ts";

/** Headers that a dead record gets, before its own. */
export const DEAD_LETTER_HEADERS = {
  group: "tidemark-group",
  stream: "tidemark-stream",
  /** As a token: the offset, and the incarnation it is an offset of. */
  offset: "tidemark-offset",
  attempts: "tidemark-attempts",
  /** Why the last attempt came to nothing, where anyone said. */
  reason: "tidemark-reason",
  /** Why the record itself is not here, only where it was: its value is null, and its key and headers are missing. */
  omitted: "tidemark-omitted",
} as const;

/** What could not be kept can still be looked for where it was. */
type Omitted = "it is too large" | "it does not decode";

export type DeadLettersParts = Pick<NodeParts, "machine" | "clock" | "limits" | "observer" | "zstd">;

export class DeadLetters {
  readonly #parts: DeadLettersParts;
  readonly #reader: Pick<Reader, "read">;
  readonly #propose: (command: Command) => Promise<CommandResult>;
  #working: Promise<void> | undefined;
  #resting: Timer | undefined;
  #stopped = false;
  #paused = false;
  /** Why the last round stopped, so that it is told once and not every time. */
  #told: string | undefined;

  constructor(
    parts: DeadLettersParts,
    reader: Pick<Reader, "read">,
    propose: (command: Command) => Promise<CommandResult>,
  ) {
    this.#parts = parts;
    this.#reader = reader;
    this.#propose = propose;
  }

  /** This node leads. */
  resume(): void {
    this.#paused = false;
    this.look();
  }

  /** This node leads no more. */
  pause(): void {
    this.#paused = true;
  }

  /** Something was applied. */
  look(): void {
    if (this.#paused || this.#stopped || this.#working !== undefined || this.#resting !== undefined) return;
    if (!this.#parts.machine.hasDeadRecords) return;
    this.#working = this.#work()
      .then((failure) => this.#rest(failure))
      .catch((error: unknown) => this.#rest(String(error)))
      .finally(() => {
        this.#working = undefined;
        this.look();
      });
  }

  /** Resolves once nothing more is proposed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#resting?.cancel();
    await this.#working;
  }

  /** Until all are moved, but for those of groups that something is in the way of, or that are damaged. What; undefined: nothing. */
  async #work(): Promise<string | undefined> {
    const { machine, limits } = this.#parts;
    const failures = new Map<string, string>();
    const passed = new Passed();
    for (;;) {
      const dead = machine
        .deadRecords(limits.deadLettersPerStream, (group, streamId) => passed.end(group, streamId))
        .filter(({ group }) => !failures.has(group));
      if (dead.length === 0 || this.#stopped || this.#paused) return [...failures.values()][0] ?? passed.reason;
      for (let place = 0; place < dead.length && !this.#stopped; place += limits.deadLettersTogether) {
        const together = dead.slice(place, place + limits.deadLettersTogether);
        const outcomes = await Promise.all(together.map((record) => this.#tryToMove(record)));
        outcomes.forEach((failure, which) => {
          const record = together[which] as DeadRecord;
          if (failure instanceof Unreadable) passed.add(record, failure);
          else if (failure !== undefined && !failures.has(record.group)) failures.set(record.group, failure);
        });
      }
    }
  }

  /** Never throws: one that fails must not leave the others unwatched. */
  async #tryToMove(dead: DeadRecord): Promise<Failure | undefined> {
    try {
      return await this.#move(dead);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #move(dead: DeadRecord): Promise<Failure | undefined> {
    const { machine, limits } = this.#parts;
    const { group: id, stream, incarnation, offset, generation } = dead;
    // Only so that nothing is put into the log that would surely be refused (I9).
    const target = machine.stream(dead.deadLetter);
    if (target === undefined || target.deleted || target.closed)
      return `the dead-letter stream "${dead.deadLetter}" of the group "${id}" is not there, or closed`;
    const read = await this.#read(dead);
    if (typeof read === "string" || read instanceof Unreadable) return read;
    let batch = read && batchOf(dead, read.record, read.logTime);
    if (read !== undefined && batch !== undefined && batch.length > limits.batchBytesMax) {
      batch = batchOf(dead, "it is too large", read.logTime);
    }
    const result = await this.#propose({
      kind: "group-dead-letter",
      id,
      stream,
      incarnation,
      offset,
      generation,
      ...(batch !== undefined && { batch }),
    });
    // Fenced: it was reset, trimmed or moved meanwhile.
    return result.kind === "rejected" && result.code !== "fenced" ? result.message : undefined;
  }

  /** A failure: it cannot be read now. Undefined: it is gone for good. */
  async #read({ streamId, offset }: DeadRecord): Promise<Found | Failure | undefined> {
    const { machine, limits, zstd } = this.#parts;
    const stream = machine.streamById(streamId);
    if (stream === undefined) return undefined;
    const read = await this.#reader.read(stream, offset, { maxBytes: 1, to: offset + 1 });
    if (!read.ok) {
      const { code, message } = read.error;
      if (code === "offset-trimmed") return undefined;
      return new Unreadable(message);
    }
    const [batch] = read.value.batches;
    if (batch === undefined) return undefined;
    const decoded = decodeBatch(batch.bytes, {
      ...(zstd !== undefined && { zstd }),
      rawBytesMax: limits.batchBytesMax * 4,
    });
    if (!decoded.ok) return { record: "it does not decode", logTime: batch.logTime };
    const found = decoded.value.records.find(({ offsetDelta }) => batch.firstOffset + offsetDelta === offset);
    return found === undefined ? undefined : { record: found.record, logTime: batch.logTime };
  }

  #rest(failure: string | undefined): void {
    if (failure === undefined) {
      this.#told = undefined;
      return;
    }
    const { clock, limits, observer } = this.#parts;
    if (failure !== this.#told) observer.event("dead-letter-failed", { reason: failure });
    this.#told = failure;
    if (this.#stopped) return;
    this.#resting = clock.schedule(limits.deadLetterRetryMs, () => {
      this.#resting = undefined;
      this.look();
    });
  }
}

/** Of one record: others of its group may be moved all the same. */
class Unreadable {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** A text: something is in the way of the whole group. */
type Failure = string | Unreadable;

/** Where one round goes on in each stream: behind the records that it could not read. */
class Passed {
  /** Why, of the first. */
  reason: string | undefined;
  readonly #ends = new Map<string, Offset>();

  end(group: string, streamId: number): Offset {
    return this.#ends.get(`${streamId} ${group}`) ?? 0;
  }

  /** In order of offsets; those before it were moved, or could not be read either. */
  add({ group, streamId, offset }: DeadRecord, { reason }: Unreadable): void {
    this.reason ??= reason;
    this.#ends.set(`${streamId} ${group}`, offset + 1);
  }
}

type Found = { readonly record: StreamRecord | Omitted; readonly logTime: number };

/** As it was, with where it is from; its event time stays what it was. */
function batchOf(dead: DeadRecord, found: StreamRecord | Omitted, logTime: number): BatchRef {
  const { group, stream, incarnation, offset, attempts, reason } = dead;
  const names = DEAD_LETTER_HEADERS;
  const headers: RecordHeader[] = [
    [names.group, utf8(group)],
    [names.stream, utf8(stream)],
    [names.offset, utf8(formatOffset(incarnation, offset))],
    [names.attempts, utf8(String(attempts))],
  ];
  if (reason !== "") headers.push([names.reason, utf8(reason)]);
  const isOmitted = typeof found === "string";
  if (isOmitted) headers.push([names.omitted, utf8(found)]);
  const record: StreamRecord = isOmitted ? { value: null } : found;
  const bytes = encodeBatch([{ timestamp: logTime, ...record, headers: [...headers, ...(record.headers ?? [])] }]);
  const hash = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
  return { hash, length: bytes.length, span: 1, bytes };
}
