/**
 * One subscription: sends a stream from a place on, what is there and then what comes, each record once and in order
 * (I7). It sends only while its reader has granted credit and the connection has room; otherwise it waits, holding
 * nothing but its place.
 */
import { assert } from "../../src/lib/assert.ts";
import type { Offset } from "../../src/record/offset.ts";
import type { EndReason } from "../../src/wire/end-reason.ts";
import type { ErrorResponse, RecordsResponse } from "../../src/wire/response.ts";
import type { StreamFacts } from "../../src/wire/stream-facts.ts";
import type { EndResponse, GapResponse, SubscribedResponse, SubscribeRequest } from "../../src/wire/socket-frames.ts";
import type { StreamView } from "../streams/views.ts";
import { Credit } from "./credit.ts";
import type { Outbox } from "./outbox.ts";
import type { WsContext } from "./ports.ts";
import type { Running } from "./running.ts";
import { refusal } from "./ws-error.ts";

/** `end` and `error` are the last one. */
export type SubscriptionEvent = SubscribedResponse | RecordsResponse | GapResponse | EndResponse | ErrorResponse;

export class Subscription implements Running {
  readonly #context: WsContext;
  readonly #outbox: Outbox;
  readonly #request: SubscribeRequest;
  readonly #send: (event: SubscriptionEvent) => void;
  readonly #over = new AbortController();
  readonly #credit: Credit;
  /** Everything before it was sent; known once it has begun. */
  #next: Offset | undefined;

  /** `send` takes its events, in order; nothing comes after `end` or `error`. */
  constructor(context: WsContext, outbox: Outbox, request: SubscribeRequest, send: (event: SubscriptionEvent) => void) {
    this.#context = context;
    this.#outbox = outbox;
    this.#request = request;
    this.#send = send;
    this.#credit = new Credit(request.credit, context.limits.creditBytesMax);
  }

  grant(bytes: number): void {
    this.#credit.grant(bytes);
  }

  /** Ends it with an `end` event that tells where to go on. */
  end(reason: EndReason): void {
    if (this.#over.signal.aborted) return;
    const { position } = this.#context.node;
    this.#finish(
      this.#next === undefined
        ? refusal(position, "unavailable", "the subscription ended before it began")
        : { kind: "end", position, reason, nextOffset: this.#next },
    );
  }

  /** Ends it without a word: nobody is there to hear it. */
  cancel(): void {
    this.#over.abort();
    this.#credit.wake();
  }

  /** Resolves when it is over; never rejects. */
  async run(): Promise<void> {
    try {
      const stream = await this.#begin();
      if (stream !== undefined) await this.#follow(stream);
    } catch (error) {
      if (!this.#over.signal.aborted) this.#finish(this.#context.requests.failure(error));
    }
  }

  async #begin(): Promise<StreamView | undefined> {
    const { node, requests } = this.#context;
    const { stream: name, incarnation } = this.#request;
    const stream = await requests.find(name);
    if (this.#over.signal.aborted) return undefined;
    node.touch(name);
    if (incarnation !== undefined && incarnation !== stream.incarnation) {
      this.#refuse("stream-gone", "the stream that was read is deleted; another has its name now");
      return undefined;
    }
    const offset = this.#startIn(stream);
    if (offset > stream.nextOffset) {
      if (!node.tailKnown) throw node.tailUnknown();
      this.#refuse("malformed-offset", "the offset is after the stream's end");
      return undefined;
    }
    this.#next = offset;
    this.#send({ kind: "subscribed", position: node.position, ...factsOf(stream), offset });
    return stream;
  }

  #startIn(stream: StreamView): Offset {
    switch (this.#request.from) {
      case "start":
        return stream.firstOffset;
      case "now":
        return stream.nextOffset;
      case "offset":
        return this.#request.offset;
    }
  }

  async #follow(known: StreamView): Promise<void> {
    const { node, requests } = this.#context;
    const { signal } = this.#over;
    let next = this.#next as Offset;
    while (!signal.aborted) {
      const stream = requests.refresh(known);
      if (next < stream.firstOffset) {
        this.#send({ kind: "gap", position: node.position, from: next, to: stream.firstOffset });
        next = this.#next = stream.firstOffset;
      } else if (next >= stream.nextOffset) {
        // Where damage hides what the log says, this may not be the stream's end.
        if (!node.tailKnown) throw node.tailUnknown();
        if (stream.closed) this.end("closed");
        else await requests.changed(stream, signal);
      } else if (this.#credit.bytes <= 0) {
        await this.#credit.granted();
      } else if (!this.#outbox.hasRoom) {
        await this.#outbox.room();
      } else {
        next = await this.#sendChunk(stream, next);
      }
    }
  }

  /** Sends what is there from `from` on, as far as one message goes; returns where it ends. */
  async #sendChunk(known: StreamView, from: Offset): Promise<Offset> {
    const { node, requests, limits, observer } = this.#context;
    const maxBytes = Math.min(this.#credit.bytes, limits.chunkBytesMax);
    const read = await node.read(known, from, { maxBytes });
    if (this.#over.signal.aborted) return from;
    const stream = requests.refresh(known);
    if (!read.ok) {
      // What was trimmed meanwhile is told as a gap in the next round.
      if (read.error.code === "offset-trimmed" && stream.firstOffset > from) return from;
      this.#refuse(read.error.code, read.error.message);
      return from;
    }
    const { batches, nextOffset } = read.value;
    assert(nextOffset > from, "I7: what lies before a stream's tail can be read");
    let bytes = 0;
    for (const batch of batches) bytes += batch.bytes.length;
    this.#credit.use(bytes);
    this.#next = nextOffset;
    observer.read(nextOffset - from, bytes);
    if (stream.expiry.kind === "sliding") node.touch(stream.name);
    this.#send({
      kind: "records",
      position: node.position,
      ...factsOf(stream),
      nextOffset,
      upToDate: nextOffset >= stream.nextOffset && node.tailKnown,
      batches,
    });
    return nextOffset;
  }

  #refuse(code: ErrorResponse["code"], message: string): void {
    this.#finish(refusal(this.#context.node.position, code, message));
  }

  #finish(last: EndResponse | ErrorResponse): void {
    this.cancel();
    this.#send(last);
  }
}

export function factsOf(stream: StreamView): StreamFacts {
  const { incarnation, contentType, firstOffset, nextOffset, closed } = stream;
  return { incarnation, contentType, firstOffset, tail: nextOffset, closed };
}
