/**
 * Requests as frames, none larger than a server takes. Over a WebSocket one that is would cost the connection, and with
 * it all that is under way there, at each attempt.
 */
import { concat } from "../../src/lib/bytes.ts";
import { encodeRequestParts, type Request } from "../../src/wire/request.ts";
import { TidemarkError } from "../error.ts";
import { CLIENT_LIMITS } from "../limits.ts";

/** Parts one behind the other, batches among them as they are: they are copied once, into the message that takes them away. */
export type FrameParts = { readonly parts: readonly Uint8Array[]; readonly length: number };

/** Throws `body-too-large`. */
export function boundedFrame(request: Request, requestId: number): Uint8Array {
  return concat(boundedParts(request, requestId).parts);
}

/** The same, in parts. */
export function boundedParts(request: Request, requestId: number): FrameParts {
  const parts = encodeRequestParts(request, requestId);
  let length = 0;
  for (const part of parts) length += part.length;
  if (length <= CLIENT_LIMITS.frameBytesMax) return { parts, length };
  const message = `the command has ${length} bytes; at most ${CLIENT_LIMITS.frameBytesMax} are allowed`;
  throw new TidemarkError("body-too-large", message);
}
