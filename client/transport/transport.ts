/**
 * How requests reach a server: the seam between the SDK and what carries its frames. HTTP today; a WebSocket is the
 * same frames over one connection. A transport neither retries nor interprets: one request, one answer or one error.
 */
import type { Request } from "../../src/wire/request.ts";
import type { FollowRequest, FollowResponse } from "../../src/wire/follow-frames.ts";
import type { ErrorResponse, RecordsResponse, Response } from "../../src/wire/response.ts";
import type { EndResponse, GapResponse, SubscribedResponse, SubscribeRequest } from "../../src/wire/socket-frames.ts";
import type { CallSignal } from "../call-signal.ts";
import type { TidemarkError } from "../error.ts";

/** In the server's order; `end` and `error` are the last one. */
export type SubscriptionEvent = SubscribedResponse | RecordsResponse | GapResponse | EndResponse | ErrorResponse;

/** The same for many streams; `follow-end` and `error` are the last one. */
export type FollowEvent = FollowResponse | ErrorResponse;

export type SubscriptionEvents<Event = SubscriptionEvent> = {
  readonly onEvent: (event: Event) => void;
  /** The connection was lost, or never came about; nothing follows. May be called before `subscribe` returns. */
  readonly onError: (error: TidemarkError) => void;
};

export type SubscriptionHandle = {
  /** Lets the server send this many more bytes. */
  readonly grant: (bytes: number) => void;
  /** No event is of interest any more. */
  readonly close: () => void;
};

export interface Transport {
  /**
   * Sends one request and resolves to its answer, an error answer included. Commands reach the server in the order of
   * the calls, and any number may be under way; reads overtake freely.
   *
   * Rejects with a `TidemarkError`, at the latest some seconds after an answer was due: its outcome is `not-applied` if
   * the request surely never left, else `unknown`. When `signal` fires it rejects at once, with the signal's code.
   */
  request(request: Request, signal: CallSignal): Promise<Response>;
  /**
   * Follows a stream: the server sends by itself, as far as the credit goes. Only where the connection lasts; without it,
   * readers ask again and again. A subscription is not begun again by itself after its connection was lost.
   */
  subscribe?(request: SubscribeRequest, events: SubscriptionEvents): SubscriptionHandle;
  /** Follows many streams as one, in log order: as `subscribe`, and only where that is. */
  follow?(request: FollowRequest, events: SubscriptionEvents<FollowEvent>): SubscriptionHandle;
  /** Ends everything under way. */
  close(): Promise<void>;
}
