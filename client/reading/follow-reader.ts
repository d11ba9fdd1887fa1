/**
 * Reads a follow of many streams from the server: asks for it, takes in what the server says, grants what was taken, and
 * begins again where it was when something broke. Its place is an offset in each stream, so that is exact (I7). Who
 * consumes what it gives, and where that consumer is, is `merged-stream.ts`'s business.
 */
import { unreachable } from "../../src/lib/assert.ts";
import { LOG_START, type LogPlace } from "../../src/record/log-place.ts";
import type {
  FollowedStreamEvent,
  FollowingResponse,
  FollowRecordsResponse,
  FollowStart,
} from "../../src/wire/follow-frames.ts";
import type { ErrorResponse } from "../../src/wire/response.ts";
import { type Deadline, sleep } from "../deadline.ts";
import type { Environment } from "../environment.ts";
import { asTidemarkError, TidemarkError, withOutcome, type Gap } from "../error.ts";
import { decodeFollowRecords, type FollowedStream } from "./follow-frame.ts";
import type { FollowedRecord, LogMark } from "./followed-record.ts";
import type { MergedStreamConfig } from "./merged-stream.ts";
import { Patience } from "../patience.ts";
import type { FollowEvent, SubscriptionHandle, Transport } from "../transport/transport.ts";

/** How one attempt reaches the server. */
export type FollowAccess = {
  readonly follow: NonNullable<Transport["follow"]>;
  readonly toError: (answer: ErrorResponse) => TidemarkError;
};

/** What comes next, in order: records, with what is to be told before them. */
export type FollowPortion =
  | { readonly kind: "records"; readonly records: readonly FollowedRecord[] }
  | { readonly kind: "gap"; readonly stream: string; readonly gap: Gap; readonly records: readonly FollowedRecord[] }
  | { readonly kind: "ended"; readonly stream: string; readonly reason: "closed" | "deleted" }
  | LogMark;

/** One follow on one connection. */
type Running = {
  /** As its request named them. */
  readonly streams: readonly FollowedStream[];
  /** Bounded by the credit. */
  readonly events: FollowEvent[];
  /** What is left of the one that was taken last. */
  portions: Iterator<FollowPortion, void> | undefined;
  handle: SubscriptionHandle | undefined;
  failure: TidemarkError | undefined;
  /** Bytes that were taken and not granted anew. */
  taken: number;
};

/** Credit is granted anew when so much of it is used: not with each small batch at the tail. */
const GRANT_SHARE = 4;

export class FollowReader {
  /** As far as they were taken in. */
  readonly streams: readonly FollowedStream[];
  readonly #environment: Environment;
  readonly #access: FollowAccess;
  readonly #config: MergedStreamConfig;
  readonly #deadline: Deadline;
  readonly #patience: Patience;
  readonly #credit: number;
  #running: Running | undefined;
  #onChange: (() => void) | undefined;
  #begun = false;
  /** Behind what was taken in. */
  #mark: LogPlace;

  /** It stops when the deadline's signal fires. */
  constructor(environment: Environment, access: FollowAccess, config: MergedStreamConfig, deadline: Deadline) {
    this.#environment = environment;
    this.#access = access;
    this.#config = config;
    this.#deadline = deadline;
    this.#patience = new Patience(environment, config.timeoutMs);
    // What is taken counts as held, too, until it is granted anew.
    this.#credit = Math.max(1, Math.ceil(config.prefetchBytes / 2));
    this.#mark = config.notBefore ?? LOG_START;
    this.streams = config.streams.map(({ name }) => ({ name, incarnation: undefined, next: undefined, over: false }));
    deadline.signal.addEventListener("abort", () => {
      this.#stop();
      this.#onChange?.();
    });
  }

  /** Where each stream begins is known. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Nothing more can come. */
  get over(): boolean {
    return this.streams.every(({ over }) => over);
  }

