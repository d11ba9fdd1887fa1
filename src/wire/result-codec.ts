/**
 * The only encoding of what applying a command answers (SPEC.md, "Commands"): a kind byte and fields in the order below;
 * optional ones are announced by bits of a flags byte. Decoders take any bytes, as those of `command-codec.ts` do.
 */
import { unreachable } from "../lib/assert.ts";
import { ByteReader } from "../lib/byte-reader.ts";
import { ByteWriter } from "../lib/byte-writer.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { readTaskPlace, writeTaskPlace } from "./app-command-codec.ts";
import { COMMAND_LIMITS, type CommandError } from "./check-command.ts";
import type { AppendedResult, CommandResult, Rejection, RunPart } from "./command.ts";
import { type ErrorCode, ERRORS } from "./errors.ts";
import { readFlags, readItems, writeFlags } from "./fields.ts";
import { readGroupResult, writeGroupResult } from "./group-command-codec.ts";
import { readExpiry, writeExpiry } from "./settings-codec.ts";

const { textBytesMax: TEXT_BYTES_MAX } = COMMAND_LIMITS;

/** Never renumber: clients of any age know these. */
const RESULTS = [
  "created",
  "appended",
  "done",
  "trimmed",
  "transaction",
  "subscription-created",
  "subscription-claimed",
  "subscription-acked",
  "rejected",
  "group-created",
  "group-assigned",
  "group-settled",
  "group-taken",
  "appended-run",
  "app-epoch",
] as const satisfies readonly CommandResult["kind"][];
const ERROR_CODES = Object.keys(ERRORS) as readonly ErrorCode[];

/** Reused: encoding is synchronous, and `finish` copies. */
const writer = new ByteWriter();

export function encodeResult(result: CommandResult): Uint8Array {
  writer.reset();
  writeResult(result);
  return writer.finishShared();
}

export function decodeResult(bytes: Uint8Array): Result<CommandResult, CommandError> {
  const reader = new ByteReader(bytes);
  const result = readResult(reader, 0);
  return reader.complete ? ok(result) : err({ code: "malformed-command", message: "the result is malformed" });
}

function writeResult(result: CommandResult): void {
  writer.u8(RESULTS.indexOf(result.kind));
  switch (result.kind) {
    case "created":
      writeFlags(writer, result.created, result.closed);
      writer.varint(result.incarnation).varint(result.nextOffset).string(result.contentType);
      return writeExpiry(writer, result.expiry);
    case "appended":
      writeFlags(
        writer,
        result.closed,
        result.duplicate,
        result.firstOffset !== undefined,
        result.nextOffset !== undefined,
        result.producer !== undefined,
      );
      writer.varint(result.incarnation).varint(result.tail);
      if (result.firstOffset !== undefined) writer.varint(result.firstOffset);
      if (result.nextOffset !== undefined) writer.varint(result.nextOffset);
      if (result.producer !== undefined) writer.varint(result.producer.epoch).varint(result.producer.sequence);
      return;
    case "appended-run":
      writer.varint(result.parts.length);
      for (const part of result.parts) {
        writer.varint(part.count);
        writeResult(part.result);
      }
      return;
    case "done":
      return;
    case "trimmed":
      writer.varint(result.firstOffset);
      return;
    case "transaction":
      writer.varint(result.results.length);
      for (const part of result.results) writeResult(part);
      return;
    case "subscription-created":
      writeFlags(writer, result.created);
      return;
    case "subscription-claimed":
      writer.varint(result.generation).string(result.wakeId).varint(result.leaseMs);
      return;
    case "subscription-acked":
      writeFlags(writer, result.nextWake);
      return;
    case "rejected":
      return writeRejection(result);
    case "group-created":
    case "group-assigned":
    case "group-settled":
    case "group-taken":
      return writeGroupResult(writer, result);
    case "app-epoch":
      writeFlags(writer, result.changed);
      writer.varint(result.epoch);
      return;
    default:
      return unreachable(result);
  }
}

