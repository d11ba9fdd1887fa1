/**
 * A consumer group as users handle it: what it is, and the ways into its work. Options are completed here, so that
 * nothing below has defaults of its own.
 */
import type { Zstd } from "../../src/ports/zstd.ts";
import type { GroupAssignment } from "../../src/wire/group-command.ts";
import { completeGroup, type GroupInput } from "../../src/wire/group-defaults.ts";
import type { Connection } from "../connection.ts";
import type { CallOptions } from "../deadline.ts";
import { Deliveries } from "./deliveries.ts";
import { toExtend, toNack, type Delivery, type NackOptions } from "./delivery.ts";
import { TidemarkError } from "../error.ts";
import { toGroupDescription, type GroupDescription } from "./group-description.ts";
import { resetMoves, type ResetMove, type ResetTarget } from "./group-reset.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import { Membership, type AssignedStream } from "./membership.ts";
import { RecordStream, type Locate, type ReadStatus } from "../reading/record-stream.ts";
import { parseReceipt } from "./receipt.ts";
import { runHandler, type GroupHandler } from "./run-handler.ts";
import { Settlements } from "./settlements.ts";

export type { GroupHandler } from "./run-handler.ts";

/**
 * `mode: "partitions"`: each stream has one member at a time. `mode: "queue"`: each record does, and comes again until it
 * is acknowledged, at most `attemptsMax` times (0: any number; with a `deadLetter` stream 5, else 0) and after resting
 * `retryDelayMs` (1,000). It follows `streams`, and those whose names match `pattern` (`*` is one segment, `**` any
 * number), from the `"start"` or from `"now"`. Without a word for `leaseMs` (30,000) a member, or a record's lease, is over.
 */
export type CreateGroupOptions = CallOptions & GroupInput;

export type JoinOptions = {
  /** What the member is called, for people; whoever joins by the same name takes over. Default: a random name. */
  readonly member?: string;
  /**
   * `"auto"` (the default): when a loop comes back for the next record, the one before is processed, and is committed within
   * `ackEveryMs`. `"manual"`: only what `ack` is called with.
   */
  readonly ack?: "auto" | "manual";
  /** Default 1,000. */
  readonly ackEveryMs?: number;
  /** What may be fetched ahead of the loop, over all streams. Default 4 MiB. */
  readonly prefetchBytes?: number;
  /** Told of streams that are this member's from now on … */
  readonly onAssigned?: (streams: readonly AssignedStream[]) => void;
  /** … and of those that are no more: what of them is not committed goes to another. */
  readonly onRevoked?: (streams: readonly AssignedStream[]) => void;
  /** Told when the server cannot be reached, and when it is back. */
  readonly onStatus?: (status: ReadStatus) => void;
  /** Milliseconds without a server until it fails. Default: never. */
  readonly timeout?: number;
  /** Ends it: what is pending fails with `aborted`. */
  readonly signal?: AbortSignal;
};

export type TakeOptions = {
  /** Shown to others while records are leased. Default: a random name. */
  readonly member?: string;
  /**
   * Records leased together. Those that wait for the loop nobody else gets meanwhile; when it ends they are given back,
   * and that was no attempt. Default 1.
   */
  readonly count?: number;
  /** Renews the leases of delivered records until they are settled or this ends. Default false. */
  readonly autoExtend?: boolean;
  /** What one read may fetch. Default 4 MiB. */
  readonly prefetchBytes?: number;
  /** Told when the server cannot be reached, and when it is back. */
  readonly onStatus?: (status: ReadStatus) => void;
  /** Milliseconds without a server until it fails. Default: never. */
  readonly timeout?: number;
  /** Ends it: what is pending fails with `aborted`. */
  readonly signal?: AbortSignal;
};

export type TakeOnceOptions = Omit<TakeOptions, "autoExtend"> & {
  /** How long to wait where there is nothing. Default 0. */
  readonly waitMs?: number;
};

export type RunOptions = Omit<TakeOptions, "count" | "autoExtend"> & {
  /** Records handled at a time. Default 1. */
  readonly concurrency?: number;
  /** How long a record rests whose handler threw. Default: as the group has it. */
  readonly retryDelayMs?: number;
  /** Told of what a handler threw, and of records that could not be acknowledged: those come again. */
  readonly onError?: (error: unknown, delivery: Delivery) => void;
};