  /** Takes in the next thing that the server has said; undefined: it is nothing to be delivered. One at a time. */
  async read(): Promise<FollowPortion | undefined> {
    try {
      this.#checkOpen();
      const running = this.#running ?? this.#begin();
      const portion = running.portions?.next();
      if (portion?.done === false) return portion.value;
      running.portions = undefined;
      this.#grant(running);
      const event = await this.#event(running);
      return event && this.#understand(running, event);
    } catch (thrown) {
      this.#checkOpen();
      const error = asTidemarkError(thrown);
      this.#stop();
      if (!error.retryable) throw withOutcome(error, "not-applied");
      await sleep(this.#environment.clock, this.#onDisconnected(error), this.#deadline.signal);
      return undefined;
    }
  }

  #begin(): Running {
    const { marks, markEveryMs, notBefore } = this.#config;
    const streams = this.streams.filter(({ over }) => !over);
    const wake = (): void => this.#onChange?.();
    const running: Running = {
      streams,
      events: [],
      portions: undefined,
      handle: undefined,
      failure: undefined,
      taken: 0,
    };
    this.#running = running;
    running.handle = this.#access.follow(
      {
        kind: "follow",
        streams: this.#starts(),
        ...(notBefore !== undefined && !this.#begun && { notBefore }),
        credit: this.#credit,
        markEveryMs: marks ? markEveryMs : 0,
      },
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

  /** Of those that are not over: where they were left, or as they were asked for. */
  #starts(): FollowStart[] {
    const starts: FollowStart[] = [];
    for (const [place, { name: stream, incarnation, next, over }] of this.streams.entries()) {
      if (over) continue;
      const from = this.#config.streams[place]?.from ?? "start";
      if (next !== undefined && incarnation !== undefined)
        starts.push({ stream, from: "offset", offset: next, incarnation });
      else if (typeof from === "string") starts.push({ stream, from, offset: 0 });
      else if (from.incarnation === undefined) starts.push({ stream, from: "offset", offset: from.offset });
      else starts.push({ stream, from: "offset", offset: from.offset, incarnation: from.incarnation });
    }
    return starts;
  }

  /** What was taken before is consumed by now. */
  #grant(running: Running): void {
    if (running.taken * GRANT_SHARE < this.#credit) return;
    running.handle?.grant(running.taken);
    running.taken = 0;
  }

  /** Undefined where it was woken for nothing. */
  async #event(running: Running): Promise<FollowEvent | undefined> {
    const event = running.events.shift();
    if (event !== undefined) return event;
    if (running.failure !== undefined) throw running.failure;
    await new Promise<void>((resolve) => {
      this.#onChange = resolve;
    });
    return undefined;
  }

  #understand(running: Running, event: FollowEvent): FollowPortion | undefined {
    switch (event.kind) {
      case "following":
        this.#onFollowing(running, event);
        return undefined;
      case "follow-records":
        running.portions = this.#portions(running, event);
        return undefined;
      case "stream-event":
        return this.#onStreamEvent(running.streams[event.stream], event.event);
      case "follow-end":
        if (event.reason === "closed" && this.over) return undefined;
        throw new TidemarkError("connection-lost", `the server ended the follow: ${event.reason}`);
      case "error":
        throw this.#access.toError(event);
      default:
        return unreachable(event);
    }
  }

  #onFollowing(running: Running, { streams }: FollowingResponse): void {
    if (streams.length !== running.streams.length)
      throw new TidemarkError("protocol-error", "the server follows other streams than were named");
    for (const [place, { incarnation, offset }] of streams.entries()) {
      const stream = running.streams[place] as FollowedStream;
      if (stream.next !== undefined && (stream.next !== offset || stream.incarnation !== incarnation))
        throw new TidemarkError("protocol-error", `I7: "${stream.name}" goes on elsewhere than it was left`);
      stream.incarnation = incarnation;
      stream.next = offset;
    }
    const wasConnected = this.#begun && !this.#patience.failing;
    this.#patience.heard();
    this.#begun = true;
    if (!wasConnected) this.#config.onStatus?.({ kind: "connected" });
  }

  *#portions(running: Running, event: FollowRecordsResponse): Generator<FollowPortion, void, undefined> {
    const { batches, next, logTime } = event;
    for (const { gap, records } of decodeFollowRecords(event, running.streams, this.#mark, this.#config.zstd)) {
      if (gap !== undefined) yield { kind: "gap", stream: gap.stream.name, gap: gap.gap, records };
      else if (records.length > 0) yield { kind: "records", records };
    }
    this.#mark = next;
    for (const batch of batches) running.taken += batch.bytes.length;
    yield { kind: "mark", next, logTime };
  }

  #onStreamEvent(stream: FollowedStream | undefined, event: FollowedStreamEvent): FollowPortion {
    if (stream === undefined || stream.over)
      throw new TidemarkError("protocol-error", "the server told something of a stream that is not followed");
    const { name } = stream;
    const at = event.kind === "gap" ? event.from : event.nextOffset;
    if (at !== stream.next)
      throw new TidemarkError("protocol-error", `I7: "${name}" was read to ${stream.next}, not ${at}`);
    if (event.kind === "gap") {
      stream.next = event.to;
      return { kind: "gap", stream: name, gap: { from: event.from, to: event.to }, records: [] };
    }
    stream.over = true;
    return { kind: "ended", stream: name, reason: event.kind };
  }

  #checkOpen(): void {
    if (this.#deadline.error !== undefined) throw this.#deadline.error;
  }

  #stop(): void {
    this.#running?.handle?.close();
    this.#running = undefined;
  }

  /** How long to wait before the next attempt; throws when the time is up. */
  #onDisconnected(error: TidemarkError): number {
    const retryInMs = this.#patience.failed(error);
    this.#config.onStatus?.({ kind: "disconnected", error, attempts: this.#patience.attempts, retryInMs });
    return retryInMs;
  }
}
