/** `POST`: append, close, or both at once (sections 5.2 and 5.3). */
import type { FastifyReply, FastifyRequest } from "fastify";
import { formatOffset } from "../../../src/record/offset.ts";
import type { AppendCommand, AppendedResult } from "../../../src/wire/command.ts";
import { bodyOf } from "../body.ts";
import { batchOfBody } from "../body-batch.ts";
import type { HttpContext } from "../context.ts";
import { closedHeader } from "../header-values.ts";
import { type FlatHeaders, HttpError } from "../http-error.ts";
import { rejectionError } from "../rejection-answer.ts";
import { streamOfUrl } from "../stream-url.ts";
import { unexpectedResult } from "../unexpected-result.ts";
import { contentTypeHeader, producerHeaders, streamSequenceHeader } from "./request-headers.ts";

export function appendRoute(context: HttpContext): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  return async (request, reply) => {
    const command = appendCommand(context, request);
    const result = await context.node.propose(command);
    if (result.kind === "rejected") throw rejectionError(result, command.producer);
    if (result.kind !== "appended") throw unexpectedResult(result);
    if (command.batch !== undefined && !result.duplicate)
      context.observer.appended(command.batch.span, command.batch.length);
    // 200 tells an idempotent producer that this was new; there, 204 means a duplicate (section 5.2.1).
    const isNew = command.producer !== undefined && command.batch !== undefined && !result.duplicate;
    const headers = appendedHeaders(result);
    if (isNew) headers.push("Content-Length", "0");
    context.answers.empty(reply, isNew ? 200 : 204, headers);
  };
}

function appendCommand(context: HttpContext, request: FastifyRequest): AppendCommand {
  const { limits } = context;
  const { url, headers } = request.raw;
  const stream = streamOfUrl(url ?? "", limits.urlBytesMax);
  const close = closedHeader(headers);
  const producer = producerHeaders(headers, limits);
  const streamSequence = streamSequenceHeader(headers, limits);
  const body = bodyOf(request);
  const tags = { ...(producer !== undefined && { producer }), ...(streamSequence !== undefined && { streamSequence }) };
  if (body.length === 0) {
    if (!close)
      throw new HttpError("empty-body", "an append needs a body, unless Stream-Closed: true closes the stream");
    return { kind: "append", stream, close, ...tags };
  }
  const contentType = contentTypeHeader(headers, limits);
  if (contentType === undefined) throw new HttpError("malformed-header", "an append needs a Content-Type");
  const batch = batchOfBody(body, contentType, limits);
  if (batch === undefined) throw new HttpError("malformed-json", "an empty array has nothing to append");
  return { kind: "append", stream, contentType, batch, close, ...tags };
}

function appendedHeaders(result: AppendedResult): FlatHeaders {
  const headers = ["Stream-Next-Offset", formatOffset(result.incarnation, result.nextOffset ?? result.tail)];
  if (result.closed) headers.push("Stream-Closed", "true");
  if (result.producer !== undefined) {
    headers.push("Producer-Epoch", String(result.producer.epoch), "Producer-Seq", String(result.producer.sequence));
  }
  return headers;
}
