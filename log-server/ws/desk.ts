/**
 * What one connection has asked for and not been answered: commands, reads, subscriptions; each kind bounded. Both modes,
 * frames and text, bring their requests here, so that they share bounds, order and shutdown.
 */
import type { Command } from "../../src/wire/command.ts";
import type { Consistency } from "../../src/wire/consistency.ts";
import type { QueryRequest } from "../../src/wire/request.ts";
import type { FollowRequest } from "../../src/wire/follow-frames.ts";
import type { EndReason } from "../../src/wire/end-reason.ts";
import type { SessionRequest, SessionResponse, SubscribeRequest } from "../../src/wire/socket-frames.ts";
import type { ErrorResponse, Response } from "../../src/wire/response.ts";
import { AnswerLine } from "./answer-line.ts";
import { type FollowEvent, MergedSubscription } from "./merged-subscription.ts";
import type { Outbox } from "./outbox.ts";
import type { Lane, Wait, WsContext } from "./ports.ts";
import type { Running } from "./running.ts";
import { Subscription, type SubscriptionEvent } from "./subscription.ts";
import { refusal } from "./ws-error.ts";

export class Desk {
  readonly context: WsContext;
  readonly outbox: Outbox;
  readonly #lane: Lane;
  readonly #line: AnswerLine;
  readonly #onEased: () => void;
  readonly #closing = new AbortController();
  /** Subscriptions and follows. */
  readonly #subscriptions = new Map<number | string, Running>();
  /** What was asked for as the connection's last word on it (W164). */
  #level: Consistency = "linearizable";
  /** What the connection's client has seen. */
  #token = "";
  /** Everything waits until the session's position is reached; it rejects where that cannot be had here. */
  #reached: Promise<void> | undefined;
  /** It could not be had. */
  #behind = false;
  #follows = 0;
  #held = 0;
  #heldBytes = 0;
  #queries = 0;
  #onIdle: (() => void) | undefined;

  /** `onEased` is called whenever something was answered. */
  constructor(context: WsContext, outbox: Outbox, onEased: () => void) {
    this.context = context;
    this.outbox = outbox;
    this.#lane = context.requests.lane();
    this.#line = new AnswerLine((bytes) => this.release(bytes));
    this.#onEased = onEased;
  }

  /** Nothing more should be taken in for now. */
  get full(): boolean {
    const { commandsUnderWayMax, commandBytesUnderWayMax } = this.context.limits;
    return this.#held >= commandsUnderWayMax || this.#heldBytes >= commandBytesUnderWayMax || !this.outbox.hasRoom;
  }

  get idle(): boolean {
    return this.#held === 0 && this.#queries === 0;
  }

  /** Counts a request that waits for its turn. */
  hold(bytes: number): void {
    this.#held += 1;
    this.#heldBytes += bytes;
  }

  release(bytes: number): void {
    this.#held -= 1;
    this.#heldBytes -= bytes;
    this.#onEased();
    if (this.idle) this.#onIdle?.();
  }

