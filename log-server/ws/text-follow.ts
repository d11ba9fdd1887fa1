/** What a follow of many streams tells, as the text mode shows it: each record with its stream and its place in the log. */
import { assert, unreachable } from "../../src/lib/assert.ts";
import { decodeBatch } from "../../src/record/batch-codec.ts";
import type { Offset } from "../../src/record/offset.ts";
import { holdsJson, recordText } from "../../src/record/record-json.ts";
import type { FollowBatch } from "../../src/wire/follow-frames.ts";
import type { FollowEvent } from "./merged-subscription.ts";
import type { WsContext } from "./ports.ts";
import { type Answer, errorAnswer } from "./text-answer.ts";

type Followed = { readonly name: string; contentType: string; next: Offset };

export class FollowAnswers {
  readonly #context: WsContext;
  readonly #subscription: number;
  readonly #streams: readonly Followed[];

  constructor(context: WsContext, subscription: number, names: readonly string[]) {
    this.#context = context;
    this.#subscription = subscription;
    this.#streams = names.map((name) => ({ name, contentType: "", next: 0 }));
  }

  answer(event: FollowEvent): Answer {
    try {
      return this.#answer(event);
    } catch (error) {
      return { subscription: this.#subscription, ...errorAnswer(this.#context.requests.failure(error)) };
    }
  }

  #answer(event: FollowEvent): Answer {
    const subscription = this.#subscription;
    switch (event.kind) {
      case "following": {
        const following = event.streams.map(({ contentType, offset, tail, closed }, place) => {
          const stream = this.#stream(place);
          stream.contentType = contentType;
          stream.next = offset;
          return { stream: stream.name, offset, tail, contentType, closed };
        });
        return { following, subscription };
      }
      case "follow-records": {
        const records = event.batches.flatMap((batch) => this.#recordsOf(batch));
        return { subscription, ...(event.batches.length > 0 && { records }), next: event.next };
      }
      case "stream-event": {
        const stream = this.#stream(event.stream);
        if (event.event.kind !== "gap")
          return { subscription, stream: stream.name, end: event.event.kind, next: event.event.nextOffset };
        const { from, to } = event.event;
        stream.next = to;
        return { subscription, stream: stream.name, gap: { from, to } };
      }
      case "follow-end":
        return { subscription, end: event.reason, next: event.next };
      case "error":
        return { subscription, ...errorAnswer(event) };
      default:
        return unreachable(event);
    }
  }

  /** A stream's first batch may begin before its offset. */
  #recordsOf(batch: FollowBatch): readonly string[] {
    const { position, ordinal, firstOffset, logTime, bytes } = batch;
    const stream = this.#stream(batch.stream);
    const decoded = decodeBatch(bytes, {
      rawBytesMax: this.#context.limits.rawBatchBytesMax,
      ...(this.#context.zstd !== undefined && { zstd: this.#context.zstd }),
    });
    assert(decoded.ok, "W32: what is in the log can be decoded");
    const from = stream.next;
    stream.next = firstOffset + decoded.value.span;
    const json = holdsJson(stream.contentType);
    const place = JSON.stringify({ stream: stream.name, position, ordinal }).slice(0, -1);
    return decoded.value.records
      .map(({ offsetDelta, record }) => ({ offset: firstOffset + offsetDelta, record }))
      .filter(({ offset }) => offset >= from)
      .map(({ offset, record }) => `${place},${recordText(offset, record, logTime, json).slice(1)}`);
  }

  #stream(place: number): Followed {
    const stream = this.#streams[place];
    assert(stream !== undefined, "a follow tells of its own streams");
    return stream;
  }
}