function readResult(reader: ByteReader, depth: number): CommandResult {
  const kind = RESULTS[reader.u8()];
  switch (kind) {
    case "created": {
      const has = readFlags(reader, 2);
      return {
        kind,
        created: has(0),
        closed: has(1),
        incarnation: reader.varint(),
        nextOffset: reader.varint(),
        contentType: reader.string(TEXT_BYTES_MAX),
        expiry: readExpiry(reader),
      };
    }
    case "appended":
      return readAppended(reader);
    case "appended-run":
      return { kind, parts: readItems(reader, () => readRunPart(reader)) };
    case "done":
      return { kind };
    case "trimmed":
      return { kind, firstOffset: reader.varint() };
    case "transaction":
      // Transactions do not nest; without this bound a few bytes could recurse as deep as they are long.
      if (depth > 0) reader.fail();
      return { kind, results: readItems(reader, () => readResult(reader, depth + 1)) };
    case "subscription-created":
      return { kind, created: readFlags(reader, 1)(0) };
    case "subscription-claimed":
      return { kind, generation: reader.varint(), wakeId: reader.string(TEXT_BYTES_MAX), leaseMs: reader.varint() };
    case "subscription-acked":
      return { kind, nextWake: readFlags(reader, 1)(0) };
    case "rejected":
      return readRejection(reader);
    case "group-created":
    case "group-assigned":
    case "group-settled":
    case "group-taken":
      return readGroupResult(kind, reader);
    case "app-epoch":
      return { kind, changed: readFlags(reader, 1)(0), epoch: reader.varint() };
    case undefined:
      reader.fail();
      return { kind: "done" };
    default:
      return unreachable(kind);
  }
}

function readAppended(reader: ByteReader): AppendedResult {
  const has = readFlags(reader, 5);
  return {
    kind: "appended",
    closed: has(0),
    duplicate: has(1),
    incarnation: reader.varint(),
    tail: reader.varint(),
    ...(has(2) && { firstOffset: reader.varint() }),
    ...(has(3) && { nextOffset: reader.varint() }),
    ...(has(4) && { producer: { epoch: reader.varint(), sequence: reader.varint() } }),
  };
}

function readRunPart(reader: ByteReader): RunPart {
  const count = reader.varint();
  const kind = RESULTS[reader.u8()];
  if (kind !== "appended" && kind !== "rejected") reader.fail();
  return { count, result: kind === "rejected" ? readRejection(reader) : readAppended(reader) };
}

/** Error codes travel as text: the table may grow in any order. */
function writeRejection(result: Rejection): void {
  writer.string(result.code).string(result.message);
  writeFlags(
    writer,
    result.incarnation !== undefined,
    result.tail !== undefined,
    result.closed === true,
    result.firstOffset !== undefined,
    result.epoch !== undefined,
    result.expectedSequence !== undefined,
    result.holder !== undefined,
    result.generation !== undefined,
  );
  // The first flags are all in use.
  writeFlags(writer, result.place !== undefined);
  if (result.incarnation !== undefined) writer.varint(result.incarnation);
  if (result.tail !== undefined) writer.varint(result.tail);
  if (result.firstOffset !== undefined) writer.varint(result.firstOffset);
  if (result.epoch !== undefined) writer.varint(result.epoch);
  if (result.expectedSequence !== undefined) writer.varint(result.expectedSequence);
  if (result.holder !== undefined) writer.string(result.holder);
  if (result.generation !== undefined) writer.varint(result.generation);
  if (result.place !== undefined) writeTaskPlace(writer, result.place);
}

function readRejection(reader: ByteReader): Rejection {
  const text = reader.string(TEXT_BYTES_MAX);
  const code = ERROR_CODES.find((known) => known === text);
  if (code === undefined) reader.fail();
  const message = reader.string(TEXT_BYTES_MAX);
  const has = readFlags(reader, 8);
  const hasMore = readFlags(reader, 1);
  return {
    kind: "rejected",
    code: code ?? "internal",
    message,
    ...(has(0) && { incarnation: reader.varint() }),
    ...(has(1) && { tail: reader.varint() }),
    ...(has(2) && { closed: true }),
    ...(has(3) && { firstOffset: reader.varint() }),
    ...(has(4) && { epoch: reader.varint() }),
    ...(has(5) && { expectedSequence: reader.varint() }),
    ...(has(6) && { holder: reader.string(TEXT_BYTES_MAX) }),
    ...(has(7) && { generation: reader.varint() }),
    ...(hasMore(0) && { place: readTaskPlace(reader) }),
  };
}
