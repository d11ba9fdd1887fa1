/**
 * What a client asks in one frame (SPEC.md, "Requests"): to put a command into the log, to read, to describe a stream.
 * A command frame's body is the command's head, the directory of its batches, and the batches; both formats are the
 * log's own, so nothing is translated on the way.
 */
import { assert, unreachable } from "../lib/assert.ts";
import { ByteReader } from "../lib/byte-reader.ts";
import { ByteWriter } from "../lib/byte-writer.ts";
import { concat } from "../lib/bytes.ts";
import { err, ok, type Err, type Result } from "../lib/result.ts";
import { type BatchError, checkBatch } from "../record/batch-codec.ts";
import type { BatchRef } from "../record/batch.ts";
import type { Incarnation, Offset } from "../record/offset.ts";
import { type AppLookUpRequest, readApp, readApps, writeApp, writeApps } from "./app-look-up.ts";
import { COMMAND_LIMITS } from "./check-command.ts";
import { type CommandError, decodeCommands, encodeCommand } from "./command-codec.ts";
import type { Command, StreamName } from "./command.ts";
import { beginFrame, encodeFrame, type Frame, type FrameError } from "./frame.ts";
import { type GroupLookUpRequest, readGroup, readGroups, writeGroup, writeGroups } from "./group-look-up.ts";
import { WIRE_LIMITS } from "./limits.ts";
import { type LookUpRequest, readList, readLocate, writeList, writeLocate } from "./look-up.ts";
import { checkStreamName, type StreamNameError } from "./stream-name.ts";

export type CommandRequest = { readonly kind: "command"; readonly command: Command };

export type ReadRequest = {
  readonly kind: "read";
  readonly stream: StreamName;
  /** Must be the stream's when given: a token of a deleted stream never reads its successor. */
  readonly incarnation?: Incarnation;
  /** `start` is the first retained record, `now` the tail. */
  readonly from: "offset" | "start" | "now";
  /** For `from: "offset"`; else 0. */
  readonly offset: Offset;
  /** The answer stops after the batch that reaches this. */
  readonly maxBytes: number;
  /** At the tail of an open stream, wait this long for something to arrive. */
  readonly waitMs: number;
};

export type DescribeRequest = { readonly kind: "describe"; readonly stream: StreamName };

/** Asks, and changes nothing. */
export type QueryRequest = ReadRequest | DescribeRequest | LookUpRequest | GroupLookUpRequest | AppLookUpRequest;

export type Request = CommandRequest | QueryRequest;

export type RequestError = FrameError | BatchError | CommandError | StreamNameError;

/** Never renumber. Responses have numbers from 128 on. */
const KINDS = {
  "command": 1,
  "read": 2,
  "describe": 3,
  "list": 9,
  "locate": 10,
  "groups": 11,
  "group": 12,
  "cursor-get": 13,
  "apps": 16,
  "app": 17,
} as const;
const READ_FROM = ["offset", "start", "now"] as const;

/** Reused: encoding is synchronous, and a frame is a copy. */
const writer = new ByteWriter();

/** A request's frame in parts, one behind the other. A command's batches are not copied: each is a part as it is. */
export function encodeRequestParts(request: Request, requestId: number): readonly Uint8Array[] {
  if (request.kind !== "command") return [encodeQuery(request, requestId)];
  const { head, batches } = encodeCommand(request.command);
  writer.reset();
  writer.blob(head).varint(batches.length);
  const chunks: Uint8Array[] = [];
  for (const batch of batches) {
    writer.varint(batch.length);
    assert(batch.bytes?.length === batch.length, "a batch that is sent has its bytes");
    chunks.push(batch.bytes);
  }
  return [beginFrame(KINDS.command, requestId, writer.view(), chunks), ...chunks];
}

export function encodeRequest(request: Request, requestId: number): Uint8Array {
  return concat(encodeRequestParts(request, requestId));
}

function encodeQuery(request: QueryRequest, requestId: number): Uint8Array {
  writer.reset();
  switch (request.kind) {
    case "read":
      writer.string(request.stream).u8(READ_FROM.indexOf(request.from)).varint(request.offset);
      writer
        .varint(request.maxBytes)
        .varint(request.waitMs)
        .u8(request.incarnation === undefined ? 0 : 1);
      if (request.incarnation !== undefined) writer.varint(request.incarnation);
      return encodeFrame(KINDS.read, requestId, [writer.view()]);
    case "describe":
      return encodeFrame(KINDS.describe, requestId, [writer.string(request.stream).view()]);
    case "list":
      writeList(writer, request);
      return encodeFrame(KINDS.list, requestId, [writer.view()]);
    case "locate":
      writeLocate(writer, request);
      return encodeFrame(KINDS.locate, requestId, [writer.view()]);
    case "groups":
      writeGroups(writer, request);
      return encodeFrame(KINDS.groups, requestId, [writer.view()]);
    case "group":
      writeGroup(writer, request);
      return encodeFrame(KINDS.group, requestId, [writer.view()]);
    case "apps":
      writeApps(writer, request);
      return encodeFrame(KINDS.apps, requestId, [writer.view()]);
    case "app":
      writeApp(writer, request);
      return encodeFrame(KINDS.app, requestId, [writer.view()]);
    case "cursor-get":
      return encodeFrame(KINDS["cursor-get"], requestId, [writer.string(request.name).view()]);
    default:
      return unreachable(request);
  }
}

