/**
 * What the server answers in one frame (SPEC.md, "Responses"). Every answer carries the position up to which the
 * answering node had applied the log: a client that shows it on its next request is never answered from before.
 */
import { unreachable } from "../lib/assert.ts";
import { ByteReader } from "../lib/byte-reader.ts";
import { ByteWriter } from "../lib/byte-writer.ts";
import { err, ok, type Err, type Result } from "../lib/result.ts";
import type { Offset } from "../record/offset.ts";
import {
  type AppLookUpResponse,
  readAppDescription,
  readAppList,
  writeAppDescription,
  writeAppList,
} from "./app-look-up.ts";
import type { CommandResult } from "./command.ts";
import { type ErrorCode, ERRORS } from "./errors.ts";
import { encodeFrame, type Frame, type FrameError } from "./frame.ts";
import {
  type GroupLookUpResponse,
  readGroupDescription,
  readGroupList,
  writeGroupDescription,
  writeGroupList,
} from "./group-look-up.ts";
import { decodeResult, encodeResult } from "./result-codec.ts";
import { WIRE_LIMITS } from "./limits.ts";
import {
  type LookUpResponse,
  readCursor,
  readLocated,
  readStreamList,
  writeCursor,
  writeLocated,
  writeStreamList,
} from "./look-up.ts";
import {
  readBoolean,
  readDetails,
  readFacts,
  type StreamDetails,
  type StreamFacts,
  writeDetails,
  writeFacts,
} from "./stream-facts.ts";

export type ResultResponse = { readonly kind: "result"; readonly position: number; readonly result: CommandResult };

export type RecordsResponse = StreamFacts & {
  readonly kind: "records";
  readonly position: number;
  /** One past the last record here; where to read on. */
  readonly nextOffset: Offset;
  /** Nothing more was there when this was answered. */
  readonly upToDate: boolean;
  /** As stored. The first may begin before the offset asked for: skip those records. */
  readonly batches: readonly { readonly firstOffset: Offset; readonly logTime: number; readonly bytes: Uint8Array }[];
};

export type DescriptionResponse = StreamFacts &
  StreamDetails & { readonly kind: "description"; readonly position: number };

/** The request was not carried out, or it is not known whether (`outcome`). A command that was refused has a `result`. */
export type ErrorResponse = {
  readonly kind: "error";
  readonly position: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly firstOffset?: Offset;
  /** Seconds to wait before trying again, for overload. */
  readonly retryAfterSeconds?: number;
};

export type Response =
  | ResultResponse
  | RecordsResponse
  | DescriptionResponse
  | LookUpResponse
  | GroupLookUpResponse
  | AppLookUpResponse
  | ErrorResponse;

/** Never renumber. */
const KINDS = {
  "result": 128,
  "records": 129,
  "description": 130,
  "error": 131,
  "stream-list": 138,
  "located": 139,
  "groups": 140,
  "group": 141,
  "cursor": 144,
  "apps": 146,
  "app": 147,
} as const;
const ERROR_CODES = Object.keys(ERRORS) as readonly ErrorCode[];

/** Reused: encoding is synchronous, and a frame is a copy. */
const writer = new ByteWriter();

export function encodeResponse(response: Response, requestId: number): Uint8Array {
  writer.reset();
  writer.varint(response.position);
  switch (response.kind) {
    case "result":
      return encodeFrame(KINDS.result, requestId, [writer.view(), encodeResult(response.result)]);
    case "records": {
      writeFacts(writer, response);
      writer
        .varint(response.nextOffset)
        .u8(response.upToDate ? 1 : 0)
        .varint(response.batches.length);
      for (const batch of response.batches)
        writer.varint(batch.firstOffset).varint(batch.logTime).varint(batch.bytes.length);
      return encodeFrame(KINDS.records, requestId, [writer.view(), ...response.batches.map((batch) => batch.bytes)]);
    }
    case "description":
      writeFacts(writer, response);
      writeDetails(writer, response);
      return encodeFrame(KINDS.description, requestId, [writer.view()]);
    case "stream-list":
      writeStreamList(writer, response);
      return encodeFrame(KINDS["stream-list"], requestId, [writer.view()]);
    case "located":
      writeLocated(writer, response);
      return encodeFrame(KINDS.located, requestId, [writer.view()]);
    case "groups":
      writeGroupList(writer, response);
      return encodeFrame(KINDS.groups, requestId, [writer.view()]);
    case "group":
      writeGroupDescription(writer, response);
      return encodeFrame(KINDS.group, requestId, [writer.view()]);
    case "apps":
      writeAppList(writer, response);
      return encodeFrame(KINDS.apps, requestId, [writer.view()]);
    case "app":
      writeAppDescription(writer, response);
      return encodeFrame(KINDS.app, requestId, [writer.view()]);
    case "cursor":
      writeCursor(writer, response);
      return encodeFrame(KINDS.cursor, requestId, [writer.view()]);
    case "error":
      writer.string(response.code).string(response.message);
      writer.u8((response.firstOffset === undefined ? 0 : 1) | (response.retryAfterSeconds === undefined ? 0 : 2));
      if (response.firstOffset !== undefined) writer.varint(response.firstOffset);
      if (response.retryAfterSeconds !== undefined) writer.varint(response.retryAfterSeconds);
      return encodeFrame(KINDS.error, requestId, [writer.view()]);
    default:
      return unreachable(response);
  }
}