  session({ consistency, token }: SessionRequest, write: (response: SessionResponse | ErrorResponse) => void): void {
    const { node, requests } = this.context;
    this.#level = consistency;
    this.#token = token;
    this.#reach().then(
      () => write({ kind: "session", position: node.position, token: requests.session }),
      (error: unknown) => write(requests.failure(error)),
    );
  }

  /** Commands are proposed in the order of the calls, and `write` is called in that order. */
  command(command: Command, bytes: number, write: (response: Response) => void): void {
    this.hold(bytes);
    const answer = this.#session()?.then(
      () => this.#lane.submit(command),
      (error: unknown) => this.context.requests.failure(error),
    );
    this.#line.add(answer ?? this.#lane.submit(command), bytes, write);
  }

  async query(request: QueryRequest, write: (response: Response) => void): Promise<void> {
    const { node, requests, limits } = this.context;
    if (this.#queries >= limits.queriesUnderWayMax) {
      write(refusal(node.position, "overloaded", "too many reads of this connection are under way"));
      return;
    }
    const bounded: QueryRequest =
      request.kind !== "read"
        ? request
        : {
            ...request,
            maxBytes: Math.min(request.maxBytes, limits.readBytesMax),
            waitMs: Math.min(request.waitMs, limits.readWaitMsMax),
          };
    this.#queries += 1;
    try {
      const reached = this.#session();
      if (reached !== undefined) await reached;
      write(await requests.query(bounded, (milliseconds) => this.#wait(milliseconds), this.#level));
    } catch (error) {
      write(requests.failure(error));
    } finally {
      this.#queries -= 1;
      this.#onEased();
      if (this.idle) this.#onIdle?.();
    }
  }

  /** False if a subscription of this key is under way. Its events go to `send`, the last one an `end` or an `error`. */
  subscribe(key: number | string, request: SubscribeRequest, send: (event: SubscriptionEvent) => void): boolean {
    const subscription = new Subscription(this.context, this.outbox, request, (event) => {
      if (event.kind === "end" || event.kind === "error") this.#forget(key);
      send(event);
    });
    return this.#start(key, subscription, send);
  }

  /** The same for many streams in log order; the last of its events is a `follow-end` or an `error`. */
  follow(key: number | string, request: FollowRequest, send: (event: FollowEvent) => void): boolean {
    if (this.#follows >= this.context.limits.followsMax && !this.#subscriptions.has(key)) {
      send(refusal(this.context.node.position, "overloaded", "this connection follows too much"));
      return true;
    }
    const follow = new MergedSubscription(this.context, this.outbox, request, (event) => {
      if (event.kind === "follow-end" || event.kind === "error") this.#forget(key);
      send(event);
    });
    return this.#start(key, follow, send);
  }

  /** What to wait for; undefined: nothing. A node that was behind may have come up since. */
  #session(): Promise<void> | undefined {
    return this.#behind ? this.#reach() : this.#reached;
  }

  #reach(): Promise<void> {
    const reached = this.#token === "" ? Promise.resolve() : this.context.requests.reachSession(this.#token);
    this.#reached = reached;
    this.#behind = false;
    reached.then(
      () => {
        if (this.#reached === reached) this.#reached = undefined;
      },
      () => {
        if (this.#reached === reached) this.#behind = true;
      },
    );
    return reached;
  }

  #start(key: number | string, subscription: Running, send: (event: ErrorResponse) => void): boolean {
    if (this.#subscriptions.has(key)) return false;
    const { node, limits, observer } = this.context;
    if (this.#closing.signal.aborted) {
      send(refusal(node.position, "unavailable", "the connection is about to be closed"));
      return true;
    }
    if (this.#subscriptions.size >= limits.subscriptionsMax) {
      send(refusal(node.position, "overloaded", "this connection has too many subscriptions"));
      return true;
    }
    this.#subscriptions.set(key, subscription);
    if (subscription instanceof MergedSubscription) this.#follows += 1;
    observer.liveReaders(1);
    const reached = this.#session();
    if (reached === undefined) {
      void subscription.run();
      return true;
    }
    reached.then(
      () => subscription.run(),
      (error: unknown) => {
        if (this.#subscriptions.get(key) !== subscription) return;
        subscription.cancel();
        this.#forget(key);
        send(this.context.requests.failure(error));
      },
    );
    return true;
  }

  /** One that has ended meanwhile needs no credit. */
  grant(key: number | string, bytes: number): void {
    this.#subscriptions.get(key)?.grant(bytes);
  }

  /** Nothing happens if it has ended meanwhile: its end is on its way. */
  unsubscribe(key: number | string): void {
    this.#subscriptions.get(key)?.end("unsubscribed");
  }

  /** Ends all subscriptions and waits, each telling where to go on. */
  endAll(reason: EndReason): void {
    this.#closing.abort();
    for (const subscription of [...this.#subscriptions.values()]) subscription.end(reason);
  }

  /** The peer is gone: nobody hears anything more. */
  abandon(): void {
    this.#closing.abort();
    for (const [key, subscription] of [...this.#subscriptions]) {
      subscription.cancel();
      this.#forget(key);
    }
    this.outbox.close();
    this.#onIdle?.();
  }

  /** Resolves when everything asked for is answered. */
  settled(): Promise<void> {
    if (this.idle) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  #forget(key: number | string): void {
    const subscription = this.#subscriptions.get(key);
    if (subscription === undefined) return;
    this.#subscriptions.delete(key);
    if (subscription instanceof MergedSubscription) this.#follows -= 1;
    this.context.observer.liveReaders(-1);
  }

  #wait(milliseconds: number): Wait {
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    const timer = this.context.clock.schedule(milliseconds, abort);
    if (this.#closing.signal.aborted) abort();
    else this.#closing.signal.addEventListener("abort", abort, { once: true });
    return {
      signal: controller.signal,
      finish: () => {
        timer.cancel();
        this.#closing.signal.removeEventListener("abort", abort);
      },
    };
  }
}
