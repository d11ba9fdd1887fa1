/** `create`: makes a stream or a fork, or confirms that it exists as asked for (Durable Streams, 4.2 and 5.1). */
import { utf8 } from "../../src/lib/bytes.ts";
import type {
  CommandResult,
  CreateCommand,
  CreatedResult,
  Expiry,
  ForkPoint,
  Rejection,
} from "../../src/wire/command.ts";
import { checkStreamName } from "../../src/wire/stream-name.ts";
import { batchRefusal } from "./append-records.ts";
import { makingRefusal } from "./apps/app-streams.ts";
import { reject, tooMany, whereabouts } from "./rejections.ts";
import type { State } from "./state.ts";
import type { Step } from "./step.ts";
import { cutsCompacted } from "./inherited-records.ts";
import { addStream, findStream, growStream } from "./stream-lifecycle.ts";
import { type ForkOrigin, NO_EXPIRY, sameExpiry, sameRetention, Stream } from "./stream.ts";

export const DEFAULT_CONTENT_TYPE = "application/octet-stream";

export function createStream(state: State, step: Step, command: CreateCommand): CommandResult {
  const existing = findStream(state, step, command.stream);
  if (existing !== undefined) return confirm(existing, command);
  const name = checkStreamName(command.stream);
  if (!name.ok) return reject("malformed-name", name.error.message);
  const origin = command.fork === undefined ? undefined : resolveFork(state, step, command.fork);
  if (origin !== undefined && "kind" in origin) return origin;
  const contentType = contentTypeOf(command, origin);
  const { closed, retention = {} } = command;
  const expiry = expiryOf(command, origin);
  const refusal =
    refusalOf(state, contentType, origin) ??
    batchRefusal(command.batch, origin?.offset ?? 0) ??
    makingRefusal(state, command.stream, { expiry, retention, closed }, (command.batch ?? origin) !== undefined);
  if (refusal !== undefined) return refusal;
  const incarnation = origin?.source.incarnation ?? step.index;
  if (step.hasEnded(command.stream, incarnation)) {
    return reject("overloaded", "a stream of this name ended in the same step; try again");
  }
  const stream = new Stream({
    id: state.position.nextStreamId,
    name: command.stream,
    incarnation,
    contentType: state.shared(contentType),
    expiry,
    createdAtMs: step.logTime,
    origin,
  });
  stream.firstOffset = origin?.source.firstOffset ?? 0;
  if (command.retention !== undefined) stream.retention = command.retention;
  addStream(state, step, stream);
  if (command.batch !== undefined || closed) growStream(state, step, stream, command.batch, closed);
  return described(stream, true);
}

/** The same configuration again is no error, and changes nothing; records that come with it are not appended. */
function confirm(stream: Stream, command: CreateCommand): CommandResult {
  if (stream.deleted) {
    return reject("stream-has-forks", `the stream "${stream.name}" is deleted, but forks still need its records`);
  }
  const difference = differenceTo(stream, command);
  if (difference === undefined) return described(stream, false);
  const message = `the stream "${stream.name}" exists with another ${difference}`;
  return reject("stream-exists", message, whereabouts(stream));
}

function differenceTo(stream: Stream, command: CreateCommand): string | undefined {
  const { origin } = stream;
  if (!sameOrigin(origin, command.fork)) return "source or fork point";
  if (stream.contentType !== contentTypeOf(command, origin)) return "content type";
  if (!sameExpiry(stream.expiry, expiryOf(command, origin))) return "expiry";
  if (stream.closed !== command.closed) return "closure status";
  if (command.retention !== undefined && !sameRetention(stream.retention, command.retention)) return "retention";
  return undefined;
}

/** A fork at "the source's tail" is the same fork wherever that was by then. */
function sameOrigin(origin: ForkOrigin | undefined, fork: ForkPoint | undefined): boolean {
  if (origin === undefined || fork === undefined) return origin === fork;
  const { source, offset, partialBytes } = origin;
  return (
    source.name === fork.source &&
    source.incarnation === fork.incarnation &&
    (fork.offset === undefined || fork.offset === offset) &&
    fork.partialBytes === partialBytes
  );
}

function resolveFork(state: State, step: Step, fork: ForkPoint): ForkOrigin | Rejection {
  const source = findStream(state, step, fork.source);
  if (source === undefined || source.incarnation !== fork.incarnation) {
    return reject("stream-not-found", `there is no stream "${fork.source}" to fork from`);
  }
  if (source.deleted) return reject("stream-has-forks", `the stream "${fork.source}" to fork from is deleted`);
  const offset = fork.offset ?? source.nextOffset;
  const end = offset + (fork.partialBytes > 0 ? 1 : 0);
  if (end > source.nextOffset)
    return reject("invalid-fork", "the fork point is past the source's end", whereabouts(source));
  if (offset < source.firstOffset) {
    return reject("offset-trimmed", "the fork point is before the source's first retained record", whereabouts(source));
  }
  if (end > source.firstOffset && cutsCompacted(source, end)) {
    return reject("invalid-fork", "the fork point is in the compacted part of the source", whereabouts(source));
  }
  return { source, offset, partialBytes: fork.partialBytes };
}

function contentTypeOf(command: CreateCommand, origin: ForkOrigin | undefined): string {
  return command.contentType ?? origin?.source.contentType ?? DEFAULT_CONTENT_TYPE;
}

function expiryOf(command: CreateCommand, origin: ForkOrigin | undefined): Expiry {
  return command.expiry ?? origin?.source.expiry ?? NO_EXPIRY;
}

function refusalOf(state: State, contentType: string, origin: ForkOrigin | undefined): Rejection | undefined {
  const { streamsMax, contentTypeBytesMax, forkDepthMax } = state.limits;
  if (utf8(contentType).length > contentTypeBytesMax) {
    return reject("malformed-header", `a content type has at most ${contentTypeBytesMax} bytes`);
  }
  if (origin !== undefined && contentType !== origin.source.contentType) {
    return reject("content-type-mismatch", `the source's content type is ${origin.source.contentType}`);
  }
  if (origin !== undefined && origin.source.depth >= forkDepthMax) {
    return reject("fork-too-deep", `a fork has at most ${forkDepthMax} sources above it`);
  }
  if (state.streams.size >= streamsMax) return tooMany("streams", streamsMax);
  return undefined;
}

export function described(stream: Stream, created: boolean): CreatedResult {
  return {
    kind: "created",
    created,
    incarnation: stream.incarnation,
    nextOffset: stream.nextOffset,
    contentType: stream.contentType,
    closed: stream.closed,
    expiry: stream.expiry,
  };
}
