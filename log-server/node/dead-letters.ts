/**
 * Moves dead records of queues into their dead-letter streams (the leader's work: with one voter, this node's). The
 * state says which are dead; each is read from the log, and one command appends it there and settles it here, so it is
 * in the dead-letter stream exactly once, whatever happens between (I8, I9). It looks whenever something was applied.
 */
import { utf8 } from "../../src/lib/bytes.ts";
import type { Timer } from "../../src/ports/clock.ts";
import { decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import { formatOffset } from "../../src/record/offset.ts";
import type { RecordHeader, StreamRecord } from "../../src/record/record.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import type { DeadRecord } from "../streams/group-views.ts";
import type { NodeParts } from "./node-parts.ts";
import type { Reader } from "./reader.ts";

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

  /** Something was applied. */
  look(): void {
    if (this.#stopped || this.#working !== undefined || this.#resting !== undefined) return;
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

  /** Until all are moved, but for those of groups that something is in the way of. What; undefined: nothing. */
  async #work(): Promise<string | undefined> {
    const { machine, limits } = this.#parts;
    const failures = new Map<string, string>();
    for (;;) {
      const dead = machine.deadRecords(limits.deadLettersPerStream).filter(({ group }) => !failures.has(group));
      if (dead.length === 0 || this.#stopped) return [...failures.values()][0];
      for (let place = 0; place < dead.length && !this.#stopped; place += limits.deadLettersTogether) {
        const together = dead.slice(place, place + limits.deadLettersTogether);
        const outcomes = await Promise.all(together.map((record) => this.#tryToMove(record)));
        outcomes.forEach((failure, which) => {
          const { group } = together[which] as DeadRecord;
          if (failure !== undefined && !failures.has(group)) failures.set(group, failure);
        });
      }
    }
  }

  /** Never throws: one that fails must not leave the others unwatched. */
  async #tryToMove(dead: DeadRecord): Promise<string | undefined> {
    try {
      return await this.#move(dead);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #move(dead: DeadRecord): Promise<string | undefined> {
    const { machine, limits } = this.#parts;
    const { group: id, stream, incarnation, offset, generation } = dead;
    // Only so that nothing is put into the log that would surely be refused (I9).
    const target = machine.stream(dead.deadLetter);
    if (target === undefined || target.deleted || target.closed)
      return `the dead-letter stream "${dead.deadLetter}" of the group "${id}" is not there, or closed`;
    const read = await this.#read(dead);
    if (typeof read === "string") return read;
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

  /** A text: it cannot be read now. Undefined: it is gone for good. */
  async #read({ streamId, offset }: DeadRecord): Promise<Found | string | undefined> {
    const { machine, limits, zstd } = this.#parts;
    const stream = machine.streamById(streamId);
    if (stream === undefined) return undefined;
    const read = await this.#reader.read(stream, offset, { maxBytes: 1, to: offset + 1 });
    if (!read.ok) return read.error.code === "offset-trimmed" ? undefined : read.error.message;
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
