/**
 * Reads by subscription: answers one reader's queries, each beginning where the one before ended, from what the server
 * sends by itself. Credit is granted as answers are taken, so the server is never further ahead than the reader's
 * bound. Whenever the place that is asked for is not the next one, or the subscription is over, it begins a new one.
 */
import type { Offset } from "../../src/record/offset.ts";
import type { RecordsResponse } from "../../src/wire/response.ts";
import type { SubscribedResponse } from "../../src/wire/socket-frames.ts";
import type { CallSignal } from "../call-signal.ts";
import { asTidemarkError, TidemarkError } from "../error.ts";
import type { ReadAnswer, ReadQuery } from "./read-answer.ts";
import type { SubscriptionEvent, SubscriptionHandle, Transport } from "../transport/transport.ts";

type Facts = Pick<ReadAnswer, "incarnation" | "contentType" | "firstOffset" | "tail" | "closed">;

type Running = {
  /** Bounded by the credit; and by `end`, which is the last. */
  readonly events: SubscriptionEvent[];
  handle: SubscriptionHandle | undefined;
  failure: TidemarkError | undefined;
  facts: Facts | undefined;
  /** Where the next answer begins, once that is known. */
  next: Offset | undefined;
  /** Bytes that were taken and not granted anew. */
  taken: number;
  /** Stops listening for the reading's end. */
  release: () => void;
};

type ToError = (
  event: Extract<SubscriptionEvent, { readonly kind: "error" }>,
  from: Offset | undefined,
) => TidemarkError;

/** Credit is granted anew when so much of it is used: not with each small batch at the tail. */
const GRANT_SHARE = 4;

export class SubscriptionReader {
  readonly #subscribe: NonNullable<Transport["subscribe"]>;
  readonly #toError: ToError;
  #running: Running | undefined;
  #onChange: (() => void) | undefined;

  constructor(subscribe: NonNullable<Transport["subscribe"]>, toError: ToError) {
    this.#subscribe = subscribe;
    this.#toError = toError;
  }

  /**
   * One answer, as soon as there is something to tell. When the signal fires, it is no longer waited for; when the reading
   * is `over`, the subscription ends, also between two answers.
   */
  async read(query: ReadQuery, signal: CallSignal, over: CallSignal): Promise<ReadAnswer> {
    const credit = Math.max(1, Math.ceil(query.maxBytes / 2));
    const running = this.#continued(query) ?? this.#begin(query, credit, over);
    const onAbort = (): void => this.#onChange?.();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await this.#answer(running, query, credit, signal);
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      // After a gap the same subscription goes on.
      if (error.code !== "offset-trimmed" || error.gap === undefined) this.#stop(running);
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #continued(query: ReadQuery): Running | undefined {
    const running = this.#running;
    if (running === undefined) return undefined;
    if (query.from === "offset" && running.next === query.offset) return running;
    this.#stop(running);
    return undefined;
  }

  #begin(query: ReadQuery, credit: number, over: CallSignal): Running {
    if (over.aborted) throw asTidemarkError(over.reason);
    const { stream, incarnation, from, offset } = query;
    const wake = (): void => this.#onChange?.();
    const onOver = (): void => this.#stop(running);
    const running: Running = {
      events: [],
      handle: undefined,
      failure: undefined,
      facts: undefined,
      next: undefined,
      taken: 0,
      release: () => over.removeEventListener("abort", onOver),
    };
    this.#running = running;
    over.addEventListener("abort", onOver, { once: true });
    running.handle = this.#subscribe(
      { kind: "subscribe", stream, from, offset, credit, ...(incarnation !== undefined && { incarnation }) },
      {
        onEvent: (event) => {
          running.events.push(event);
          wake();
        },
        onError: (error) => {
          running.failure = error;
          wake();
        },
      },
    );
    return running;
  }

  async #answer(running: Running, query: ReadQuery, credit: number, signal: CallSignal): Promise<ReadAnswer> {
    if (running.taken * GRANT_SHARE >= credit) {
      running.handle?.grant(running.taken);
      running.taken = 0;
    }
    for (;;) {
      if (signal.aborted) throw asTidemarkError(signal.reason);
      const event = running.events.shift();
      if (event !== undefined) {
        const answer = this.#take(running, event, query);
        if (answer !== undefined) return answer;
      } else if (running.failure === undefined) {
        await new Promise<void>((resolve) => {
          this.#onChange = resolve;
        });
      } else {
        throw running.failure;
      }
    }
  }

  /** Undefined where more is there to be told with it. */
  #take(running: Running, event: SubscriptionEvent, query: ReadQuery): ReadAnswer | undefined {
    switch (event.kind) {
      case "subscribed": {
        running.facts = event;
        running.next = event.offset;
        return running.events.length > 0 ? undefined : emptyAnswer(event, event.offset, event.offset >= event.tail);
      }
      case "records": {
        running.facts = event;
        const answer = withFollowing(event, running.events, query.maxBytes);
        for (const batch of answer.batches) running.taken += batch.bytes.length;
        running.next = answer.nextOffset;
        return answer;
      }
      case "gap": {
        running.next = event.to;
        const message = `records from offset ${event.from} up to ${event.to} are no longer kept`;
        throw new TidemarkError("offset-trimmed", message, { gap: { from: event.from, to: event.to } });
      }
      case "end": {
        if (event.reason !== "closed" || running.facts === undefined)
          throw new TidemarkError("connection-lost", `the server ended the subscription: ${event.reason}`);
        this.#stop(running);
        return emptyAnswer({ ...running.facts, tail: event.nextOffset, closed: true }, event.nextOffset, true);
      }
      case "error":
        throw this.#toError(event, query.from === "offset" ? query.offset : undefined);
    }
  }

  #stop(running: Running): void {
    running.handle?.close();
    running.release();
    if (this.#running === running) this.#running = undefined;
  }
}

function emptyAnswer(facts: Facts | SubscribedResponse, nextOffset: Offset, upToDate: boolean): ReadAnswer {
  const { incarnation, contentType, firstOffset, tail, closed } = facts;
  return { incarnation, contentType, firstOffset, tail, closed, nextOffset, upToDate, batches: [] };
}

/** Joins what has come meanwhile, as far as one answer goes: at the tail, batches are small and many. */
function withFollowing(first: RecordsResponse, events: SubscriptionEvent[], bytesMax: number): RecordsResponse {
  if (events[0]?.kind !== "records") return first;
  const batches = [...first.batches];
  let last = first;
  let bytes = sizeOf(first);
  for (let next = events[0]; next?.kind === "records" && bytes + sizeOf(next) <= bytesMax; next = events[0]) {
    batches.push(...next.batches);
    bytes += sizeOf(next);
    last = next;
    events.shift();
  }
  return { ...last, batches };
}

function sizeOf({ batches }: RecordsResponse): number {
  let bytes = 0;
  for (const batch of batches) bytes += batch.bytes.length;
  return bytes;
}
