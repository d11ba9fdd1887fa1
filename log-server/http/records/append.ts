/** `POST /v1/records/…`: appends records, closes, or both; where `If-Match` names the stream's end, only if it is that. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { formatOffset } from "../../../src/record/offset.ts";
import type { AppendCommand, AppendedResult, ProducerTag, Rejection, StreamName } from "../../../src/wire/command.ts";
import { bodyOf } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { closedHeader } from "../header-values.ts";
import { type FlatHeaders, HttpError } from "../http-error.ts";
import { admitCommand } from "../native/admit-command.ts";
import { ifMatchPlace, type Place, placeTag } from "../places.ts";
import { rejectionError } from "../rejection-answer.ts";
import { findStream } from "../stream-routes/find-stream.ts";
import { producerHeaders } from "../stream-routes/request-headers.ts";
import { unexpectedResult } from "../unexpected-result.ts";
import { batchOfRecords } from "./body.ts";

export type AppendQuery = {
  readonly close?: "true" | "false";
  readonly producer?: string;
  readonly epoch?: number;
  readonly sequence?: number;
};

export async function appendRecords(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  stream: StreamName,
  query: AppendQuery,
): Promise<void> {
  const { headers } = request.raw;
  const expected = ifMatchPlace(headers);
  const producer = producerOf(context, request, query);
  const close = query.close === "true" || closedHeader(headers);
  const body = bodyOf(request);
  // Only to answer rightly that it is not there: what counts is decided when the command is applied (I9).
  const known = context.node.machine.stream(stream) ?? (await findStream(context, stream, undefined));
  const batch =
    body.length === 0 ? undefined : batchOfRecords(context, body, headers["content-type"], known.contentType);
  if (batch === undefined && !close) throw new HttpError("empty-body", "there is no record to append");
  const command = admitCommand(context, {
    kind: "append",
    stream,
    close,
    ...(batch !== undefined && { batch }),
    ...(producer !== undefined && { producer }),
    ...(expected !== undefined && { expectedOffset: expected.offset }),
    ...(expected?.incarnation !== undefined && { incarnation: expected.incarnation }),
  }) as AppendCommand;
  const result = await context.node.propose(command);
  if (result.kind === "rejected") throw refusal(result, producer, expected);
  if (result.kind !== "appended") throw unexpectedResult(result);
  if (batch !== undefined && !result.duplicate) context.observer.appended(batch.span, batch.length);
  context.answers.json(reply, 200, appendedHeaders(result), appendedJson(result));
}

/** By headers, as Durable Streams has them, or in the query. */
function producerOf(
  { limits }: HttpContext,
  request: FastifyRequest,
  { producer, epoch, sequence }: AppendQuery,
): ProducerTag | undefined {
  const inHeaders = producerHeaders(request.raw.headers, limits);
  if (producer === undefined && epoch === undefined && sequence === undefined) return inHeaders;
  if (inHeaders !== undefined) throw new HttpError("malformed-url", "a producer is named in headers or in the query");
  if (producer === undefined || epoch === undefined || sequence === undefined)
    throw new HttpError("malformed-url", "producer, epoch and sequence are given together or not at all");
  return { id: producer, epoch, sequence };
}

/** A stream that was made anew under its name has another end, whatever its offset. */
function refusal(rejection: Rejection, producer: ProducerTag | undefined, expected: Place | undefined): HttpError {
  const { code, incarnation, tail } = rejection;
  const isLater = code === "stream-not-found" && incarnation !== undefined && expected?.incarnation !== undefined;
  const error = rejectionError(isLater ? { ...rejection, code: "offset-mismatch" } : rejection, producer);
  if (incarnation !== undefined && tail !== undefined) error.headers.push("ETag", placeTag({ incarnation }, tail));
  return error;
}

function appendedHeaders(result: AppendedResult): FlatHeaders {
  const { incarnation, nextOffset, tail, closed, producer } = result;
  const next = nextOffset ?? tail;
  const headers = ["Stream-Next-Offset", formatOffset(incarnation, next), "ETag", placeTag(result, next)];
  if (closed) headers.push("Stream-Closed", "true");
  if (producer !== undefined)
    headers.push("Producer-Epoch", String(producer.epoch), "Producer-Seq", String(producer.sequence));
  return headers;
}

/** Also what an append in a transaction answers. */
export function appendedJson({
  incarnation,
  firstOffset,
  nextOffset,
  tail,
  closed,
  duplicate,
}: AppendedResult): object {
  const next = nextOffset ?? tail;
  return {
    ...(firstOffset !== undefined && { offset: firstOffset }),
    next,
    token: formatOffset(incarnation, next),
    closed,
    ...(duplicate && { duplicate }),
  };
}
