/**
 * One follow of many streams: sends them as one, in log order, from where each begins, what is there and then what
 * comes, with marks (I7, I11). What comes next is the merge's business; here is when: while its reader has granted credit and the
 * connection has room.
 */
import { LOG_START, type LogPlace } from "../../src/record/log-place.ts";
import type { EndReason } from "../../src/wire/end-reason.ts";
import type { FollowRequest, FollowResponse } from "../../src/wire/follow-frames.ts";
import type { ErrorResponse } from "../../src/wire/response.ts";
import type { Follower } from "../node/reading/followers.ts";
import { NodeError } from "../node/node-error.ts";
import type { Merge, MergeEvent } from "../node/reading/merge.ts";
import { Credit } from "./credit.ts";
import { beginFollow, type BegunStream, tellBeginning } from "./follow-beginning.ts";
import type { Outbox } from "./outbox.ts";
import type { WsContext } from "./ports.ts";
import type { Running } from "./running.ts";
import { refusal } from "./ws-error.ts";

/** `follow-end` and `error` are the last one. */
export type FollowEvent = FollowResponse | ErrorResponse;

type Begun = { readonly streams: readonly BegunStream[]; readonly merge: Merge; readonly follower: Follower };

export class MergedSubscription implements Running {
  readonly #context: WsContext;
  readonly #outbox: Outbox;
  readonly #request: FollowRequest;
  readonly #send: (event: FollowEvent) => void;
  readonly #over = new AbortController();
  readonly #credit: Credit;
  readonly #markEveryMs: number;
  #follower: Follower | undefined;
  /** Everything before it was sent; known once it has begun. */
  #next: LogPlace | undefined;
  #markedAtMs = 0;

  /** `send` takes its events, in order; nothing comes after `follow-end` or `error`. */
  constructor(context: WsContext, outbox: Outbox, request: FollowRequest, send: (event: FollowEvent) => void) {
    const { creditBytesMax, markEveryMsMin } = context.limits;
    this.#context = context;
    this.#outbox = outbox;
    this.#request = request;
    this.#send = send;
    this.#credit = new Credit(request.credit, creditBytesMax);
    this.#markEveryMs = request.markEveryMs === 0 ? 0 : Math.max(request.markEveryMs, markEveryMsMin);
  }

  grant(bytes: number): void {
    this.#credit.grant(bytes);
  }