export type ResetOptions = CallOptions & {
  /** Only these of the group's streams. */
  readonly streams?: readonly string[];
  /** Even while members are at work: what they hold is theirs no more. Otherwise that is `group-busy`. */
  readonly force?: boolean;
  /** Changes nothing. */
  readonly dryRun?: boolean;
};

export type ResetOutcome = {
  readonly dryRun: boolean;
  /** Members were at work. */
  readonly busy: boolean;
  readonly moves: readonly ResetMove[];
};

export class Group {
  readonly id: string;
  readonly #connection: Connection;
  readonly #zstd: Zstd | undefined;
  readonly #settlements: Settlements;

  constructor(connection: Connection, id: string, zstd: Zstd | undefined) {
    if (id === "") throw new TidemarkError("invalid-argument", "a group has an id");
    this.id = id;
    this.#connection = connection;
    this.#zstd = zstd;
    this.#settlements = new Settlements(connection, id);
  }

  /** Creates the group. One that is there just so is fine; another of this id is `group-exists`. */
  async create(options: CreateGroupOptions): Promise<{ readonly created: boolean }> {
    const config = completeGroup(this.id, options);
    if (!config.ok) throw new TidemarkError("invalid-argument", config.error);
    const result = await this.#connection.execute({ kind: "group-create", ...config.value }, options);
    if (result.kind === "group-created") return { created: result.created };
    throw new TidemarkError("protocol-error", `a create was answered with "${result.kind}"`);
  }

  /** Deletes the group: who is at work hears `group-not-found`. The streams stay as they are. */
  async delete(options: CallOptions = {}): Promise<void> {
    await this.#connection.execute({ kind: "group-delete", id: this.id }, options);
  }

  /** What it is, who is at work, and how far it is; `group-not-found` if there is none. */
  async describe(options: CallOptions = {}): Promise<GroupDescription> {
    return toGroupDescription(
      await this.#connection.lookUp({ kind: "group", id: this.id, waitMs: 0, brief: false }, options),
    );
  }

  /** Sets where the group goes on; with `dryRun`, only tells where that would be. */
  async reset(target: ResetTarget, options: ResetOptions = {}): Promise<ResetOutcome> {
    const { streams, force = false, dryRun = false, ...call } = options;
    const group = await this.#connection.lookUp({ kind: "group", id: this.id, waitMs: 0, brief: false }, call);
    const stranger = streams?.find((name) => group.streams.every(({ stream }) => stream !== name));
    if (stranger !== undefined)
      throw new TidemarkError("stream-not-found", `the group "${this.id}" follows no stream "${stranger}"`);
    const followed = group.streams.filter(({ stream }) => streams?.includes(stream) ?? true);
    const moves = await resetMoves(this.#connection, this.id, followed, target, call);
    const positions = moves.map(({ stream, incarnation, offset }) => ({ stream, incarnation, offset }));
    if (!dryRun) await this.#connection.execute({ kind: "group-reset", id: this.id, force, positions }, call);
    return {
      dryRun,
      busy: group.members.length > 0,
      moves: moves.map(({ stream, from, to, tail }) => ({ stream, from, to, tail })),
    };
  }

  /**
   * Joins a group of mode `"partitions"`: a share of its streams is this member's as long as it lasts.
   *
   * ```ts
   * await using member = await client.group("billing").join();
   * for await (const record of member) await bill(record.stream, record.json());
   * ```
   */
  join(options: JoinOptions = {}): Promise<Membership> {
    const { member, ack = "auto", ackEveryMs = CLIENT_LIMITS.ackEveryMs } = options;
    const prefetchBytes = options.prefetchBytes ?? CLIENT_LIMITS.prefetchBytes;
    return Membership.join(this.#connection, {
      group: this.id,
      member: member ?? this.#connection.newId(),
      ownName: member === undefined,
      autoAck: ack === "auto",
      ackEveryMs,
      timeoutMs: options.timeout ?? Number.POSITIVE_INFINITY,
      signal: options.signal,
      onAssigned: options.onAssigned,
      onRevoked: options.onRevoked,
      onStatus: options.onStatus,
      read: (assignment, streams) => this.#read(assignment, prefetchBytes / streams),
    });
  }

  /**
   * Works on a group of mode `"queue"`: its records, each leased to this loop, which settles them.
   *
   * ```ts
   * for await (const job of client.group("mailers").take()) {
   *   await send(job.json());
   *   await job.ack();
   * }
   * ```
   */
  take(options: TakeOptions = {}): Deliveries {
    const { count = 1, autoExtend = false } = options;
    checkCount(count);
    return this.#deliveries(options, { count: () => count, autoExtend, signal: options.signal });
  }

