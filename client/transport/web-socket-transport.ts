/**
 * Frames over one WebSocket: everything is pipelined, and streams are subscribed to rather than asked for again and again.
 * The connection is opened when something is asked, and again after it was lost, to the next node where there are several,
 * with growing pauses while none can be reached.
 * Whatever was under way on a lost one fails; those who asked know what to repeat.
 */
import type { Timer } from "../../src/ports/clock.ts";
import type { FollowRequest } from "../../src/wire/follow-frames.ts";
import type { Frame } from "../../src/wire/frame.ts";
import type { Request } from "../../src/wire/request.ts";
import { decodeResponse, type Response } from "../../src/wire/response.ts";
import {
  decodeSocketResponse,
  encodeSocketRequest,
  isSocketResponse,
  type SocketResponse,
  type SubscribeRequest,
} from "../../src/wire/socket-frames.ts";
import { Backoff } from "../backoff.ts";
import { boundedParts, type FrameParts } from "./bounded-frame.ts";
import type { CallSignal } from "../call-signal.ts";
import type { Diagnostics } from "../diagnostics.ts";
import type { Environment } from "../environment.ts";
import { asTidemarkError, TidemarkError, withOutcome } from "../error.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import type { FollowEvent, SubscriptionEvent, SubscriptionEvents, SubscriptionHandle, Transport } from "./transport.ts";
import { openLink, type WebSocketLink, type WebSocketOptions } from "./web-socket-link.ts";

/** One request under way: it is answered, or it fails. */
type Pending = {
  readonly requestId: number;
  readonly frame: FrameParts;
  readonly isQuery: boolean;
  readonly dueAtMs: number;
  sent: boolean;
  readonly signal: CallSignal;
  readonly onAbort: () => void;
  readonly resolve: (response: Response) => void;
  readonly reject: (error: TidemarkError) => void;
};

/** One subscription, or one follow of many streams. */
type Following = {
  readonly frame: FrameParts;
  sent: boolean;
  /** False if it is no event of this. */
  readonly deliver: (event: Answer) => boolean;
  readonly onError: (error: TidemarkError) => void;
};

type Answer = Response | SocketResponse;

/** The greatest number is the link's own: of what nobody asked. */
const LINK_REQUEST_ID = 0xffff_ffff;
const REQUEST_ID_RANGE = 2 ** 32 - 1;

export class WebSocketTransport implements Transport {
  readonly #options: WebSocketOptions;
  readonly #backoff: Backoff;
  readonly #diagnostics: Diagnostics;
  readonly #closing = new AbortController();
  #link: WebSocketLink | undefined;
  /** Of the link, or of the last attempt at one. */
  #url: URL | undefined;
  #opening = false;
  #openings = 0;
  #nextRequestId = 0;
  /** In the order of the calls; what is not sent waits for the connection. */
  readonly #pending = new Map<number, Pending>();
  readonly #following = new Map<number, Following>();
  #pendingBytes = 0;
  #queries = 0;
  #overdueCheck: Timer | undefined;

  constructor(options: WebSocketOptions, environment: Environment, diagnostics: Diagnostics) {
    this.#options = options;
    this.#diagnostics = diagnostics;
    this.#backoff = new Backoff(environment.entropy);
  }