/**
 * Checks the frame, the command and each batch's header and checksum; names, records and what clients may ask for are
 * whose face it is. Batches are views of the frame.
 */
export function decodeRequest(frame: Frame, limits: { readonly batchBytesMax: number }): Result<Request, RequestError> {
  const reader = new ByteReader(frame.body);
  switch (frame.kind) {
    case KINDS.command:
      return decodeCommandRequest(reader, limits);
    case KINDS.read:
      return decodeRead(reader);
    case KINDS.describe: {
      const stream = reader.string(reader.remaining);
      if (!reader.complete) return malformed("a describe request is malformed");
      const name = checkStreamName(stream);
      return name.ok ? ok({ kind: "describe", stream }) : name;
    }
    case KINDS.list: {
      const request = readList(reader);
      return reader.complete ? ok(request) : malformed("a list request is malformed");
    }
    case KINDS.locate: {
      const request = readLocate(reader);
      if (!reader.complete) return malformed("a locate request is malformed");
      const name = checkStreamName(request.stream);
      return name.ok ? ok(request) : name;
    }
    case KINDS.groups: {
      const request = readGroups(reader);
      return reader.complete ? ok(request) : malformed("a groups request is malformed");
    }
    case KINDS.group: {
      const request = readGroup(reader);
      return reader.complete ? ok(request) : malformed("a group request is malformed");
    }
    case KINDS.apps: {
      const request = readApps(reader);
      return reader.complete ? ok(request) : malformed("an apps request is malformed");
    }
    case KINDS.app: {
      const request = readApp(reader);
      return reader.complete ? ok(request) : malformed("an app request is malformed");
    }
    case KINDS["cursor-get"]: {
      const name = reader.string(COMMAND_LIMITS.textBytesMax);
      return reader.complete ? ok({ kind: "cursor-get", name }) : malformed("a cursor request is malformed");
    }
    default:
      return malformed(`request kind ${frame.kind} is not known here`);
  }
}

function decodeRead(reader: ByteReader): Result<Request, RequestError> {
  const stream = reader.string(reader.remaining);
  const from = READ_FROM[reader.u8()];
  const offset = reader.varint();
  const maxBytes = reader.varint();
  const waitMs = reader.varint();
  const hasIncarnation = reader.u8();
  const incarnation = hasIncarnation === 1 ? reader.varint() : undefined;
  if (from === undefined || hasIncarnation > 1 || !reader.complete) return malformed("a read request is malformed");
  const name = checkStreamName(stream);
  if (!name.ok) return name;
  return ok({
    kind: "read",
    stream,
    from,
    offset,
    maxBytes,
    waitMs,
    ...(incarnation !== undefined && { incarnation }),
  });
}

function decodeCommandRequest(
  reader: ByteReader,
  limits: { readonly batchBytesMax: number },
): Result<Request, RequestError> {
  const head = reader.blob(reader.remaining);
  const count = reader.count(WIRE_LIMITS.commandBatchesMax);
  const lengths: number[] = [];
  for (let place = 0; place < count && !reader.failed; place += 1) lengths.push(reader.varint());
  const batches: BatchRef[] = [];
  for (const length of lengths) {
    const bytes = reader.bytes(length);
    if (reader.failed) break;
    const checked = checkBatch(bytes, limits);
    if (!checked.ok) return checked;
    const { hash, span, sparse } = checked.value;
    if (sparse) return err({ code: "malformed-batch", message: "only compaction makes sparse batches" });
    batches.push({ hash, length, span, bytes });
  }
  if (!reader.complete) return malformed("a command request is malformed");
  const commands = decodeCommands(head, batches);
  if (!commands.ok) return commands;
  const [command] = commands.value;
  if (command === undefined || commands.value.length !== 1) return malformed("a command request carries one command");
  return ok({ kind: "command", command });
}

function malformed(message: string): Err<FrameError> {
  return err({ code: "malformed-frame", message });
}