  /**
   * Works on a group of mode `"queue"` with a handler. What it returns from is acknowledged, what it throws at comes again;
   * leases are renewed as long as it takes. Ends when the signal fires, after the records under way, or with an error that
   * trying again does not mend.
   */
  run(handler: GroupHandler, options: RunOptions = {}): Promise<void> {
    const { concurrency = 1, retryDelayMs, signal, onError } = options;
    if (!(Number.isSafeInteger(concurrency) && concurrency > 0 && concurrency <= CLIENT_LIMITS.settledPerCommandMax))
      throw new TidemarkError(
        "invalid-argument",
        `\`concurrency\` is a whole number from 1 to ${CLIENT_LIMITS.settledPerCommandMax}`,
      );
    const take = (count: () => number): Deliveries =>
      this.#deliveries(options, { count, autoExtend: true, signal: undefined });
    return runHandler(take, handler, { concurrency, retryDelayMs, signal, onError });
  }

  /**
   * One take of a queue, without a loop: at most `count` records, and fewer, or none, if there are no more within `waitMs`.
   * They are settled by themselves, or later and elsewhere by their receipts.
   */
  takeOnce(options: TakeOnceOptions = {}): Promise<readonly Delivery[]> {
    const { count = 1, waitMs = 0, signal, timeout = this.#connection.timeoutMs } = options;
    checkCount(count);
    return this.#deliveries(
      { ...options, timeout: timeout + waitMs },
      { count: () => count, autoExtend: false, signal },
    ).takeOnce(waitMs);
  }

  /** As `delivery.ack()`, by its receipt. */
  async ack(receipt: string): Promise<void> {
    await this.#settlements.settle(parseReceipt(receipt), { kind: "ack" });
  }

  /** As `delivery.nack()`, by its receipt. */
  async nack(receipt: string, options: NackOptions = {}): Promise<void> {
    await this.#settlements.settle(parseReceipt(receipt), toNack(options));
  }

  /** As `delivery.release()`, by its receipt. */
  async release(receipt: string): Promise<void> {
    await this.#settlements.settle(parseReceipt(receipt), { kind: "release" });
  }

  /** As `delivery.extend()`, by its receipt. */
  async extend(receipt: string, leaseMs?: number): Promise<void> {
    await this.#settlements.settle(parseReceipt(receipt), toExtend(leaseMs));
  }

  #deliveries(
    options: Pick<TakeOptions, "member" | "prefetchBytes" | "timeout" | "onStatus">,
    mode: {
      readonly count: () => number;
      readonly autoExtend: boolean;
      readonly signal: AbortSignal | undefined;
    },
  ): Deliveries {
    return new Deliveries(this.#connection, this.#settlements, {
      ...mode,
      group: this.id,
      member: options.member ?? this.#connection.newId(),
      prefetchBytes: Math.max(options.prefetchBytes ?? CLIENT_LIMITS.prefetchBytes, CLIENT_LIMITS.prefetchBytesMin),
      timeoutMs: options.timeout ?? Number.POSITIVE_INFINITY,
      onStatus: options.onStatus,
      zstd: this.#zstd,
    });
  }

  /** For ever, over whatever was trimmed or compacted: the group has not to process what is gone. */
  #read({ stream, incarnation, committed }: GroupAssignment, prefetchBytes: number): RecordStream {
    return new RecordStream(this.#connection.environment, this.#connection.reader(), NO_LOCATE, {
      stream,
      from: { offset: committed, incarnation },
      live: true,
      waitMs: CLIENT_LIMITS.longPollMs,
      prefetchBytes: Math.max(Math.floor(prefetchBytes), CLIENT_LIMITS.prefetchBytesMin),
      timeoutMs: Number.POSITIVE_INFINITY,
      signal: undefined,
      onGap: () => undefined,
      onStatus: undefined,
      zstd: this.#zstd,
      diagnostics: this.#connection.diagnostics,
    });
  }
}

function checkCount(count: number): void {
  if (!(Number.isSafeInteger(count) && count > 0))
    throw new TidemarkError("invalid-argument", "`count` is a whole number from 1");
}

/** A member begins at an offset. */
const NO_LOCATE: Locate = () => Promise.reject(new TidemarkError("invalid-argument", "a member begins at an offset"));
