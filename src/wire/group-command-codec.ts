/** How commands of consumer groups and their results are encoded (SPEC.md, "Commands"); kinds are numbered by `command-codec.ts` and `result-codec.ts`. */
import { unreachable } from "../lib/assert.ts";
import type { ByteReader } from "../lib/byte-reader.ts";
import type { ByteWriter } from "../lib/byte-writer.ts";
import type { BatchRef } from "../record/batch.ts";
import { COMMAND_LIMITS } from "./check-command.ts";
import { readItems } from "./fields.ts";
import type {
  GroupAck,
  GroupAssignment,
  GroupCommand,
  GroupConfig,
  GroupLease,
  GroupMode,
  GroupOutcome,
  GroupPosition,
  GroupRefusal,
  GroupResult,
  GroupSession,
  GroupSettlement,
  GroupStart,
} from "./group-command.ts";

const { textBytesMax: TEXT_BYTES_MAX } = COMMAND_LIMITS;

/** Never renumber any of these: they are on disk. */
const STARTS = ["start", "now"] as const satisfies readonly GroupStart[];
const OUTCOMES = ["ack", "nack", "extend", "release"] as const satisfies readonly GroupOutcome["kind"][];
const IS_QUEUE = 1;
const HAS_PATTERN = 2;
const HAS_DEAD_LETTER = 4;

/** All but the kind. A batch travels beside it. */
export function writeGroupCommand(writer: ByteWriter, command: GroupCommand, batches: BatchRef[]): void {
  writer.string(command.id);
  switch (command.kind) {
    case "group-create":
      return writeGroupConfig(writer, command);
    case "group-delete":
      return;
    case "group-join":
      writer.string(command.member);
      return;
    case "group-leave":
    case "group-heartbeat":
      return writeSession(writer, command);
    case "group-ack":
      writeSession(writer, command);
      writer.varint(command.acks.length);
      for (const { stream, incarnation, generation, offset } of command.acks)
        writer.string(stream).varint(incarnation).varint(generation).varint(offset);
      return;
    case "group-take":
      writer.string(command.member).varint(command.count);
      return;
    case "group-settle":
      writer.varint(command.settlements.length);
      for (const settlement of command.settlements) writeSettlement(writer, settlement);
      return;
    case "group-reset":
      writer.u8(command.force ? 1 : 0).varint(command.positions.length);
      for (const { stream, incarnation, offset } of command.positions)
        writer.string(stream).varint(incarnation).varint(offset);
      return;
    case "group-dead-letter":
      writer.string(command.stream).varint(command.incarnation).varint(command.offset).varint(command.generation);
      writer.u8(command.batch === undefined ? 0 : 1);
      if (command.batch !== undefined) batches.push(command.batch);
      return;
    default:
      return unreachable(command);
  }
}

export function readGroupCommand(
  kind: GroupCommand["kind"],
  reader: ByteReader,
  takeBatch: () => BatchRef,
): GroupCommand {
  const id = reader.string(TEXT_BYTES_MAX);
  switch (kind) {
    case "group-create":
      return { kind, ...readGroupConfig(id, reader) };
    case "group-delete":
      return { kind, id };
    case "group-join":
      return { kind, id, member: reader.string(TEXT_BYTES_MAX) };
    case "group-leave":
      return { kind, ...readSession(id, reader) };
    case "group-heartbeat":
      return { kind, ...readSession(id, reader) };
    case "group-ack":
      return { kind, ...readSession(id, reader), acks: readItems(reader, () => readAck(reader)) };
    case "group-take":
      return { kind, id, member: reader.string(TEXT_BYTES_MAX), count: reader.varint() };
    case "group-settle":
      return { kind, id, settlements: readItems(reader, () => readSettlement(reader)) };
    case "group-reset": {
      const force = readBoolean(reader);
      return { kind, id, force, positions: readItems(reader, () => readPosition(reader)) };
    }
    case "group-dead-letter": {
      const position = readPosition(reader);
      const generation = reader.varint();
      return { kind, id, ...position, generation, ...(readBoolean(reader) && { batch: takeBatch() }) };
    }
    default:
      return unreachable(kind);
  }
}

/** All but the id. The state machine's rows and answers have it in this form, too. */
export function writeGroupConfig(writer: ByteWriter, { mode, streams, pattern, from, leaseMs }: GroupConfig): void {
  const isQueue = mode.kind === "queue";
  const deadLetter = isQueue ? mode.deadLetter : undefined;
  writer.u8(
    (isQueue ? IS_QUEUE : 0) |
      (pattern === undefined ? 0 : HAS_PATTERN) |
      (deadLetter === undefined ? 0 : HAS_DEAD_LETTER),
  );
  if (isQueue) writer.varint(mode.attemptsMax).varint(mode.retryDelayMs);
  if (pattern !== undefined) writer.string(pattern);
  if (deadLetter !== undefined) writer.string(deadLetter);
  writer.u8(STARTS.indexOf(from)).varint(leaseMs).varint(streams.length);
  for (const stream of streams) writer.string(stream);
}