  request(request: Request, signal: CallSignal): Promise<Response> {
    if (this.#closing.signal.aborted) return Promise.reject(new TidemarkError("client-closed"));
    if (signal.aborted) return Promise.reject(asTidemarkError(signal.reason));
    const requestId = this.#takeId();
    const frame = boundedParts(request, requestId);
    const isQuery = request.kind !== "command";
    if (!this.#hasRoom(frame.length, isQuery))
      return Promise.reject(new TidemarkError("overloaded", "too much waits for the connection"));
    const waitMs = CLIENT_LIMITS.attemptTimeoutMs + ("waitMs" in request ? request.waitMs : 0);
    return new Promise((resolve, reject) => {
      const dueAtMs = this.#options.clock.monotonic() + waitMs;
      const onAbort = (): void => this.#fail(pending, asTidemarkError(signal.reason));
      const pending: Pending = { requestId, frame, isQuery, dueAtMs, sent: false, signal, onAbort, resolve, reject };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#pending.set(requestId, pending);
      this.#pendingBytes += frame.length;
      if (isQuery) this.#queries += 1;
      if (this.#link === undefined) void this.#open();
      else this.#send(this.#link, pending);
      this.#overdueCheck ??= this.#planOverdueCheck();
    });
  }

  subscribe(request: SubscribeRequest, { onEvent, onError }: SubscriptionEvents): SubscriptionHandle {
    const deliver = (event: Answer): boolean => {
      const expected = isSubscriptionEvent(event);
      if (expected) onEvent(event);
      return expected;
    };
    return this.#begin(request, deliver, onError);
  }

  follow(request: FollowRequest, { onEvent, onError }: SubscriptionEvents<FollowEvent>): SubscriptionHandle {
    const deliver = (event: Answer): boolean => {
      const expected = isFollowEvent(event);
      if (expected) onEvent(event);
      return expected;
    };
    return this.#begin(request, deliver, onError);
  }

  #begin(
    request: SubscribeRequest | FollowRequest,
    deliver: Following["deliver"],
    onError: Following["onError"],
  ): SubscriptionHandle {
    const requestId = this.#takeId();
    const frame = asParts(encodeSocketRequest(request, requestId));
    const following: Following = { frame, sent: false, deliver, onError };
    if (this.#closing.signal.aborted) {
      onError(new TidemarkError("client-closed"));
    } else {
      this.#following.set(requestId, following);
      if (this.#link === undefined) void this.#open();
      else this.#send(this.#link, following);
    }
    return {
      grant: (bytes) => {
        if (this.#following.get(requestId) === following && following.sent)
          this.#link?.send(asParts(encodeSocketRequest({ kind: "credit", bytes }, requestId)));
      },
      close: () => {
        if (this.#following.get(requestId) !== following) return;
        this.#following.delete(requestId);
        if (following.sent) this.#link?.send(asParts(encodeSocketRequest({ kind: "unsubscribe" }, requestId)));
      },
    };
  }

  close(): Promise<void> {
    const error = new TidemarkError("client-closed");
    this.#closing.abort(error);
    this.#link?.close(error);
    this.#failAll(error);
    this.#overdueCheck?.cancel();
    return Promise.resolve();
  }

  #takeId(): number {
    let requestId = this.#nextRequestId;
    // A subscription may live for longer than the numbers last.
    while (this.#following.has(requestId) || this.#pending.has(requestId))
      requestId = (requestId + 1) % REQUEST_ID_RANGE;
    this.#nextRequestId = (requestId + 1) % REQUEST_ID_RANGE;
    return requestId;
  }

  #hasRoom(bytes: number, isQuery: boolean): boolean {
    if (isQuery) return this.#queries < CLIENT_LIMITS.readsInFlightMax;
    if (this.#pending.size >= CLIENT_LIMITS.queuedCommandsMax) return false;
    return this.#pending.size === 0 || this.#pendingBytes + bytes <= CLIENT_LIMITS.queuedBytesMax;
  }

  #send(link: WebSocketLink, outgoing: Pending | Following): void {
    outgoing.sent = true;
    link.send(outgoing.frame);
  }

  /** One at a time; what waits is sent in its order, or fails as having never left. */
  async #open(): Promise<void> {
    if (this.#opening) return;
    this.#opening = true;
    this.#openings += 1;
    try {
      const link =
        this.#openings > 1 && this.#diagnostics.hears("reconnect")
          ? await this.#diagnostics.trace("reconnect", { "tidemark.openings": this.#openings }, () => this.#newLink())
          : await this.#newLink();
      this.#backoff.reset();
      this.#link = link;
      link.send(asParts(this.#sessionFrame()));
      for (const outgoing of [...this.#following.values(), ...this.#pending.values()]) this.#send(link, outgoing);
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      this.#failAll(error);
      // Whoever comes back before the pause is over waits for its end.
      await this.#pause(this.#backoff.next(error.retryAfterMs));
    }
    this.#opening = false;
    const unsent = this.#link === undefined && (this.#pending.size > 0 || this.#following.size > 0);
    if (unsent && !this.#closing.signal.aborted) void this.#open();
  }

  /** Before all else on a new connection: which session goes on here, perhaps at another node. */
  #sessionFrame(): Uint8Array {
    const { consistency, token = "" } = this.#options.session;
    return encodeSocketRequest({ kind: "session", consistency, token }, LINK_REQUEST_ID);
  }

  #newLink(): Promise<WebSocketLink> {
    const events = {
      onFrame: (frame: Frame) => this.#onFrame(frame),
      onEnd: (error: TidemarkError) => this.#onEnd(error),
    };
    const { signal } = this.#closing;
    return this.#options.addresses.tryEach((url) => {
      this.#url = url;
      return openLink(url, this.#options, events, signal);
    }, signal);
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closing.signal.aborted) {
        resolve();
        return;
      }
      const finish = (): void => {
        timer.cancel();
        this.#closing.signal.removeEventListener("abort", finish);
        resolve();
      };
      const timer = this.#options.clock.schedule(delayMs, finish);
      this.#closing.signal.addEventListener("abort", finish, { once: true });
    });
  }

  #onFrame(frame: Frame): void {
    const { session } = this.#options;
    const following = this.#following.get(frame.requestId);
    if (isSocketResponse(frame)) {
      const event = decodeSocketResponse(frame);
      if (!event.ok) {
        this.#give(`the server's frame cannot be understood: ${event.error.message}`);
        return;
      }
      if (event.value.kind === "session") session.note(event.value.token);
      else session.advance(event.value.position);
      if (following !== undefined) this.#onEvent(frame.requestId, following, event.value);
      return;
    }
    // What nobody waits for any more was given up.
    const pending = this.#pending.get(frame.requestId);
    if (following === undefined && pending === undefined) return;
    const response = decodeResponse(frame);
    if (!response.ok) this.#give(`the server's frame cannot be understood: ${response.error.message}`);
    else {
      session.advance(response.value.position);
      if (pending !== undefined) this.#answer(pending, response.value);
      else if (following !== undefined) this.#onEvent(frame.requestId, following, response.value);
    }
  }

  #onEvent(requestId: number, following: Following, event: Answer): void {
    // Before it is told: whoever hears of the end may begin anew.
    if (event.kind === "end" || event.kind === "follow-end" || event.kind === "error")
      this.#following.delete(requestId);
    if (!following.deliver(event)) this.#give(`a subscription was answered with "${event.kind}"`);
  }

  /** The connection is of no more use. */
  #give(message: string): void {
    this.#link?.close(new TidemarkError("protocol-error", message));
  }

