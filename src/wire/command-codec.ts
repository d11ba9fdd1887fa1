/**
 * The only encoding of commands (SPEC.md, "Commands"); of their results it is `result-codec.ts`. A command's head holds everything but the
 * batches: those travel beside it, in order, and a head only says "my batch is the next one".
 *
 * A head is a kind byte and fields in the order below; optional fields are announced by bits of a flags byte. Decoders
 * take any bytes: what is malformed, too long, or leaves bytes over is an error value.
 */
import { assert, unreachable } from "../lib/assert.ts";
import { ByteReader } from "../lib/byte-reader.ts";
import { ByteWriter } from "../lib/byte-writer.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { BatchRef } from "../record/batch.ts";
import { APP_KIND_NUMBERS, readAppCommand, readAppOperation, writeAppCommand } from "./app-command-codec.ts";
import { checkCommand, COMMAND_LIMITS, type CommandError, runFault } from "./check-command.ts";
import type {
  AppendCommand,
  AppendRunCommand,
  Command,
  CompactCommand,
  Condition,
  CreateCommand,
  CursorCommand,
  DeleteCommand,
  ForkPoint,
  MemberSetCommand,
  SubscriptionAck,
  SubscriptionCreateCommand,
  SubscriptionWakeCommand,
  TransactionCommand,
  TransactionOperation,
  TrimCommand,
} from "./command.ts";
import { readFlags, readItems, writeFlags } from "./fields.ts";
import { readGroupCommand, writeGroupCommand } from "./group-command-codec.ts";
import { readExpiry, readRetention, writeExpiry, writeRetention } from "./settings-codec.ts";

const { textBytesMax: TEXT_BYTES_MAX, blobBytesMax: BLOB_BYTES_MAX, itemsMax: ITEMS_MAX } = COMMAND_LIMITS;

/** Never renumber: these are on disk. */
const KIND_NUMBERS = {
  "create": 0,
  "append": 1,
  "delete": 2,
  "touch": 3,
  "tick": 4,
  "settings": 5,
  "trim": 6,
  "cursor": 7,
  "transaction": 8,
  "subscription-create": 9,
  "subscription-delete": 10,
  "subscription-link": 11,
  "subscription-unlink": 12,
  "subscription-wake": 13,
  "subscription-claim": 14,
  "subscription-ack": 15,
  "subscription-release": 16,
  "subscription-failed": 17,
  "compact": 18,
  "group-create": 19,
  "group-delete": 20,
  "group-join": 21,
  "group-leave": 22,
  "group-heartbeat": 23,
  "group-ack": 24,
  "group-take": 25,
  "group-settle": 26,
  "group-reset": 27,
  "group-dead-letter": 28,
  "member-set": 40,
  "member-remove": 41,
  "feature-level": 42,
  "append-run": 55,
  ...APP_KIND_NUMBERS,
} as const satisfies { readonly [Kind in Command["kind"]]: number };
const KINDS: ReadonlyMap<number, Command["kind"]> = new Map(
  Object.entries(KIND_NUMBERS).map(([kind, number]) => [number, kind as Command["kind"]]),
);

const CONDITIONS = [
  "stream-exists",
  "stream-absent",
  "next-offset",
  "cursor",
] as const satisfies readonly Condition["kind"][];

export type { CommandError };

export type EncodedCommands = { readonly head: Uint8Array; readonly batches: readonly BatchRef[] };

/** Reused: encoding is synchronous, and `finish` copies. */
const writer = new ByteWriter(64 * 1024);

/** One command; its head has the form of `encodeCommands`' with a count of one. */
export function encodeCommand(command: Command): EncodedCommands {
  return encodeCommands([command]);
}

