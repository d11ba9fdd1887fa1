/**
 * Requests as frames, none larger than a server takes. Over a WebSocket one that is would cost the connection, and with
 * it all that is under way there, at each attempt.
 */
import { encodeRequest, type Request } from "../src/wire/request.ts";
import { TidemarkError } from "./error.ts";
import { CLIENT_LIMITS } from "./limits.ts";

/** Throws `body-too-large`. */
export function boundedFrame(request: Request, requestId: number): Uint8Array {
  const frame = encodeRequest(request, requestId);
  if (frame.length <= CLIENT_LIMITS.frameBytesMax) return frame;
  const message = `the command has ${frame.length} bytes; at most ${CLIENT_LIMITS.frameBytesMax} are allowed`;
  throw new TidemarkError("body-too-large", message);
}