  #onEnd(error: TidemarkError): void {
    this.#link = undefined;
    if (this.#url !== undefined) this.#options.addresses.leave(this.#url);
    this.#failAll(error);
  }

  #failAll(error: TidemarkError): void {
    const following = [...this.#following.values()];
    this.#following.clear();
    for (const pending of [...this.#pending.values()]) this.#fail(pending, error);
    for (const { onError } of following) onError(error);
  }

  #answer(pending: Pending, response: Response): void {
    this.#forget(pending);
    pending.resolve(response);
  }

  #fail(pending: Pending, error: TidemarkError): void {
    this.#forget(pending);
    pending.reject(withOutcome(error, pending.sent ? "unknown" : "not-applied"));
  }

  #forget(pending: Pending): void {
    pending.signal.removeEventListener("abort", pending.onAbort);
    if (!this.#pending.delete(pending.requestId)) return;
    this.#pendingBytes -= pending.frame.length;
    if (pending.isQuery) this.#queries -= 1;
  }

  /** An answer that does not come in time, on a connection that is alive, fails alone. */
  #planOverdueCheck(): Timer {
    return this.#options.clock.schedule(CLIENT_LIMITS.attemptTimeoutMs / 4, () => {
      const nowMs = this.#options.clock.monotonic();
      for (const pending of [...this.#pending.values()]) {
        if (pending.dueAtMs > nowMs) continue;
        this.#fail(pending, new TidemarkError("connection-lost", "the server did not answer in time"));
      }
      this.#overdueCheck = this.#pending.size > 0 ? this.#planOverdueCheck() : undefined;
    });
  }
}

const SUBSCRIPTION_EVENTS: ReadonlySet<string> = new Set<SubscriptionEvent["kind"]>([
  "subscribed",
  "records",
  "gap",
  "end",
  "error",
]);
const FOLLOW_EVENTS: ReadonlySet<string> = new Set<FollowEvent["kind"]>([
  "following",
  "follow-records",
  "stream-event",
  "follow-end",
  "error",
]);

function isSubscriptionEvent(event: Answer): event is SubscriptionEvent {
  return SUBSCRIPTION_EVENTS.has(event.kind);
}

function isFollowEvent(event: Answer): event is FollowEvent {
  return FOLLOW_EVENTS.has(event.kind);
}

function asParts(frame: Uint8Array): FrameParts {
  return { parts: [frame], length: frame.length };
}