/** An entry's payload: how many commands, then each. All must pass `checkCommand`, and be no more than a list may have. */
export function encodeCommands(commands: readonly Command[]): EncodedCommands {
  assert(commands.length <= ITEMS_MAX, "an entry holds a bounded number of commands");
  const batches: BatchRef[] = [];
  writer.reset();
  writer.varint(commands.length);
  for (const command of commands) {
    assert(checkCommand(command).ok, "I10: what is encoded decodes to the same command");
    writeCommand(command, batches);
  }
  return { head: writer.finishShared(), batches };
}

export function decodeCommands(head: Uint8Array, batches: readonly BatchRef[]): Result<Command[], CommandError> {
  const source = new Source(head, batches);
  const count = source.reader.count(ITEMS_MAX);
  const commands: Command[] = [];
  for (let place = 0; place < count && !source.reader.failed; place += 1) commands.push(readCommand(source));
  if (!source.reader.complete)
    return err({ code: "malformed-command", message: `command ${commands.length} is malformed` });
  if (!source.allBatchesTaken)
    return err({ code: "malformed-command", message: "there are more batches than commands name" });
  return ok(commands);
}

/* Commands. */

class Source {
  readonly reader: ByteReader;
  readonly #batches: readonly BatchRef[];
  #taken = 0;

  constructor(head: Uint8Array, batches: readonly BatchRef[]) {
    this.reader = new ByteReader(head);
    this.#batches = batches;
  }

  batch(): BatchRef {
    const batch = this.#batches[this.#taken];
    this.#taken += 1;
    if (batch === undefined) this.reader.fail();
    return batch ?? { hash: 0n, length: 0, span: 0 };
  }

  get allBatchesTaken(): boolean {
    return this.#taken === this.#batches.length;
  }
}

function writeCommand(command: Command, batches: BatchRef[]): void {
  writer.u8(KIND_NUMBERS[command.kind]);
  switch (command.kind) {
    case "create":
      return writeCreate(command, batches);
    case "append":
      return writeAppend(command, batches);
    case "append-run":
      return writeRun(command, batches);
    case "delete":
      return writeStreamRef(command);
    case "touch":
      return writeStrings(command.streams);
    case "tick":
      return;
    case "member-set":
      writeMemberSet(writer, command);
      return;
    case "member-remove":
      writer.string(command.node);
      writeFlags(writer, command.was !== undefined);
      if (command.was !== undefined) writer.string(command.was);
      return;
    case "feature-level":
      writer.varint(command.level);
      return;
    case "settings":
      writer.string(command.stream);
      return writeRetention(writer, command.retention);
    case "trim":
      writeStreamRef(command);
      writer.varint(command.before);
      return;
    case "cursor":
      return writeCursor(command);
    case "transaction":
      return writeTransaction(command, batches);
    case "subscription-create":
      return writeSubscriptionCreate(command);
    case "subscription-delete":
      writer.string(command.id);
      return;
    case "subscription-link":
      writer.string(command.id);
      return writeStrings(command.streams);
    case "subscription-unlink":
      writer.string(command.id).string(command.stream);
      return;
    case "subscription-wake":
      return writeWake(command, batches);
    case "subscription-claim":
      writer.string(command.id).string(command.worker).string(command.wakeId);
      return;
    case "subscription-ack":
      writer
        .string(command.id)
        .varint(command.generation)
        .string(command.wakeId)
        .u8(command.done ? 1 : 0);
      writer.varint(command.acks.length);
      for (const ack of command.acks) writer.string(ack.stream).varint(ack.incarnation).varint(ack.offset);
      return;
    case "subscription-release":
      writer.string(command.id).varint(command.generation).string(command.wakeId);
      return;
    case "subscription-failed":
      writer.string(command.id).varint(command.generation).string(command.wakeId).varint(command.retryAtMs);
      return;
    case "compact":
      writer.string(command.stream).varint(command.incarnation);
      writer.varint(command.before).varint(command.tombstonesBefore);
      return;
    case "group-create":
    case "group-delete":
    case "group-join":
    case "group-leave":
    case "group-heartbeat":
    case "group-ack":
    case "group-take":
    case "group-settle":
    case "group-reset":
    case "group-dead-letter":
      return writeGroupCommand(writer, command, batches);
    case "app-put":
    case "app-state":
    case "app-reset":
    case "app-delete":
    case "task-commit":
    case "task-snapshot":
    case "task-trimmed":
    case "task-statement":
    case "task-trim":
      return writeAppCommand(writer, command);
    default:
      return unreachable(command);
  }
}

