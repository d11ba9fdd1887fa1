/** Binary messages: whole frames in, frames out (src/wire/SPEC.md). */
import { unreachable } from "../../src/lib/assert.ts";
import { type Frame, splitFrames } from "../../src/wire/frame.ts";
import { decodeRequest } from "../../src/wire/request.ts";
import { encodeResponse, type Response } from "../../src/wire/response.ts";
import {
  decodeSocketRequest,
  encodeSocketResponse,
  isSocketRequest,
  type SessionResponse,
} from "../../src/wire/socket-frames.ts";
import { CLOSE, type CloseCode } from "./close-code.ts";
import type { Desk } from "./desk.ts";
import type { FollowEvent } from "./merged-subscription.ts";
import type { SubscriptionEvent } from "./subscription.ts";
import { refusal } from "./ws-error.ts";

/** Why a connection cannot go on. */
export type Violation = { readonly close: CloseCode; readonly reason: string };

/** Takes in one message. A violation means that nothing more can be believed of this connection. */
export function takeFrames(desk: Desk, message: Uint8Array): Violation | undefined {
  const { limits } = desk.context;
  const frames = splitFrames(message, limits.messageBytesMax, limits.framesPerMessageMax);
  if (!frames.ok) {
    const { code, message: reason } = frames.error;
    const close = code === "body-too-large" ? CLOSE.tooLarge : CLOSE.protocolError;
    return { close, reason: `${code}: ${reason}` };
  }
  for (const frame of frames.value) {
    const violation = isSocketRequest(frame) ? takeSocketFrame(desk, frame) : takeRequest(desk, frame);
    if (violation !== undefined) return violation;
  }
  return undefined;
}

function takeRequest(desk: Desk, frame: Frame): undefined {
  const { requestId } = frame;
  const write = (response: Response): void => desk.outbox.sendFrame(encodeResponse(response, requestId));
  const request = decodeRequest(frame, desk.context.node.limits);
  if (!request.ok) write(refusal(desk.context.node.position, request.error.code, request.error.message));
  else if (request.value.kind === "command") desk.command(request.value.command, frame.body.length, write);
  else void desk.query(request.value, write);
}

function takeSocketFrame(desk: Desk, frame: Frame): Violation | undefined {
  const { requestId } = frame;
  const { position } = desk.context.node;
  const decoded = decodeSocketRequest(frame);
  if (!decoded.ok) {
    sendEvent(desk, requestId, refusal(position, decoded.error.code, decoded.error.message));
    return undefined;
  }
  const request = decoded.value;
  switch (request.kind) {
    case "subscribe":
      if (desk.subscribe(requestId, request, (event) => sendEvent(desk, requestId, event))) return undefined;
      return { close: CLOSE.protocolError, reason: `a subscription with the number ${requestId} is under way` };
    case "follow":
      if (desk.follow(requestId, request, (event) => sendEvent(desk, requestId, event))) return undefined;
      return { close: CLOSE.protocolError, reason: `a subscription with the number ${requestId} is under way` };
    case "session":
      desk.session(request, (response) => sendEvent(desk, requestId, response));
      return undefined;
    case "credit":
      desk.grant(requestId, request.bytes);
      return undefined;
    case "unsubscribe":
      desk.unsubscribe(requestId);
      return undefined;
    case "ping":
      desk.outbox.sendFrame(encodeSocketResponse({ kind: "pong", position }, requestId));
      return undefined;
    default:
      return unreachable(request);
  }
}

function sendEvent(desk: Desk, requestId: number, event: SubscriptionEvent | FollowEvent | SessionResponse): void {
  switch (event.kind) {
    case "records":
    case "error":
      desk.outbox.sendFrame(encodeResponse(event, requestId));
      break;
    case "session":
    case "subscribed":
    case "gap":
    case "end":
    case "following":
    case "follow-records":
    case "stream-event":
    case "follow-end":
      desk.outbox.sendFrame(encodeSocketResponse(event, requestId));
      break;
    default:
      unreachable(event);
  }
}