  end(reason: EndReason): void {
    if (this.#over.signal.aborted) return;
    const { position } = this.#context.node;
    this.#finish(
      this.#next === undefined
        ? refusal(position, "unavailable", "the follow ended before it began")
        : { kind: "follow-end", position, reason, next: this.#next },
    );
  }

  cancel(): void {
    this.#over.abort();
    this.#credit.wake();
    this.#follower?.wake();
  }

  async run(): Promise<void> {
    try {
      const begun = await this.#begin();
      if (begun !== undefined) await this.#goOn(begun);
    } catch (error) {
      if (!this.#over.signal.aborted) this.#finish(this.#context.requests.failure(error));
    } finally {
      this.#follower?.close();
    }
  }

  /** Undefined if it was ended meanwhile. */
  async #begin(): Promise<Begun | undefined> {
    const { node } = this.#context;
    const { signal } = this.#over;
    const streams = await beginFollow(this.#context, this.#request, signal);
    if (signal.aborted) return undefined;
    const follower = node.follow(streams.map(({ view }) => view.id));
    this.#follower = follower;
    const from = this.#request.notBefore ?? LOG_START;
    const merge = node.merge(
      streams.map(({ place, view, offset }) => ({ stream: place, id: view.id, offset })),
      from,
    );
    this.#next = from;
    for (const event of tellBeginning(node.position, this.#request, streams)) this.#send(event);
    return { streams, merge, follower };
  }

  async #goOn({ streams, merge, follower }: Begun): Promise<void> {
    const { node } = this.#context;
    const { signal } = this.#over;
    const refreshing = this.#keepAlive(streams);
    const ids = new Map(streams.map(({ place, view }) => [place, view.id]));
    try {
      merge.begin(ids.values());
      while (!signal.aborted) {
        if (merge.inRound) {
          if (this.#credit.bytes <= 0) await this.#holding(merge, this.#credit.granted());
          else if (!this.#outbox.hasRoom) await this.#holding(merge, this.#outbox.room());
          else await this.#sendStep(merge, ids);
        } else if (merge.over) {
          this.end("closed");
        } else if (follower.hasChanges) {
          merge.begin(follower.take());
        } else if (!node.tailKnown) {
          throw node.tailUnknown();
        } else if (this.#markIsDue()) {
          merge.begin([]);
        } else {
          await this.#changed(follower);
        }
      }
    } finally {
      refreshing.cancel();
      merge.release();
    }
  }

  async #sendStep(merge: Merge, ids: ReadonlyMap<number, number>): Promise<void> {
    const { limits, clock } = this.#context;
    const step = await merge.step(Math.min(this.#credit.bytes, limits.chunkBytesMax));
    if (this.#over.signal.aborted) return;
    if (!step.ok) throw new NodeError(step.error.code, step.error.message);
    for (const event of step.value) this.#tell(event, ids);
    this.#markedAtMs = clock.monotonic();
  }

  #tell(event: MergeEvent, ids: ReadonlyMap<number, number>): void {
    const { node, observer } = this.#context;
    const { position } = node;
    if (event.kind === "stream") {
      this.#send({ kind: "stream-event", position, stream: event.stream, event: event.event });
      const id = ids.get(event.stream);
      if (event.event.kind !== "gap" && id !== undefined) this.#follower?.leave(id);
      return;
    }
    const { batches, next, logTime } = event;
    let bytes = 0;
    let records = 0;
    for (const batch of batches) {
      bytes += batch.bytes.length;
      records += batch.span;
    }
    this.#credit.use(bytes);
    this.#next = next;
    if (records > 0) observer.read(records, bytes);
    this.#send({ kind: "follow-records", position, next, logTime, batches });
  }

  /** While it waits for its reader, for long, it holds nothing but its places. */
  async #holding(merge: Merge, wait: Promise<void>): Promise<void> {
    const timer = this.#context.clock.schedule(this.#context.limits.releaseAfterMs, () => merge.release());
    try {
      await wait;
    } finally {
      timer.cancel();
    }
  }

  /** The log went on without these streams, and its reader wants to know of it by now. */
  #markIsDue(): boolean {
    return this.#hasUnmarked() && this.#markedAtMs + this.#markEveryMs <= this.#context.clock.monotonic();
  }

  #hasUnmarked(): boolean {
    return this.#markEveryMs > 0 && this.#context.node.position >= (this.#next as LogPlace).position;
  }

  /** Until a stream changes, or a mark is due. */
  async #changed(follower: Follower): Promise<void> {
    const { clock } = this.#context;
    if (!this.#hasUnmarked()) return follower.wait(this.#markEveryMs > 0);
    const waitMs = this.#markedAtMs + this.#markEveryMs - clock.monotonic();
    const timer = clock.schedule(Math.max(1, waitMs), () => follower.wake());
    await follower.wait(false);
    timer.cancel();
  }

  /** A stream with a sliding time to live does not expire while someone follows it. */
  #keepAlive(streams: readonly BegunStream[]): { cancel(): void } {
    const { node, clock, limits } = this.#context;
    const names: string[] = [];
    let everyMs = limits.keepAliveMsMax;
    for (const { view } of streams) {
      const { name, expiry } = view;
      if (expiry.kind !== "sliding") continue;
      names.push(name);
      everyMs = Math.min(everyMs, Math.max(1, Math.floor((expiry.ttlSeconds * 1_000) / 2)));
    }
    if (names.length === 0) return { cancel: () => undefined };
    const touch = (): void => {
      for (const name of names) node.touch(name);
    };
    touch();
    let timer = clock.schedule(everyMs, function refresh() {
      touch();
      timer = clock.schedule(everyMs, refresh);
    });
    return { cancel: () => timer.cancel() };
  }

  #finish(last: FollowEvent): void {
    this.cancel();
    this.#send(last);
  }
}
