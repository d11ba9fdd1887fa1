/** A transport that only follows, whose server is the test: it sees what is asked, and says what is answered. */
import type { TidemarkError } from "../../client/error.ts";
import type {
  FollowEvent,
  SubscriptionEvents,
  SubscriptionHandle,
  Transport,
} from "../../client/transport/transport.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import type { LogPlace } from "../../src/record/log-place.ts";
import type { FollowBatch, FollowRequest } from "../../src/wire/follow-frames.ts";

export class FakeFollow {
  readonly request: FollowRequest;
  granted = 0;
  closed = false;
  readonly #events: SubscriptionEvents<FollowEvent>;

  constructor(request: FollowRequest, events: SubscriptionEvents<FollowEvent>) {
    this.request = request;
    this.#events = events;
  }

  say(...events: readonly FollowEvent[]): void {
    for (const event of events) this.#events.onEvent(event);
  }

  fail(error: TidemarkError): void {
    this.#events.onError(error);
  }
}

export class FakeFollows implements Transport {
  readonly follows: FakeFollow[] = [];
  /** Called with each new one. */
  onFollow: ((follow: FakeFollow) => void) | undefined;

  get last(): FakeFollow {
    const follow = this.follows.at(-1);
    if (follow === undefined) throw new Error("nothing is followed");
    return follow;
  }

  request(): Promise<never> {
    return Promise.reject(new Error("only follows are asked of this transport"));
  }

  follow(request: FollowRequest, events: SubscriptionEvents<FollowEvent>): SubscriptionHandle {
    const follow = new FakeFollow(request, events);
    this.follows.push(follow);
    this.onFollow?.(follow);
    return {
      grant: (bytes) => {
        follow.granted += bytes;
      },
      close: () => {
        follow.closed = true;
      },
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export function following(...offsets: readonly number[]): FollowEvent {
  return {
    kind: "following",
    position: 1,
    streams: offsets.map((offset, place) => ({
      incarnation: place + 1,
      contentType: "text/plain",
      firstOffset: 0,
      tail: offset,
      closed: false,
      offset,
    })),
  };
}

/** Batches at positions of their own, each of one stream: [stream, first offset, values]. */
export function records(
  from: number,
  ...batches: readonly (readonly [stream: number, firstOffset: number, ...values: string[]])[]
): FollowEvent {
  const placed = batches.map(([stream, firstOffset, ...values], at): FollowBatch => {
    const bytes = encodeBatch(values.map((value) => ({ value: utf8(value) })));
    return { position: from + at, ordinal: 0, stream, firstOffset, logTime: 1_000 + from + at, bytes };
  });
  return mark({ position: from + batches.length, ordinal: 0 }, placed);
}

export function mark(next: LogPlace, batches: readonly FollowBatch[] = []): FollowEvent {
  return { kind: "follow-records", position: next.position, next, logTime: 1_000 + next.position, batches };
}