function text(reader: ByteReader): string {
  return reader.string(TEXT_BYTES_MAX);
}

function readCommand(source: Source): Command {
  const { reader } = source;
  const kind = KINDS.get(reader.u8());
  switch (kind) {
    case "create":
      return readCreate(source);
    case "append":
      return readAppend(source);
    case "append-run":
      return readRun(source);
    case "delete":
      return { kind, ...readStreamRef(reader) } satisfies DeleteCommand;
    case "touch":
      return { kind, streams: readStrings(reader) };
    case "tick":
      return { kind };
    case "member-set":
      return readMemberSet(reader);
    case "member-remove": {
      const node = text(reader);
      return { kind, node, ...(readFlags(reader, 1)(0) && { was: text(reader) }) };
    }
    case "feature-level":
      return { kind, level: reader.varint() };
    case "settings":
      return { kind, stream: reader.string(TEXT_BYTES_MAX), retention: readRetention(reader) };
    case "trim":
      return { kind, ...readStreamRef(reader), before: reader.varint() } satisfies TrimCommand;
    case "cursor":
      return readCursor(reader);
    case "transaction":
      return readTransaction(source);
    case "subscription-create":
      return readSubscriptionCreate(reader);
    case "subscription-delete":
      return { kind, id: reader.string(TEXT_BYTES_MAX) };
    case "subscription-link":
      return { kind, id: reader.string(TEXT_BYTES_MAX), streams: readStrings(reader) };
    case "subscription-unlink":
      return { kind, id: reader.string(TEXT_BYTES_MAX), stream: reader.string(TEXT_BYTES_MAX) };
    case "subscription-wake":
      return readWake(source);
    case "subscription-claim":
      return {
        kind,
        id: reader.string(TEXT_BYTES_MAX),
        worker: reader.string(TEXT_BYTES_MAX),
        wakeId: reader.string(TEXT_BYTES_MAX),
      };
    case "subscription-ack": {
      const fence = readFence(reader);
      const done = readBoolean(reader);
      const acks = readItems(reader, (): SubscriptionAck => ({
        stream: reader.string(TEXT_BYTES_MAX),
        incarnation: reader.varint(),
        offset: reader.varint(),
      }));
      return { kind, ...fence, acks, done };
    }
    case "subscription-release":
      return { kind, ...readFence(reader) };
    case "subscription-failed":
      return { kind, ...readFence(reader), retryAtMs: reader.varint() };
    case "compact":
      return {
        kind,
        stream: reader.string(TEXT_BYTES_MAX),
        incarnation: reader.varint(),
        before: reader.varint(),
        tombstonesBefore: reader.varint(),
      } satisfies CompactCommand;
    case "group-create":
    case "group-delete":
    case "group-join":
    case "group-leave":
    case "group-heartbeat":
    case "group-ack":
    case "group-take":
    case "group-settle":
    case "group-reset":
    case "group-dead-letter":
      return readGroupCommand(kind, reader, () => source.batch());
    case "app-put":
    case "app-state":
    case "app-reset":
    case "app-delete":
    case "task-commit":
    case "task-snapshot":
    case "task-trimmed":
    case "task-statement":
    case "task-trim":
      return readAppCommand(kind, reader);
    case undefined:
      reader.fail();
      return { kind: "tick" };
    default:
      return unreachable(kind);
  }
}

