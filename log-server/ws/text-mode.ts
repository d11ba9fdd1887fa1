/**
 * Text messages: one JSON object in, one or more out. Made for hands, not for speed: requests of one connection are done
 * one after the other, and the server encodes the batches.
 */
import { assert, unreachable } from "../../src/lib/assert.ts";
import { checkBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import { holdsJson, type JsonRecord, recordOfJson } from "../../src/record/record-json.ts";
import type { Command } from "../../src/wire/command.ts";
import type { FollowRequest } from "../../src/wire/follow-frames.ts";
import type { ReadRequest } from "../../src/wire/request.ts";
import type { Response } from "../../src/wire/response.ts";
import type { Desk } from "./desk.ts";
import { FollowAnswers } from "./text-follow.ts";
import { type Answer, answerOf, answerText, errorAnswer, eventAnswer } from "./text-answer.ts";
import { parseTextRequest, type TextId, type TextPlace, type TextRequest } from "./text-request.ts";
import { refusal } from "./ws-error.ts";

type AppendRequest = Extract<TextRequest, { readonly kind: "append" }>;
type FollowText = Extract<TextRequest, { readonly kind: "follow" }>;
type SubscribeText = Extract<TextRequest, { readonly kind: "subscribe" }>;

export class TextMode {
  readonly #desk: Desk;
  #last: Promise<void> = Promise.resolve();
  #nextSubscription = 1;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  /** Takes in one message; what is wrong with it is answered. */
  take(message: string): void {
    const bytes = message.length;
    this.#desk.hold(bytes);
    this.#last = this.#last
      .then(() => this.#answer(message))
      .catch((error: unknown) => this.#send(errorAnswer(this.#desk.context.requests.failure(error))))
      .then(() => this.#desk.release(bytes));
  }

  async #answer(message: string): Promise<void> {
    const parsed = parseTextRequest(message);
    if (!parsed.ok) {
      this.#send(withId(parsed.error.id, errorAnswer(parsed.error)));
      return;
    }
    const { id, request } = parsed.value;
    try {
      await this.#carryOut(id, request);
    } catch (error) {
      this.#send(withId(id, errorAnswer(this.#desk.context.requests.failure(error))));
    }
  }

  #carryOut(id: TextId | undefined, request: TextRequest): Promise<void> | void {
    const { limits } = this.#desk.context;
    switch (request.kind) {
      case "create": {
        const { stream, contentType, ttlSeconds } = request;
        return this.#command(id, {
          kind: "create",
          stream,
          closed: false,
          ...(contentType !== undefined && { contentType }),
          ...(ttlSeconds !== undefined && { expiry: { kind: "sliding", ttlSeconds } }),
        });
      }
      case "append":
        return this.#append(id, request);
      case "close":
        return this.#command(id, { kind: "append", stream: request.stream, close: true });
      case "delete":
        return this.#command(id, { kind: "delete", stream: request.stream });
      case "describe":
        return this.#query(id, { kind: "describe", stream: request.stream }, 0);
      case "read": {
        const place = placeOf(request.from);
        const maxBytes = request.maxBytes ?? limits.readBytesMax;
        return this.#query(id, { kind: "read", stream: request.stream, ...place, maxBytes, waitMs: 0 }, place.offset);
      }
      case "subscribe":
        return this.#subscribe(id, request);
      case "follow":
        return this.#follow(id, request);
      case "credit":
        if (!this.#wasGiven(request.subscription)) return this.#noSubscription(id, request.subscription);
        return this.#desk.grant(textKey(request.subscription), request.bytes);
      case "unsubscribe":
        if (!this.#wasGiven(request.subscription)) return this.#noSubscription(id, request.subscription);
        return this.#desk.unsubscribe(textKey(request.subscription));
      case "ping":
        return this.#send(withId(id, { pong: this.#desk.context.node.position }));
      default:
        return unreachable(request);
    }
  }

  /** Of one that has ended its end is told (W101); of one that never was, nobody would hear anything. */
  #wasGiven(subscription: number): boolean {
    return subscription >= 1 && subscription < this.#nextSubscription;
  }

  #noSubscription(id: TextId | undefined, subscription: number): void {
    const message = `this connection has had no subscription ${subscription}`;
    this.#send(withId(id, errorAnswer(refusal(this.#desk.context.node.position, "malformed-request", message))));
  }

  async #append(id: TextId | undefined, request: AppendRequest): Promise<void> {
    const { node } = this.#desk.context;
    const { stream, records, close, expectedOffset, producer } = request;
    const contentType = node.machine.contentTypeOf(stream) ?? "";
    const batch = records.length === 0 ? undefined : batchOf(records, holdsJson(contentType));
    if (batch !== undefined && batch.length > node.limits.batchBytesMax) {
      const message = `the records make a batch of ${batch.length} bytes; ${node.limits.batchBytesMax} are allowed`;
      this.#send(withId(id, errorAnswer(refusal(node.position, "batch-too-large", message))));
      return;
    }
    await this.#command(id, {
      kind: "append",
      stream,
      close,
      ...(batch !== undefined && { batch }),
      ...(expectedOffset !== undefined && { expectedOffset }),
      ...(producer !== undefined && { producer }),
    });
  }

  #command(id: TextId | undefined, command: Extract<Command, { readonly stream: string }>): Promise<void> {
    return new Promise((resolve) => {
      this.#desk.command(command, 0, (response: Response) => {
        this.#send(withId(id, answerOf(this.#desk.context, command.stream, 0, response)));
        resolve();
      });
    });
  }

  #query(
    id: TextId | undefined,
    request: ReadRequest | { readonly kind: "describe"; readonly stream: string },
    from: number,
  ): Promise<void> {
    return this.#desk.query(request, (response) => {
      this.#send(withId(id, answerOf(this.#desk.context, request.stream, from, response)));
    });
  }

  #subscribe(id: TextId | undefined, { stream, from, credit }: SubscribeText): void {
    const { limits, requests } = this.#desk.context;
    const number = this.#nextSubscription;
    this.#nextSubscription += 1;
    let next = 0;
    const request = {
      kind: "subscribe",
      stream,
      ...placeOf(from),
      credit: credit ?? limits.textCreditBytes,
    } as const;
    this.#desk.subscribe(textKey(number), request, (event) => {
      let answer: Answer;
      try {
        answer = eventAnswer(this.#desk.context, number, next, event);
      } catch (error) {
        answer = { subscription: number, ...errorAnswer(requests.failure(error)) };
      }
      if (event.kind === "subscribed") next = event.offset;
      else if (event.kind === "records") next = event.nextOffset;
      else if (event.kind === "gap") next = event.to;
      // By hand nobody wants to count bytes: without a credit of its own, it never runs dry.
      if (event.kind === "records" && credit === undefined) this.#desk.grant(textKey(number), limits.textCreditBytes);
      this.#send(event.kind === "subscribed" ? withId(id, { subscribed: stream, ...answer }) : answer);
    });
  }

  #follow(id: TextId | undefined, { streams, notBefore, credit, markEveryMs = 0 }: FollowText): void {
    const { limits } = this.#desk.context;
    const number = this.#nextSubscription;
    this.#nextSubscription += 1;
    const events = new FollowAnswers(
      this.#desk.context,
      number,
      streams.map(({ stream }) => stream),
    );
    const request: FollowRequest = {
      kind: "follow",
      streams: streams.map(({ stream, from }) => ({ stream, ...placeOf(from) })),
      ...(notBefore !== undefined && { notBefore }),
      credit: credit ?? limits.textCreditBytes,
      markEveryMs,
    };
    this.#desk.follow(textKey(number), request, (event) => {
      const answer = events.answer(event);
      if (credit === undefined) this.#desk.grant(textKey(number), limits.textCreditBytes);
      this.#send(event.kind === "following" ? withId(id, answer) : answer);
    });
  }

  #send(answer: Answer): void {
    this.#desk.outbox.sendText(answerText(answer));
  }
}

/** Numbers of frames and of the text mode do not meet. */
function textKey(subscription: number): string {
  return `text ${subscription}`;
}

function withId(id: TextId | undefined, answer: Answer): Answer {
  return id === undefined ? answer : { id, ...answer };
}

function placeOf(from: TextPlace): Pick<ReadRequest, "from" | "offset" | "incarnation"> & { readonly offset: number } {
  if (from.kind !== "offset") return { from: from.kind, offset: 0 };
  const { offset, incarnation } = from;
  return { from: "offset", offset, ...(incarnation !== undefined && { incarnation }) };
}

function batchOf(records: readonly JsonRecord[], json: boolean): BatchRef {
  const bytes = encodeBatch(records.map((record) => recordOfJson(record, json)));
  const checked = checkBatch(bytes, { batchBytesMax: bytes.length });
  assert(checked.ok, "an encoder makes good batches");
  const { hash, length, span } = checked.value;
  return { hash, length, span, bytes };
}
