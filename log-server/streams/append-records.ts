/**
 * `append`: a batch, the end of writing, or both. The order of the checks is part of the protocol (I8, I9; Durable
 * Streams, 5.2): the producer's epoch, duplication, closure, content type, sequences, the expected offset.
 */
import { utf8 } from "../../src/lib/bytes.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { Offset } from "../../src/record/offset.ts";
import type { AppendCommand, AppendedResult, ProducerTag, Rejection } from "../../src/wire/command.ts";
import { advanceProducer, findProducer, producerRefusal } from "./producer-state.ts";
import { type Producer, type Standing, standingOf } from "./producer.ts";
import { appRefusal, writeRefusal } from "./apps/app-streams.ts";
import { reject, whereabouts } from "./rejections.ts";
import type { State } from "./state.ts";
import type { Step } from "./step.ts";
import { findStream, growStream } from "./stream-lifecycle.ts";
import { isAfterBytewise, type Stream } from "./stream.ts";

export function appendRecords(state: State, step: Step, command: AppendCommand): AppendedResult | Rejection {
  const { batch, close, producer: tag } = command;
  const stream = openFor(state, step, command);
  if ("kind" in stream) return stream;
  const standing = tag === undefined ? undefined : standingFor(state, step, stream, tag);
  const answered = answerFrom(stream, tag, standing);
  if (answered !== undefined) return answered;
  const refusal =
    refusalOf(state, stream, command, standing) ??
    (close ? appRefusal(state, step, stream.name, "end") : undefined) ??
    (batch === undefined ? undefined : writeRefusal(state, step, stream.name));
  if (refusal !== undefined) return refusal;
  // Closing what is closed changes nothing, and is no error.
  if (stream.closed) return appended(stream, undefined, undefined);

  const firstOffset = stream.nextOffset;
  growStream(state, step, stream, batch, close);
  if (command.streamSequence !== undefined) stream.lastSequence = command.streamSequence;
  if (tag !== undefined) advanceProducer(state, step, stream, tag, { firstOffset, span: batch?.span ?? 0 });
  return appended(stream, batch === undefined ? undefined : { firstOffset, span: batch.span }, tag);
}

/** The stream a command addresses, if it is there for clients. */
export function openFor(
  state: State,
  step: Step,
  command: { readonly stream: string; readonly incarnation?: number },
): Stream | Rejection {
  const stream = findStream(state, step, command.stream);
  if (stream === undefined) return reject("stream-not-found", `there is no stream "${command.stream}"`);
  if (stream.deleted) return reject("stream-gone", `the stream "${command.stream}" is deleted`);
  if (command.incarnation !== undefined && command.incarnation !== stream.incarnation) {
    return reject(
      "stream-not-found",
      `the stream "${command.stream}" is a later one of this name`,
      whereabouts(stream),
    );
  }
  return stream;
}

/** Why a batch can have no place at this offset. */
export function batchRefusal(batch: BatchRef | undefined, at: Offset): Rejection | undefined {
  if (batch === undefined) return undefined;
  if (!Number.isSafeInteger(batch.span) || batch.span < 1) return reject("malformed-batch", "a batch has records");
  // So that every offset, and the one after it, is a safe integer.
  if (at + batch.span >= Number.MAX_SAFE_INTEGER) return reject("batch-too-large", "the stream has no offsets left");
  return undefined;
}

/** What a tagged append is to its producer's state, which a command before it in the same transaction may have moved. */
export function standingFor(state: State, step: Step, stream: Stream, tag: ProducerTag): Standing {
  return standingOf(findProducer(state, step, stream, tag.id), tag);
}

/** What the producer's state alone decides: the epoch first, then duplication (I8). */
export function answerFrom(
  stream: Stream,
  tag: ProducerTag | undefined,
  standing: Standing | undefined,
): AppendedResult | Rejection | undefined {
  if (tag === undefined || standing === undefined) return undefined;
  switch (standing.kind) {
    case "fenced": {
      const message = `epoch ${tag.epoch} is over; the producer is in epoch ${standing.epoch}`;
      return reject("producer-fenced", message, { ...whereabouts(stream), epoch: standing.epoch });
    }
    case "bad-start":
      return reject("invalid-producer", "a new epoch starts with sequence 0", { expectedSequence: 0 });
    case "duplicate":
      return duplicate(stream, standing.producer, tag);
    case "gap":
    case "next":
      return undefined;
  }
}

