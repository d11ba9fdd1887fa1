/**
 * Frames that only a lasting connection has (SPEC.md, "Subscriptions"): a reader asks once for a stream from a place on,
 * and the server sends what is there and what comes, as far as the reader's credit goes. Commands, reads and their
 * answers are `request.ts`'s and `response.ts`'s, the same as over HTTP; records arrive as `records` responses. What is
 * said of many streams at once is in `follow-frames.ts`; here are its numbers.
 */
import { unreachable } from "../lib/assert.ts";
import { ByteReader } from "../lib/byte-reader.ts";
import { ByteWriter } from "../lib/byte-writer.ts";
import { err, ok, type Err, type Result } from "../lib/result.ts";
import type { Incarnation, Offset } from "../record/offset.ts";
import type { StreamName } from "./command.ts";
import { CONSISTENCIES, type Consistency } from "./consistency.ts";
import { END_REASONS, type EndReason } from "./end-reason.ts";
import {
  type FollowRequest,
  type FollowResponse,
  readFollow,
  readFollowResponse,
  writeFollow,
  writeFollowResponse,
} from "./follow-frames.ts";
import { encodeFrame, type Frame, type FrameError } from "./frame.ts";
import { WIRE_LIMITS } from "./limits.ts";
import { readFacts, type StreamFacts, writeFacts } from "./stream-facts.ts";
import { checkStreamName, type StreamNameError } from "./stream-name.ts";

/** Its request number names the subscription until it has ended. */
export type SubscribeRequest = {
  readonly kind: "subscribe";
  readonly stream: StreamName;
  /** Must be the stream's when given, as in a read. */
  readonly incarnation?: Incarnation;
  readonly from: "offset" | "start" | "now";
  /** For `from: "offset"`; else 0. */
  readonly offset: Offset;
  /** Bytes of batches that the server may send before more is granted. */
  readonly credit: number;
};

/** Grants this many more bytes to the subscription of the same request number. Not answered. */
export type CreditRequest = { readonly kind: "credit"; readonly bytes: number };

/** Ends the subscription of the same request number; answered by its `end`. */
export type UnsubscribeRequest = { readonly kind: "unsubscribe" };

/** Is the other side there? Browsers cannot send WebSocket's own pings. */
export type PingRequest = { readonly kind: "ping" };

/** How fresh all that is answered from here on must be, and what the asker has seen; empty: nothing. */
export type SessionRequest = { readonly kind: "session"; readonly consistency: Consistency; readonly token: string };

export type SocketRequest =
  | SessionRequest
  | SubscribeRequest
  | CreditRequest
  | UnsubscribeRequest
  | PingRequest
  | FollowRequest;

/** The subscription begins at `offset`: whatever is appended from there on will be sent. */
export type SubscribedResponse = StreamFacts & {
  readonly kind: "subscribed";
  readonly position: number;
  readonly offset: Offset;
};

/** Records from `from` up to, without, `to` exist no more (I7); the subscription goes on at `to`. */
export type GapResponse = {
  readonly kind: "gap";
  readonly position: number;
  readonly from: Offset;
  readonly to: Offset;
};

/** The last word on a subscription. */
export type EndResponse = {
  readonly kind: "end";
  readonly position: number;
  readonly reason: EndReason;
  /** Where to go on: everything before it was sent. */
  readonly nextOffset: Offset;
};

export type PongResponse = { readonly kind: "pong"; readonly position: number };

/** The session goes on here; `token` is what this node has applied. */
export type SessionResponse = { readonly kind: "session"; readonly position: number; readonly token: string };

export type SocketResponse =
  | SessionResponse
  | SubscribedResponse
  | GapResponse
  | EndResponse
  | PongResponse
  | FollowResponse;

/** Never renumber; `request.ts` and `response.ts` have the numbers before these. */
const REQUEST_KINDS = { subscribe: 4, credit: 5, unsubscribe: 6, ping: 7, follow: 8, session: 15 } as const;
const REQUEST_NUMBERS: ReadonlySet<number> = new Set(Object.values(REQUEST_KINDS));
const RESPONSE_KINDS = {
  "subscribed": 132,
  "gap": 133,
  "end": 134,
  "pong": 135,
  "following": 136,
  "follow-records": 137,
  "stream-event": 142,
  "follow-end": 143,
  "session": 145,
} as const;
const RESPONSE_NUMBERS: ReadonlySet<number> = new Set(Object.values(RESPONSE_KINDS));
const SUBSCRIBE_FROM = ["offset", "start", "now"] as const;

/** Reused: encoding is synchronous, and a frame is a copy. */
const writer = new ByteWriter();

export function isSocketRequest(frame: Frame): boolean {
  return REQUEST_NUMBERS.has(frame.kind);
}

export function isSocketResponse(frame: Frame): boolean {
  return RESPONSE_NUMBERS.has(frame.kind);
}