function writeCreate(command: CreateCommand, batches: BatchRef[]): void {
  const { contentType, expiry, retention, closed, fork, batch } = command;
  writer.string(command.stream);
  writeFlags(
    writer,
    closed,
    contentType !== undefined,
    expiry !== undefined,
    retention !== undefined,
    fork !== undefined,
    batch !== undefined,
  );
  if (contentType !== undefined) writer.string(contentType);
  if (expiry !== undefined) writeExpiry(writer, expiry);
  if (retention !== undefined) writeRetention(writer, retention);
  if (fork !== undefined) writeFork(fork);
  if (batch !== undefined) batches.push(batch);
}

function readCreate(source: Source): CreateCommand {
  const { reader } = source;
  const stream = reader.string(TEXT_BYTES_MAX);
  const has = readFlags(reader, 6);
  return {
    kind: "create",
    stream,
    closed: has(0),
    ...(has(1) && { contentType: reader.string(TEXT_BYTES_MAX) }),
    ...(has(2) && { expiry: readExpiry(reader) }),
    ...(has(3) && { retention: readRetention(reader) }),
    ...(has(4) && { fork: readFork(reader) }),
    ...(has(5) && { batch: source.batch() }),
  };
}

function writeAppend(command: AppendCommand, batches: BatchRef[]): void {
  const { incarnation, contentType, batch, close, producer, streamSequence, expectedOffset } = command;
  writer.string(command.stream);
  writeFlags(
    writer,
    close,
    batch !== undefined,
    incarnation !== undefined,
    contentType !== undefined,
    producer !== undefined,
    streamSequence !== undefined,
    expectedOffset !== undefined,
  );
  if (batch !== undefined) batches.push(batch);
  if (incarnation !== undefined) writer.varint(incarnation);
  if (contentType !== undefined) writer.string(contentType);
  if (producer !== undefined) writer.string(producer.id).varint(producer.epoch).varint(producer.sequence);
  if (streamSequence !== undefined) writer.string(streamSequence);
  if (expectedOffset !== undefined) writer.varint(expectedOffset);
}

function readAppend(source: Source): AppendCommand {
  const { reader } = source;
  const stream = reader.string(TEXT_BYTES_MAX);
  const has = readFlags(reader, 7);
  return {
    kind: "append",
    stream,
    close: has(0),
    ...(has(1) && { batch: source.batch() }),
    ...(has(2) && { incarnation: reader.varint() }),
    ...(has(3) && { contentType: reader.string(TEXT_BYTES_MAX) }),
    ...(has(4) && {
      producer: { id: reader.string(TEXT_BYTES_MAX), epoch: reader.varint(), sequence: reader.varint() },
    }),
    ...(has(5) && { streamSequence: reader.string(TEXT_BYTES_MAX) }),
    ...(has(6) && { expectedOffset: reader.varint() }),
  };
}

function writeRun(command: AppendRunCommand, batches: BatchRef[]): void {
  const { incarnation, contentType, producer } = command;
  writer.string(command.stream);
  writeFlags(writer, incarnation !== undefined, contentType !== undefined);
  if (incarnation !== undefined) writer.varint(incarnation);
  if (contentType !== undefined) writer.string(contentType);
  writer.string(producer.id).varint(producer.epoch).varint(producer.sequence);
  writer.varint(command.batches.length);
  for (const batch of command.batches) batches.push(batch);
}

function readRun(source: Source): AppendRunCommand {
  const { reader } = source;
  const stream = reader.string(TEXT_BYTES_MAX);
  const has = readFlags(reader, 2);
  const head = {
    kind: "append-run",
    stream,
    ...(has(0) && { incarnation: reader.varint() }),
    ...(has(1) && { contentType: reader.string(TEXT_BYTES_MAX) }),
    producer: { id: reader.string(TEXT_BYTES_MAX), epoch: reader.varint(), sequence: reader.varint() },
  } as const;
  const count = reader.varint();
  const batches: BatchRef[] = [];
  for (let place = 0; place < count && !reader.failed; place += 1) batches.push(source.batch());
  const command: AppendRunCommand = { ...head, batches };
  if (runFault(command) !== undefined) reader.fail();
  return command;
}

