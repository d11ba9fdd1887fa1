/**
 * `POST /v1/frames`: the native protocol over HTTP (src/wire/SPEC.md). A body is a sequence of request frames, answered
 * by as many frames in one body, in order. Commands are proposed one behind the other without waiting, so that those of
 * one POST share entries and syncs; a read sees the commands before it.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { concat } from "../../../src/lib/bytes.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { Command, CommandResult } from "../../../src/wire/command.ts";
import { ERRORS } from "../../../src/wire/errors.ts";
import { type Frame, splitFrames } from "../../../src/wire/frame.ts";
import { decodeRequest, type Request } from "../../../src/wire/request.ts";
import { encodeResponse, type Response } from "../../../src/wire/response.ts";
import { bodyOf } from "../body.ts";
import { mediaType, normalizeContentType } from "../content-type.ts";
import type { HttpContext } from "../context.ts";
import { describeError } from "../error-answer.ts";
import { HttpError } from "../http-error.ts";
import { awaitSession, sessionHeader } from "../session-token.ts";
import { admitCommand } from "./admit-command.ts";
import { answerDescribe, answerRead, responseBytes } from "./answer-read.ts";

export const FRAMES_PATH = "/v1/frames";
const FRAMES_CONTENT_TYPE = "application/x-tidemark-frames";
const RETRY_AFTER_SECONDS = 1;

export function framesRoute(context: HttpContext): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  return async (request, reply) => {
    const contentType = normalizeContentType(request.raw.headers["content-type"] ?? "");
    if (contentType === undefined || mediaType(contentType) !== FRAMES_CONTENT_TYPE) {
      throw new HttpError("unsupported-media-type", `frames are sent as ${FRAMES_CONTENT_TYPE}`);
    }
    const frames = splitFrames(bodyOf(request), context.limits.bodyBytesMax, context.limits.framesMax);
    if (!frames.ok) throw new HttpError(frames.error.code, frames.error.message);
    if (frames.value.length === 0) throw new HttpError("malformed-frame", "the body holds no frame");
    const session = sessionHeader(request.raw.headers);
    if (session !== undefined) await awaitSession(context.node, session, context.limits.sessionWaitMs);
    const responses = await answerFrames(context, reply, frames.value);
    const encoded = responses.map((response, place) =>
      encodeResponse(response, (frames.value[place] as Frame).requestId),
    );
    if (reply.raw.destroyed) {
      reply.hijack();
      return;
    }
    const headers = ["Content-Type", FRAMES_CONTENT_TYPE, "Cache-Control", "no-store"];
    context.answers.bytes(reply, 200, headers, encoded.length === 1 ? (encoded[0] as Uint8Array) : concat(encoded));
  };
}

/** One answer a frame. Commands are under way all at once; anything else waits for those before it. */
async function answerFrames(context: HttpContext, reply: FastifyReply, frames: readonly Frame[]): Promise<Response[]> {
  const answers: Promise<Response>[] = [];
  let bytes = 0;
  for (const frame of frames) {
    const request = decodeRequest(frame, context.node.limits);
    if (!request.ok) {
      answers.push(Promise.resolve(errorResponse(context, new HttpError(request.error.code, request.error.message))));
    } else if (request.value.kind === "command") {
      const admitted = await admit(context, request.value.command, answers);
      answers.push(
        admitted.ok ? propose(context, admitted.value) : Promise.resolve(errorResponse(context, admitted.error)),
      );
    } else {
      await Promise.all(answers);
      const answer = await query(context, reply, request.value, bytes);
      bytes += responseBytes(answer);
      answers.push(Promise.resolve(answer));
    }
  }
  return Promise.all(answers);
}

/** A stream that is not there may be one that a command just before creates: then this waits for those. */
async function admit(
  context: HttpContext,
  command: Command,
  before: readonly Promise<Response>[],
): Promise<Result<Command, unknown>> {
  const first = tryAdmit(context, command);
  if (first.ok || !(first.error instanceof HttpError) || first.error.code !== "stream-not-found") return first;
  await Promise.all(before);
  try {
    await context.node.barrier();
  } catch (error) {
    return err(error);
  }
  return tryAdmit(context, command);
}

function tryAdmit(context: HttpContext, command: Command): Result<Command, unknown> {
  try {
    return ok(admitCommand(context, command));
  } catch (error) {
    return err(error);
  }
}

/** Never rejects. */
async function propose(context: HttpContext, admitted: Command): Promise<Response> {
  try {
    const result = await context.node.propose(admitted);
    countAppends(context, admitted, result);
    return { kind: "result", position: context.node.position, result };
  } catch (error) {
    return errorResponse(context, error);
  }
}

async function query(
  context: HttpContext,
  reply: FastifyReply,
  request: Exclude<Request, { readonly kind: "command" }>,
  bytesBefore: number,
): Promise<Response> {
  try {
    if (bytesBefore > context.limits.framesResponseBytesMax)
      throw new HttpError("too-many", "the answers of one POST are too large; ask for less at a time");
    if (request.kind === "describe") return await answerDescribe(context, request);
    return await answerRead(context, request, (milliseconds) => context.live.open(reply.raw, milliseconds));
  } catch (error) {
    return errorResponse(context, error);
  }
}

function countAppends(context: HttpContext, admitted: Command, result: CommandResult): void {
  if (admitted.kind === "append" && admitted.batch !== undefined && result.kind === "appended" && !result.duplicate) {
    context.observer.appended(admitted.batch.span, admitted.batch.length);
  } else if (
    admitted.kind === "create" &&
    admitted.batch !== undefined &&
    result.kind === "created" &&
    result.created
  ) {
    context.observer.appended(admitted.batch.span, admitted.batch.length);
  } else if (admitted.kind === "transaction" && result.kind === "transaction") {
    admitted.operations.forEach((operation, place) =>
      countAppends(context, operation, result.results[place] ?? result),
    );
  }
}

function errorResponse(context: HttpContext, error: unknown): Response {
  const { code, message } = describeError(error);
  if (code === "internal")
    context.observer.event("request-failed", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  const firstOffset = error instanceof HttpError ? error.members["firstOffset"] : undefined;
  return {
    kind: "error",
    position: context.node.position,
    code,
    message,
    ...(typeof firstOffset === "number" && { firstOffset }),
    ...(ERRORS[code].retryable && { retryAfterSeconds: RETRY_AFTER_SECONDS }),
  };
}
