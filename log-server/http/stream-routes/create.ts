/** `PUT`: create a stream or confirm that it is there, perhaps as a fork (sections 4.2 and 5.1). */
import type { FastifyReply, FastifyRequest } from "fastify";
import { formatOffset } from "../../../src/record/offset.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import type { CreateCommand } from "../../../src/wire/command.ts";
import { encodeStreamName } from "../../../src/wire/stream-name.ts";
import { bodyOf } from "../body.ts";
import { batchOfBody } from "../body-batch.ts";
import { DEFAULT_CONTENT_TYPE } from "../content-type.ts";
import type { HttpContext } from "../context.ts";
import { closedHeader } from "../header-values.ts";
import type { FlatHeaders } from "../http-error.ts";
import { rejectionError } from "../rejection-answer.ts";
import { STREAM_PREFIX, streamOfUrl } from "../stream-url.ts";
import { unexpectedResult } from "../unexpected-result.ts";
import { forkHeaders, resolveFork } from "./fork-point.ts";
import { contentTypeHeader, expiryHeaders } from "./request-headers.ts";

export function createRoute(context: HttpContext): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  return async (request, reply) => {
    const command = await createCommand(context, request);
    const result = await context.node.propose(command);
    if (result.kind === "rejected") throw rejectionError(result);
    if (result.kind !== "created") throw unexpectedResult(result);
    if (result.created && command.batch !== undefined)
      context.observer.appended(command.batch.span, command.batch.length);
    const headers: FlatHeaders = ["Content-Type", result.contentType, "Content-Length", "0"];
    headers.push("Stream-Next-Offset", formatOffset(result.incarnation, result.nextOffset));
    if (result.closed) headers.push("Stream-Closed", "true");
    if (result.created) {
      const base = context.publicUrl(request.raw.headers.host);
      headers.push("Location", base + STREAM_PREFIX + encodeStreamName(command.stream));
    }
    context.answers.empty(reply, result.created ? 201 : 200, headers);
  };
}

async function createCommand(context: HttpContext, request: FastifyRequest): Promise<CreateCommand> {
  const { limits } = context;
  const { url, headers } = request.raw;
  const stream = streamOfUrl(url ?? "", limits.urlBytesMax);
  const contentType = contentTypeHeader(headers, limits);
  const expiry = expiryHeaders(headers, limits);
  const asked = forkHeaders(headers);
  const fork = asked === undefined ? undefined : await resolveFork(context, asked);
  const batch = initialBatch(context, bodyOf(request), contentType ?? fork?.contentType ?? DEFAULT_CONTENT_TYPE);
  return {
    kind: "create",
    stream,
    closed: closedHeader(headers),
    ...(contentType !== undefined && { contentType }),
    ...(expiry !== undefined && { expiry }),
    ...(fork !== undefined && { fork: fork.point }),
    ...(batch !== undefined && { batch }),
  };
}

function initialBatch(context: HttpContext, body: Uint8Array, contentType: string): BatchRef | undefined {
  return body.length === 0 ? undefined : batchOfBody(body, contentType, context.limits);
}