/** Batches are views of the frame; their checksums are the reader's to check, when it decodes them. */
export function decodeResponse(frame: Frame): Result<Response, FrameError> {
  const reader = new ByteReader(frame.body);
  const position = reader.varint();
  switch (frame.kind) {
    case KINDS.result: {
      const result = decodeResult(reader.bytes(reader.remaining));
      return result.ok ? ok({ kind: "result", position, result: result.value }) : malformed(result.error.message);
    }
    case KINDS.records: {
      const facts = readFacts(reader);
      const nextOffset = reader.varint();
      const upToDate = readBoolean(reader);
      const count = reader.count(WIRE_LIMITS.responseBatchesMax);
      const places: { firstOffset: number; logTime: number; length: number }[] = [];
      for (let place = 0; place < count && !reader.failed; place += 1) {
        places.push({ firstOffset: reader.varint(), logTime: reader.varint(), length: reader.varint() });
      }
      const batches = places.map(({ firstOffset, logTime, length }) => ({
        firstOffset,
        logTime,
        bytes: reader.bytes(length),
      }));
      if (!reader.complete) return malformed("a records response is malformed");
      return ok({ kind: "records", position, ...facts, nextOffset, upToDate, batches });
    }
    case KINDS.description: {
      const facts = readFacts(reader);
      const details = readDetails(reader);
      return reader.complete
        ? ok({ kind: "description", position, ...facts, ...details })
        : malformed("a description is malformed");
    }
    case KINDS["stream-list"]:
      return lookedUp(reader, readStreamList(reader, position));
    case KINDS.located:
      return lookedUp(reader, readLocated(reader, position));
    case KINDS.groups:
      return lookedUp(reader, readGroupList(reader, position));
    case KINDS.group:
      return lookedUp(reader, readGroupDescription(reader, position));
    case KINDS.apps:
      return lookedUp(reader, readAppList(reader, position));
    case KINDS.app:
      return lookedUp(reader, readAppDescription(reader, position));
    case KINDS.cursor:
      return lookedUp(reader, readCursor(reader, position));
    case KINDS.error: {
      const text = reader.string(WIRE_LIMITS.textBytesMax);
      // A newer server may know codes that this client does not.
      const code = ERROR_CODES.find((known) => known === text) ?? "internal";
      const message = reader.string(WIRE_LIMITS.textBytesMax);
      const has = reader.u8();
      const firstOffset = (has & 1) === 0 ? undefined : reader.varint();
      const retryAfterSeconds = (has & 2) === 0 ? undefined : reader.varint();
      if (has > 3 || !reader.complete) return malformed("an error response is malformed");
      return ok({
        kind: "error",
        position,
        code,
        message,
        ...(firstOffset !== undefined && { firstOffset }),
        ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
      });
    }
    default:
      return malformed(`response kind ${frame.kind} is not known here`);
  }
}

function lookedUp(
  reader: ByteReader,
  response: LookUpResponse | GroupLookUpResponse | AppLookUpResponse,
): Result<Response, FrameError> {
  return reader.complete ? ok(response) : malformed(`a response of kind ${response.kind} is malformed`);
}

function malformed(message: string): Err<FrameError> {
  return err({ code: "malformed-frame", message });
}