function writeStreamRef(command: { readonly stream: string; readonly incarnation?: number }): void {
  writer.string(command.stream);
  writeFlags(writer, command.incarnation !== undefined);
  if (command.incarnation !== undefined) writer.varint(command.incarnation);
}

function readStreamRef(reader: ByteReader): { readonly stream: string; readonly incarnation?: number } {
  const stream = reader.string(TEXT_BYTES_MAX);
  const has = readFlags(reader, 1);
  return { stream, ...(has(0) && { incarnation: reader.varint() }) };
}

function writeFork(fork: ForkPoint): void {
  writer.string(fork.source).varint(fork.incarnation).varint(fork.partialBytes);
  writeFlags(writer, fork.offset !== undefined);
  if (fork.offset !== undefined) writer.varint(fork.offset);
}

function readFork(reader: ByteReader): ForkPoint {
  const source = reader.string(TEXT_BYTES_MAX);
  const incarnation = reader.varint();
  const partialBytes = reader.varint();
  const has = readFlags(reader, 1);
  return { source, incarnation, partialBytes, ...(has(0) && { offset: reader.varint() }) };
}

/** `expected` has three forms: not asked for, must not exist, must be these bytes. */
function writeMemberSet(writer: ByteWriter, { node, was, disk, host, port }: MemberSetCommand): void {
  writer.string(node);
  writeFlags(writer, was !== undefined, was !== undefined && was !== null);
  if (was !== undefined && was !== null) writer.string(was);
  writer.string(disk).string(host).varint(port);
}

function readMemberSet(reader: ByteReader): MemberSetCommand {
  const node = text(reader);
  const has = readFlags(reader, 2);
  if (has(1) && !has(0)) reader.fail();
  const was = has(1) ? text(reader) : null;
  const [disk, host] = [text(reader), text(reader)];
  return { kind: "member-set", node, ...(has(0) && { was }), disk, host, port: reader.varint() };
}

function writeCursor(command: CursorCommand): void {
  const { value, expected } = command;
  writer.string(command.name);
  writeFlags(writer, value !== undefined, expected !== undefined, expected !== undefined && expected !== null);
  if (value !== undefined) writer.blob(value);
  if (expected !== undefined && expected !== null) writer.blob(expected);
}

function readCursor(reader: ByteReader): CursorCommand {
  const name = reader.string(TEXT_BYTES_MAX);
  const has = readFlags(reader, 3);
  if (has(2) && !has(1)) reader.fail();
  return {
    kind: "cursor",
    name,
    ...(has(0) && { value: reader.blob(BLOB_BYTES_MAX) }),
    ...(has(1) && { expected: has(2) ? reader.blob(BLOB_BYTES_MAX) : null }),
  };
}

function writeTransaction(command: TransactionCommand, batches: BatchRef[]): void {
  writer.varint(command.conditions.length);
  for (const condition of command.conditions) writeCondition(condition);
  writer.varint(command.operations.length);
  for (const operation of command.operations) writeCommand(operation, batches);
}

function readTransaction(source: Source): TransactionCommand {
  const { reader } = source;
  const conditions = readItems(reader, () => readCondition(reader));
  const count = reader.count(ITEMS_MAX);
  const operations: TransactionOperation[] = [];
  for (let place = 0; place < count && !reader.failed; place += 1) {
    const kind = KINDS.get(reader.u8());
    switch (kind) {
      case "create":
        operations.push(readCreate(source));
        break;
      case "append":
        operations.push(readAppend(source));
        break;
      case "delete":
        operations.push({ kind, ...readStreamRef(reader) });
        break;
      case "cursor":
        operations.push(readCursor(reader));
        break;
      case "app-put":
      case "app-state":
      case "app-reset":
      case "app-delete":
      case "task-commit":
      case "task-snapshot":
      case "task-trimmed":
      case "task-statement":
        operations.push(readAppOperation(kind, reader));
        break;
      default:
        reader.fail();
    }
  }
  return { kind: "transaction", conditions, operations };
}

