/**
 * Following many streams of a log as one (SPEC.md, "Many streams in log order"): one request names them, and their
 * batches arrive in the order in which the log has them, with marks that tell up to where everything was sent. The frames
 * of one stream's subscription are `socket-frames.ts`'s, which also says how a follow gets credit and is ended early.
 */
import { unreachable } from "../lib/assert.ts";
import type { ByteReader } from "../lib/byte-reader.ts";
import type { ByteWriter } from "../lib/byte-writer.ts";
import { err, ok, type Err, type Result } from "../lib/result.ts";
import type { LogPlace } from "../record/log-place.ts";
import type { Incarnation, Offset } from "../record/offset.ts";
import type { StreamName } from "./command.ts";
import { END_REASONS, type EndReason } from "./end-reason.ts";
import type { FrameError } from "./frame.ts";
import { WIRE_LIMITS } from "./limits.ts";
import { readFacts, type StreamFacts, writeFacts } from "./stream-facts.ts";
import { checkStreamName, type StreamNameError } from "./stream-name.ts";

/** One of the streams, and where it begins. */
export type FollowStart = {
  readonly stream: StreamName;
  /** Must be the stream's when given, as in a read. */
  readonly incarnation?: Incarnation;
  readonly from: "offset" | "start" | "now";
  /** For `from: "offset"`; else 0. */
  readonly offset: Offset;
};

/** Its request number names it until it has ended. */
export type FollowRequest = {
  readonly kind: "follow";
  /** Each once; answers name them by their place here. */
  readonly streams: readonly FollowStart[];
  /** Nothing that the log has before this place is sent, wherever the streams begin. */
  readonly notBefore?: LogPlace;
  /** Bytes of batches that the server may send before more is granted. */
  readonly credit: number;
  /** While the streams are silent and the log goes on, a mark this often; 0: none. */
  readonly markEveryMs: number;
};

/** Of each stream, in the order of the request: what it is, and the offset it begins at. */
export type FollowingResponse = {
  readonly kind: "following";
  readonly position: number;
  readonly streams: readonly (StreamFacts & { readonly offset: Offset })[];
};

/** A batch as stored, of the stream with this place in the request. The first of a stream may begin before its offset. */
export type FollowBatch = LogPlace & {
  readonly stream: number;
  readonly firstOffset: Offset;
  readonly logTime: number;
  readonly bytes: Uint8Array;
};

/** Batches in log order, and a mark behind them; without batches, a mark alone. */
export type FollowRecordsResponse = {
  readonly kind: "follow-records";
  readonly position: number;
  /** The mark: of all streams followed, everything before this place was sent. */
  readonly next: LogPlace;
  /** No entry from there on is older. */
  readonly logTime: number;
  readonly batches: readonly FollowBatch[];
};

/** `closed` and `deleted` end the stream, not the follow; `nextOffset` is where it was by then. */
export type FollowedStreamEvent =
  | { readonly kind: "gap"; readonly from: Offset; readonly to: Offset }
  | { readonly kind: "closed"; readonly nextOffset: Offset }
  | { readonly kind: "deleted"; readonly nextOffset: Offset };

export type StreamEventResponse = {
  readonly kind: "stream-event";
  readonly position: number;
  readonly stream: number;
  readonly event: FollowedStreamEvent;
};

/** The last word on a follow. `closed`: all of its streams are over. */
export type FollowEndResponse = {
  readonly kind: "follow-end";
  readonly position: number;
  readonly reason: EndReason;
  /** Where to go on: of all streams, everything before this place was sent. */
  readonly next: LogPlace;
};

export type FollowResponse = FollowingResponse | FollowRecordsResponse | StreamEventResponse | FollowEndResponse;

const FROM = ["offset", "start", "now"] as const;
const EVENTS = ["gap", "closed", "deleted"] as const;

export function writeFollow(writer: ByteWriter, request: FollowRequest): void {
  writer.varint(request.credit).varint(request.markEveryMs);
  writer.u8(request.notBefore === undefined ? 0 : 1);
  if (request.notBefore !== undefined) writePlace(writer, request.notBefore);
  writer.varint(request.streams.length);
  for (const { stream, from, offset, incarnation } of request.streams) {
    writer.string(stream).u8(FROM.indexOf(from)).varint(offset);
    writer.u8(incarnation === undefined ? 0 : 1);
    if (incarnation !== undefined) writer.varint(incarnation);
  }
}

export function readFollow(reader: ByteReader): Result<FollowRequest, FrameError | StreamNameError> {
  const credit = reader.varint();
  const markEveryMs = reader.varint();
  const notBefore = readFlag(reader) ? readPlace(reader) : undefined;
  const count = reader.count(WIRE_LIMITS.followStreamsMax);
  const streams: FollowStart[] = [];
  for (let place = 0; place < count && !reader.failed; place += 1) {
    const stream = reader.string(reader.remaining);
    const from = FROM[reader.u8()];
    const offset = reader.varint();
    const incarnation = readFlag(reader) ? reader.varint() : undefined;
    if (from === undefined) return malformed("a follow begins nowhere");
    streams.push({ stream, from, offset, ...(incarnation !== undefined && { incarnation }) });
  }
  if (!reader.complete) return malformed("a follow is malformed");
  for (const { stream } of streams) {
    const name = checkStreamName(stream);
    if (!name.ok) return name;
  }
  const names = new Set(streams.map(({ stream }) => stream));
  if (names.size === 0) return malformed("a follow names one stream at least");
  if (names.size < streams.length) return malformed("a follow names a stream twice");
  return ok({ kind: "follow", streams, ...(notBefore !== undefined && { notBefore }), credit, markEveryMs });
}