export function encodeSocketRequest(request: SocketRequest, requestId: number): Uint8Array {
  writer.reset();
  switch (request.kind) {
    case "subscribe":
      writer.string(request.stream).u8(SUBSCRIBE_FROM.indexOf(request.from)).varint(request.offset);
      writer.varint(request.credit).u8(request.incarnation === undefined ? 0 : 1);
      if (request.incarnation !== undefined) writer.varint(request.incarnation);
      break;
    case "credit":
      writer.varint(request.bytes);
      break;
    case "unsubscribe":
    case "ping":
      break;
    case "follow":
      writeFollow(writer, request);
      break;
    case "session":
      writer.u8(CONSISTENCIES.indexOf(request.consistency)).string(request.token);
      break;
    default:
      return unreachable(request);
  }
  return encodeFrame(REQUEST_KINDS[request.kind], requestId, [writer.view()]);
}

export function decodeSocketRequest(frame: Frame): Result<SocketRequest, FrameError | StreamNameError> {
  const reader = new ByteReader(frame.body);
  switch (frame.kind) {
    case REQUEST_KINDS.subscribe:
      return decodeSubscribe(reader);
    case REQUEST_KINDS.credit: {
      const bytes = reader.varint();
      return reader.complete ? ok({ kind: "credit", bytes }) : malformed("a credit is malformed");
    }
    case REQUEST_KINDS.unsubscribe:
      return reader.complete ? ok({ kind: "unsubscribe" }) : malformed("an unsubscribe has no body");
    case REQUEST_KINDS.ping:
      return reader.complete ? ok({ kind: "ping" }) : malformed("a ping has no body");
    case REQUEST_KINDS.follow:
      return readFollow(reader);
    case REQUEST_KINDS.session: {
      const consistency = CONSISTENCIES[reader.u8()];
      const token = reader.string(WIRE_LIMITS.textBytesMax);
      if (consistency === undefined || !reader.complete) return malformed("a session is malformed");
      return ok({ kind: "session", consistency, token });
    }
    default:
      return malformed(`request kind ${frame.kind} is not known here`);
  }
}

function decodeSubscribe(reader: ByteReader): Result<SubscribeRequest, FrameError | StreamNameError> {
  const stream = reader.string(reader.remaining);
  const from = SUBSCRIBE_FROM[reader.u8()];
  const offset = reader.varint();
  const credit = reader.varint();
  const hasIncarnation = reader.u8();
  const incarnation = hasIncarnation === 1 ? reader.varint() : undefined;
  if (from === undefined || hasIncarnation > 1 || !reader.complete) return malformed("a subscribe is malformed");
  const name = checkStreamName(stream);
  if (!name.ok) return name;
  return ok({ kind: "subscribe", stream, from, offset, credit, ...(incarnation !== undefined && { incarnation }) });
}

export function encodeSocketResponse(response: SocketResponse, requestId: number): Uint8Array {
  let behind: readonly Uint8Array[] = [];
  writer.reset();
  writer.varint(response.position);
  switch (response.kind) {
    case "subscribed":
      writeFacts(writer, response);
      writer.varint(response.offset);
      break;
    case "gap":
      writer.varint(response.from).varint(response.to);
      break;
    case "end":
      writer.u8(END_REASONS.indexOf(response.reason)).varint(response.nextOffset);
      break;
    case "pong":
      break;
    case "session":
      writer.string(response.token);
      break;
    case "following":
    case "follow-records":
    case "stream-event":
    case "follow-end":
      behind = writeFollowResponse(writer, response);
      break;
    default:
      return unreachable(response);
  }
  return encodeFrame(RESPONSE_KINDS[response.kind], requestId, [writer.view(), ...behind]);
}

export function decodeSocketResponse(frame: Frame): Result<SocketResponse, FrameError> {
  const reader = new ByteReader(frame.body);
  const position = reader.varint();
  switch (frame.kind) {
    case RESPONSE_KINDS.subscribed: {
      const facts = readFacts(reader);
      const offset = reader.varint();
      return reader.complete
        ? ok({ kind: "subscribed", position, ...facts, offset })
        : malformed("a subscribed is malformed");
    }
    case RESPONSE_KINDS.gap: {
      const from = reader.varint();
      const to = reader.varint();
      return reader.complete ? ok({ kind: "gap", position, from, to }) : malformed("a gap is malformed");
    }
    case RESPONSE_KINDS.end: {
      const reason = END_REASONS[reader.u8()];
      const nextOffset = reader.varint();
      if (reason === undefined || !reader.complete) return malformed("an end is malformed");
      return ok({ kind: "end", position, reason, nextOffset });
    }
    case RESPONSE_KINDS.pong:
      return reader.complete ? ok({ kind: "pong", position }) : malformed("a pong is malformed");
    case RESPONSE_KINDS.session: {
      const token = reader.string(WIRE_LIMITS.textBytesMax);
      return reader.complete ? ok({ kind: "session", position, token }) : malformed("a session is malformed");
    }
    case RESPONSE_KINDS.following:
      return readFollowResponse(reader, position, "following");
    case RESPONSE_KINDS["follow-records"]:
      return readFollowResponse(reader, position, "follow-records");
    case RESPONSE_KINDS["stream-event"]:
      return readFollowResponse(reader, position, "stream-event");
    case RESPONSE_KINDS["follow-end"]:
      return readFollowResponse(reader, position, "follow-end");
    default:
      return malformed(`response kind ${frame.kind} is not known here`);
  }
}

function malformed(message: string): Err<FrameError> {
  return err({ code: "malformed-frame", message });
}
