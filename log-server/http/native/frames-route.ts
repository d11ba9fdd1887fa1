/**
 * `POST /v1/frames`: the native protocol over HTTP (src/wire/SPEC.md). A body is a sequence of request frames, answered
 * by as many frames in one body, in order. Commands are proposed one behind the other without waiting, so that those of
 * one POST share entries and syncs; a read sees the commands before it.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { concat } from "../../../src/lib/bytes.ts";
import type { Consistency } from "../../../src/wire/consistency.ts";
import { type Frame, splitFrames } from "../../../src/wire/frame.ts";
import { decodeRequest, type QueryRequest } from "../../../src/wire/request.ts";
import { encodeResponse, type Response } from "../../../src/wire/response.ts";
import { bodyOf } from "../body.ts";
import { mediaType, normalizeContentType } from "../content-type.ts";
import { consistencyHeader } from "../consistency.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { awaitSession, sessionHeader } from "../session-token.ts";
import { responseBytes } from "./answer-read.ts";
import type { NativeRequests } from "./requests.ts";

export const FRAMES_PATH = "/v1/frames";
const FRAMES_CONTENT_TYPE = "application/x-tidemark-frames";

export function framesRoute(
  context: HttpContext,
  requests: NativeRequests,
): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
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
    const level = consistencyHeader(request.raw.headers);
    const responses = await answerFrames(context, requests, reply, frames.value, level);
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
async function answerFrames(
  context: HttpContext,
  requests: NativeRequests,
  reply: FastifyReply,
  frames: readonly Frame[],
  level: Consistency,
): Promise<Response[]> {
  const lane = requests.lane();
  const answers: Promise<Response>[] = [];
  let bytes = 0;
  for (const frame of frames) {
    const request = decodeRequest(frame, context.node.limits);
    if (!request.ok) {
      answers.push(Promise.resolve(requests.failure(new HttpError(request.error.code, request.error.message))));
    } else if (request.value.kind === "command") {
      answers.push(lane.submit(request.value.command));
    } else {
      await Promise.all(answers);
      const answer = await query(context, requests, reply, request.value, level, bytes);
      bytes += responseBytes(answer);
      answers.push(Promise.resolve(answer));
    }
  }
  return Promise.all(answers);
}

async function query(
  context: HttpContext,
  requests: NativeRequests,
  reply: FastifyReply,
  request: QueryRequest,
  level: Consistency,
  bytesBefore: number,
): Promise<Response> {
  if (bytesBefore > context.limits.framesResponseBytesMax) {
    return requests.failure(new HttpError("too-many", "the answers of one POST are too large; ask for less at a time"));
  }
  return requests.query(request, (milliseconds) => context.live.open(reply.raw, milliseconds), level);
}