function writeCondition(condition: Condition): void {
  writer.u8(CONDITIONS.indexOf(condition.kind));
  switch (condition.kind) {
    case "stream-exists":
      return writeStreamRef(condition);
    case "stream-absent":
      writer.string(condition.stream);
      return;
    case "next-offset":
      writer.string(condition.stream).varint(condition.offset);
      return;
    case "cursor":
      writer.string(condition.name);
      writeFlags(writer, condition.value !== null);
      if (condition.value !== null) writer.blob(condition.value);
      return;
    default:
      return unreachable(condition);
  }
}

function readCondition(reader: ByteReader): Condition {
  const kind = CONDITIONS[reader.u8()];
  switch (kind) {
    case "stream-exists":
      return { kind, ...readStreamRef(reader) };
    case "stream-absent":
      return { kind, stream: reader.string(TEXT_BYTES_MAX) };
    case "next-offset":
      return { kind, stream: reader.string(TEXT_BYTES_MAX), offset: reader.varint() };
    case "cursor": {
      const name = reader.string(TEXT_BYTES_MAX);
      const has = readFlags(reader, 1);
      return { kind, name, value: has(0) ? reader.blob(BLOB_BYTES_MAX) : null };
    }
    case undefined:
      reader.fail();
      return { kind: "stream-absent", stream: "" };
    default:
      return unreachable(kind);
  }
}

function writeSubscriptionCreate(command: SubscriptionCreateCommand): void {
  const { delivery, pattern, description } = command;
  writer.string(command.id);
  writeFlags(writer, delivery.kind === "pull-wake", pattern !== undefined, description !== undefined);
  writer.string(delivery.kind === "webhook" ? delivery.url : delivery.wakeStream);
  if (pattern !== undefined) writer.string(pattern);
  if (description !== undefined) writer.string(description);
  writer.varint(command.leaseMs);
  writeStrings(command.streams);
}

function readSubscriptionCreate(reader: ByteReader): SubscriptionCreateCommand {
  const id = reader.string(TEXT_BYTES_MAX);
  const has = readFlags(reader, 3);
  const target = reader.string(TEXT_BYTES_MAX);
  return {
    kind: "subscription-create",
    id,
    delivery: has(0) ? { kind: "pull-wake", wakeStream: target } : { kind: "webhook", url: target },
    ...(has(1) && { pattern: reader.string(TEXT_BYTES_MAX) }),
    ...(has(2) && { description: reader.string(TEXT_BYTES_MAX) }),
    leaseMs: reader.varint(),
    streams: readStrings(reader),
  };
}

function writeWake(command: SubscriptionWakeCommand, batches: BatchRef[]): void {
  writer.string(command.id).varint(command.generation).string(command.wakeId);
  writeFlags(writer, command.batch !== undefined);
  if (command.batch !== undefined) batches.push(command.batch);
}

function readWake(source: Source): SubscriptionWakeCommand {
  const fence = readFence(source.reader);
  const has = readFlags(source.reader, 1);
  return { kind: "subscription-wake", ...fence, ...(has(0) && { batch: source.batch() }) };
}

function readFence(reader: ByteReader): { readonly id: string; readonly generation: number; readonly wakeId: string } {
  return { id: reader.string(TEXT_BYTES_MAX), generation: reader.varint(), wakeId: reader.string(TEXT_BYTES_MAX) };
}

function writeStrings(strings: readonly string[]): void {
  writer.varint(strings.length);
  for (const string of strings) writer.string(string);
}

function readStrings(reader: ByteReader): string[] {
  return readItems(reader, () => reader.string(TEXT_BYTES_MAX));
}

function readBoolean(reader: ByteReader): boolean {
  const value = reader.u8();
  if (value > 1) reader.fail();
  return value === 1;
}