/** Behind the position; returns what comes behind what was written, uncopied. */
export function writeFollowResponse(writer: ByteWriter, response: FollowResponse): readonly Uint8Array[] {
  switch (response.kind) {
    case "following":
      writer.varint(response.streams.length);
      for (const stream of response.streams) {
        writeFacts(writer, stream);
        writer.varint(stream.offset);
      }
      return [];
    case "follow-records":
      writePlace(writer, response.next);
      writer.varint(response.logTime);
      return writeBatches(writer, response.batches);
    case "stream-event": {
      const { event } = response;
      writer.varint(response.stream).u8(EVENTS.indexOf(event.kind));
      if (event.kind === "gap") writer.varint(event.from).varint(event.to);
      else writer.varint(event.nextOffset);
      return [];
    }
    case "follow-end":
      writer.u8(END_REASONS.indexOf(response.reason));
      writePlace(writer, response.next);
      return [];
    default:
      return unreachable(response);
  }
}

/** Positions and log times as what they add to the batch before: neither ever goes back. */
function writeBatches(writer: ByteWriter, batches: readonly FollowBatch[]): readonly Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let position = 0;
  let logTime = 0;
  writer.varint(batches.length);
  for (const batch of batches) {
    writer
      .varint(batch.position - position)
      .varint(batch.ordinal)
      .varint(batch.stream)
      .varint(batch.firstOffset)
      .varint(batch.logTime - logTime)
      .varint(batch.bytes.length);
    ({ position, logTime } = batch);
    chunks.push(batch.bytes);
  }
  return chunks;
}

export function readFollowResponse(
  reader: ByteReader,
  position: number,
  kind: FollowResponse["kind"],
): Result<FollowResponse, FrameError> {
  switch (kind) {
    case "following":
      return readFollowing(reader, position);
    case "follow-records":
      return readRecords(reader, position);
    case "stream-event":
      return readStreamEvent(reader, position);
    case "follow-end": {
      const reason = END_REASONS[reader.u8()];
      const next = readPlace(reader);
      if (reason === undefined || !reader.complete) return malformed("a follow's end is malformed");
      return ok({ kind, position, reason, next });
    }
    default:
      return unreachable(kind);
  }
}

function readFollowing(reader: ByteReader, position: number): Result<FollowingResponse, FrameError> {
  const count = reader.count(WIRE_LIMITS.followStreamsMax);
  const streams: (StreamFacts & { readonly offset: Offset })[] = [];
  for (let place = 0; place < count && !reader.failed; place += 1) {
    const facts = readFacts(reader);
    streams.push({ ...facts, offset: reader.varint() });
  }
  return reader.complete ? ok({ kind: "following", position, streams }) : malformed("a following is malformed");
}

function readRecords(reader: ByteReader, position: number): Result<FollowRecordsResponse, FrameError> {
  const next = readPlace(reader);
  const logTime = reader.varint();
  const count = reader.count(WIRE_LIMITS.responseBatchesMax);
  const heads: (Omit<FollowBatch, "bytes"> & { readonly length: number })[] = [];
  let at = 0;
  let time = 0;
  for (let place = 0; place < count && !reader.failed; place += 1) {
    at += reader.varint();
    const ordinal = reader.varint();
    const stream = reader.varint();
    const firstOffset = reader.varint();
    time += reader.varint();
    heads.push({ position: at, ordinal, stream, firstOffset, logTime: time, length: reader.varint() });
  }
  if (!Number.isSafeInteger(at) || !Number.isSafeInteger(time)) reader.fail();
  const batches = heads.map(({ length, ...head }): FollowBatch => ({ ...head, bytes: reader.bytes(length) }));
  if (!reader.complete) return malformed("a follow's records are malformed");
  return ok({ kind: "follow-records", position, next, logTime, batches });
}

function readStreamEvent(reader: ByteReader, position: number): Result<StreamEventResponse, FrameError> {
  const stream = reader.varint();
  const kind = EVENTS[reader.u8()];
  const first = reader.varint();
  const to = kind === "gap" ? reader.varint() : 0;
  if (kind === undefined || !reader.complete) return malformed("a stream's event is malformed");
  const event: FollowedStreamEvent = kind === "gap" ? { kind, from: first, to } : { kind, nextOffset: first };
  return ok({ kind: "stream-event", position, stream, event });
}

function writePlace(writer: ByteWriter, place: LogPlace): void {
  writer.varint(place.position).varint(place.ordinal);
}

function readPlace(reader: ByteReader): LogPlace {
  const position = reader.varint();
  const ordinal = reader.varint();
  return { position, ordinal };
}

function readFlag(reader: ByteReader): boolean {
  const value = reader.u8();
  if (value > 1) reader.fail();
  return value === 1;
}

function malformed(message: string): Err<FrameError> {
  return err({ code: "malformed-frame", message });
}