function refusalOf(
  state: State,
  stream: Stream,
  command: AppendCommand,
  standing: Standing | undefined,
): Rejection | undefined {
  const { batch, close, producer: tag, streamSequence, expectedOffset } = command;
  if (batch === undefined && !close) return reject("malformed-command", "an append has a batch, or closes the stream");
  if (stream.closed && (batch !== undefined || tag !== undefined)) {
    return reject("stream-closed", `the stream "${stream.name}" is closed`, whereabouts(stream));
  }
  if (batch !== undefined && command.contentType !== undefined && command.contentType !== stream.contentType) {
    return reject("content-type-mismatch", `the stream's content type is ${stream.contentType}`, whereabouts(stream));
  }
  if (tag !== undefined && standing?.kind === "gap") {
    const message = `sequence ${tag.sequence} was given; the next one is ${standing.expected}`;
    return reject("sequence-gap", message, {
      ...whereabouts(stream),
      epoch: tag.epoch,
      expectedSequence: standing.expected,
    });
  }
  if (!stream.closed && streamSequence !== undefined) {
    const refusal = sequenceRefusal(state, stream, streamSequence);
    if (refusal !== undefined) return refusal;
  }
  if (expectedOffset !== undefined && expectedOffset !== stream.nextOffset) {
    return reject("offset-mismatch", `the stream's next offset is ${stream.nextOffset}`, whereabouts(stream));
  }
  return batchRefusal(batch, stream.nextOffset) ?? tagRefusal(state, stream, tag);
}

function sequenceRefusal(state: State, stream: Stream, sequence: string): Rejection | undefined {
  const { streamSequenceBytesMax } = state.limits;
  if (utf8(sequence).length > streamSequenceBytesMax) {
    return reject("malformed-header", `a stream sequence has at most ${streamSequenceBytesMax} bytes`);
  }
  if (stream.lastSequence === undefined || isAfterBytewise(sequence, stream.lastSequence)) return undefined;
  const message = `the stream sequence must be greater than "${stream.lastSequence}"`;
  return reject("stream-sequence-conflict", message, whereabouts(stream));
}

/** Only a new producer needs room, and only then can its id be wrong. */
function tagRefusal(state: State, stream: Stream, tag: ProducerTag | undefined): Rejection | undefined {
  if (tag === undefined || stream.producers?.has(tag.id) === true) return undefined;
  const { producerIdBytesMax } = state.limits;
  if (tag.id === "" || utf8(tag.id).length > producerIdBytesMax) {
    return reject("invalid-producer", `a producer's id has between 1 and ${producerIdBytesMax} bytes`);
  }
  return producerRefusal(state, stream);
}

function duplicate(stream: Stream, producer: Producer, tag: ProducerTag): AppendedResult {
  const answer = producer.answers.find(producer.sequence - tag.sequence);
  const placed = answer !== undefined && answer.span > 0 ? answer : undefined;
  return { ...appended(stream, placed, { epoch: producer.epoch, sequence: producer.sequence }), duplicate: true };
}

export function appended(
  stream: Stream,
  placed: { readonly firstOffset: Offset; readonly span: number } | undefined,
  producer: { readonly epoch: number; readonly sequence: number } | undefined,
): AppendedResult {
  const { incarnation, nextOffset: tail, closed } = stream;
  const tag = producer === undefined ? undefined : { epoch: producer.epoch, sequence: producer.sequence };
  // The common shapes, written out: spreading conditional parts takes several times as long.
  if (placed === undefined)
    return {
      kind: "appended",
      incarnation,
      tail,
      closed,
      duplicate: false,
      ...(tag !== undefined && { producer: tag }),
    };
  const { firstOffset, span } = placed;
  const nextOffset = firstOffset + span;
  return tag === undefined
    ? { kind: "appended", incarnation, firstOffset, nextOffset, tail, closed, duplicate: false }
    : { kind: "appended", incarnation, firstOffset, nextOffset, tail, closed, duplicate: false, producer: tag };
}
