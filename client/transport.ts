/**
 * How requests reach a server: the seam between the SDK and what carries its frames. HTTP today; a WebSocket is the
 * same frames over one connection. A transport neither retries nor interprets: one request, one answer or one error.
 */
import type { Request } from "../src/wire/request.ts";
import type { Response } from "../src/wire/response.ts";

export interface Transport {
  /**
   * Sends one request and resolves to its answer, an error answer included. Commands reach the server in the order of
   * the calls, and any number may be under way; reads overtake freely.
   *
   * Rejects with a `TidemarkError`, at the latest some seconds after an answer was due: its outcome is `not-applied` if
   * the request surely never left, else `unknown`. When `signal` fires it rejects at once, with the signal's code.
   */
  request(request: Request, signal: AbortSignal): Promise<Response>;
  /** Ends everything under way. */
  close(): Promise<void>;
}