export function readGroupConfig(id: string, reader: ByteReader): GroupConfig {
  const flags = reader.u8();
  const isQueue = (flags & IS_QUEUE) !== 0;
  const hasDeadLetter = (flags & HAS_DEAD_LETTER) !== 0;
  if (flags > (IS_QUEUE | HAS_PATTERN | HAS_DEAD_LETTER) || (hasDeadLetter && !isQueue)) reader.fail();
  const attemptsMax = isQueue ? reader.varint() : 0;
  const retryDelayMs = isQueue ? reader.varint() : 0;
  const pattern = (flags & HAS_PATTERN) === 0 ? undefined : reader.string(TEXT_BYTES_MAX);
  const deadLetter = hasDeadLetter ? reader.string(TEXT_BYTES_MAX) : undefined;
  const from = STARTS[reader.u8()];
  if (from === undefined) reader.fail();
  const leaseMs = reader.varint();
  const streams = readItems(reader, () => reader.string(TEXT_BYTES_MAX));
  const mode: GroupMode = isQueue
    ? { kind: "queue", attemptsMax, retryDelayMs, ...(deadLetter !== undefined && { deadLetter }) }
    : { kind: "partitions" };
  return { id, mode, streams, ...(pattern !== undefined && { pattern }), from: from ?? "start", leaseMs };
}

function writeSession(writer: ByteWriter, { member, session }: GroupSession): void {
  writer.string(member).varint(session);
}

function readSession(id: string, reader: ByteReader): GroupSession {
  return { id, member: reader.string(TEXT_BYTES_MAX), session: reader.varint() };
}

function readAck(reader: ByteReader): GroupAck {
  return {
    stream: reader.string(TEXT_BYTES_MAX),
    incarnation: reader.varint(),
    generation: reader.varint(),
    offset: reader.varint(),
  };
}

function readPosition(reader: ByteReader): GroupPosition {
  return { stream: reader.string(TEXT_BYTES_MAX), incarnation: reader.varint(), offset: reader.varint() };
}

function writeSettlement(writer: ByteWriter, settlement: GroupSettlement): void {
  const { outcome } = settlement;
  writer.string(settlement.stream).varint(settlement.incarnation).varint(settlement.offset);
  writer.varint(settlement.count).varint(settlement.generation).u8(OUTCOMES.indexOf(outcome.kind));
  switch (outcome.kind) {
    case "ack":
    case "release":
      return;
    case "nack":
      writer.u8((outcome.delayMs === undefined ? 0 : 1) | (outcome.reason === undefined ? 0 : 2));
      if (outcome.delayMs !== undefined) writer.varint(outcome.delayMs);
      if (outcome.reason !== undefined) writer.string(outcome.reason);
      return;
    case "extend":
      writer.u8(outcome.leaseMs === undefined ? 0 : 1);
      if (outcome.leaseMs !== undefined) writer.varint(outcome.leaseMs);
      return;
    default:
      return unreachable(outcome);
  }
}

function readSettlement(reader: ByteReader): GroupSettlement {
  const position = readPosition(reader);
  return { ...position, count: reader.varint(), generation: reader.varint(), outcome: readOutcome(reader) };
}

function readOutcome(reader: ByteReader): GroupOutcome {
  const kind = OUTCOMES[reader.u8()];
  switch (kind) {
    case "ack":
    case "release":
      return { kind };
    case "nack": {
      const has = reader.u8();
      if (has > 3) reader.fail();
      return {
        kind,
        ...((has & 1) !== 0 && { delayMs: reader.varint() }),
        ...((has & 2) !== 0 && { reason: reader.string(TEXT_BYTES_MAX) }),
      };
    }
    case "extend":
      return { kind, ...(readBoolean(reader) && { leaseMs: reader.varint() }) };
    case undefined:
      reader.fail();
      return { kind: "ack" };
    default:
      return unreachable(kind);
  }
}

/* Results. */

export function writeGroupResult(writer: ByteWriter, result: GroupResult): void {
  switch (result.kind) {
    case "group-created":
      writer.u8(result.created ? 1 : 0);
      return;
    case "group-assigned":
      writer.varint(result.session).varint(result.leaseMs).varint(result.assignments.length);
      for (const { stream, incarnation, generation, committed } of result.assignments)
        writer.string(stream).varint(incarnation).varint(generation).varint(committed);
      return;
    case "group-settled":
      writer.varint(result.refused.length);
      for (const { item, offset, count } of result.refused) writer.varint(item).varint(offset).varint(count);
      return;
    case "group-taken":
      writer.varint(result.generation).varint(result.untilMs).varint(result.leases.length);
      for (const { stream, incarnation, offset, count, attempt } of result.leases)
        writer.string(stream).varint(incarnation).varint(offset).varint(count).varint(attempt);
      return;
    default:
      return unreachable(result);
  }
}

export function readGroupResult(kind: GroupResult["kind"], reader: ByteReader): GroupResult {
  switch (kind) {
    case "group-created":
      return { kind, created: readBoolean(reader) };
    case "group-assigned": {
      const session = reader.varint();
      const leaseMs = reader.varint();
      return { kind, session, leaseMs, assignments: readItems(reader, () => readAssignment(reader)) };
    }
    case "group-settled":
      return {
        kind,
        refused: readItems(reader, (): GroupRefusal => ({
          item: reader.varint(),
          offset: reader.varint(),
          count: reader.varint(),
        })),
      };
    case "group-taken": {
      const generation = reader.varint();
      const untilMs = reader.varint();
      return { kind, generation, untilMs, leases: readItems(reader, () => readLease(reader)) };
    }
    default:
      return unreachable(kind);
  }
}

function readAssignment(reader: ByteReader): GroupAssignment {
  return {
    stream: reader.string(TEXT_BYTES_MAX),
    incarnation: reader.varint(),
    generation: reader.varint(),
    committed: reader.varint(),
  };
}

function readLease(reader: ByteReader): GroupLease {
  const position = readPosition(reader);
  return { ...position, count: reader.varint(), attempt: reader.varint() };
}

function readBoolean(reader: ByteReader): boolean {
  const value = reader.u8();
  if (value > 1) reader.fail();
  return value === 1;
}
