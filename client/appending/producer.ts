/**
 * The producer: gathers records into batches and appends them through a session, each exactly once and in order.
 *
 * Batches form by themselves: while one is under way the next gathers, and it leaves when the way is free, when it is
 * full, or when the linger is over. A refusal of any batch stops the producer, for what follows must not
 * overtake it: so what reached the stream is always a prefix of what was appended, without holes.
 */
import type { Timer } from "../../src/ports/clock.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import type { Offset } from "../../src/record/offset.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import type { AppendedResult } from "../../src/wire/command.ts";
import { AppendSession, type SendCommand } from "./append-session.ts";
import { abortedBy, Deadline, type CallOptions } from "../deadline.ts";
import type { Diagnostics } from "../diagnostics.ts";
import type { Environment } from "../environment.ts";
import { asTidemarkError, TidemarkError, withOutcome } from "../error.ts";
import type { BatchMemory } from "./batch-memory.ts";
import type { Gathering } from "../gathering.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import { heldBytes, sealBatch, toRecord, type RecordInput } from "./record-input.ts";

/** A producer's complete configuration; `stream.ts` fills it from what the caller gave. */
export type ProducerConfig = {
  readonly stream: string;
  readonly id: string;
  readonly epoch: number;
  readonly sharedId: boolean;
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  readonly unacknowledgedBytesMax: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly zstd: Zstd | undefined;
  readonly diagnostics: Diagnostics;
  readonly gathering: Gathering;
  readonly memory: BatchMemory;
};

type Held = {
  readonly record: StreamRecord;
  readonly bytes: number;
  readonly resolve: (offset: Offset) => void;
  readonly reject: (error: TidemarkError) => void;
  /** The caller's own limits for this record, if it set any. */
  deadline?: Deadline;
};

function ignore(): void {}

export class Producer {
  readonly #environment: Environment;
  readonly #config: ProducerConfig;
  readonly #session: AppendSession;
  #gathering: Held[] = [];
  #gatheringBytes = 0;
  #linger: Timer | undefined;
  #sealPlanned = false;
  /** Batches under way. Bounded: their records count as unacknowledged. */
  readonly #underWay = new Set<Promise<void>>();
  #heldBytes = 0;
  #heldRecords = 0;
  readonly #roomWaiters: (() => void)[] = [];
  #failure: TidemarkError | undefined;
  /** What was wrong with the first record that could be none: whether anybody listens to its promise is not to be seen. */
  #refused: TidemarkError | undefined;
  #closed = false;

  constructor(environment: Environment, send: SendCommand, config: ProducerConfig) {
    this.#environment = environment;
    this.#config = config;
    this.#session = new AppendSession(environment, send, {
      stream: config.stream,
      producer: { id: config.id, epoch: config.epoch },
      onRejected: "stop",
      sharedId: config.sharedId,
      // Batches are smaller than the records they were made of, or hardly larger: the producer's own bound is the one that holds.
      unacknowledgedBytesMax: Number.POSITIVE_INFINITY,
      timeoutMs: config.timeoutMs,
      diagnostics: config.diagnostics,
      gathering: config.gathering,
      memory: config.memory,
      zstd: config.zstd,
    });
    if (config.signal?.aborted === true) this.#onAbort();
    else config.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  get id(): string {
    return this.#config.id;
  }

  get epoch(): number {
    return this.#config.epoch;
  }

  /** Bytes of records that are not acknowledged. */
  get unacknowledgedBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Appends one record. Resolves to its offset once it is durable. Does not wait for room: with too much
   * unacknowledged it rejects with `buffer-full`, so await `ready()` between records. Who does not listen is told by `flush` and
   * `close`: of the producer's failure, and of the first record since that could be none, behind which others are appended.
   */
  append(input: RecordInput, options: CallOptions = {}): Promise<Offset> {
    const promise = new Promise<Offset>((resolve, reject) => {
      this.#hold(this.#recordOf(input), options, resolve, reject);
    });
    promise.catch(ignore);
    return promise;
  }

  /** Resolves when there is room for more; rejects once the producer has failed or was closed. */
  async ready(): Promise<void> {
    this.#checkOpen();
    while (!this.#hasRoom(1)) {
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
      this.#checkOpen();
    }
  }

  /** Appends all, at the pace at which they are acknowledged; resolves to how many when all are durable. */
  async appendAll(inputs: Iterable<RecordInput> | AsyncIterable<RecordInput>): Promise<number> {
    let count = 0;
    for await (const input of inputs) {
      await this.ready();
      void this.append(input);
      count += 1;
    }
    await this.flush();
    return count;
  }

  /**
   * Resolves when everything appended before this call is durable; rejects with the producer's failure, or with what was wrong with the first
   * record since the last flush that could be none: the others are durable then.
   */
  async flush(): Promise<void> {
    const refused = this.#refused;
    this.#refused = undefined;
    this.#seal();
    await Promise.all(this.#underWay);
    const error = this.#failure ?? refused;
    if (error !== undefined) throw error;
  }

  /** Flushes, then takes no more. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.flush();
    } finally {
      this.#config.signal?.removeEventListener("abort", this.#onAbort);
      this.#wakeRoomWaiters();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Gives up what is unacknowledged; each promise tells what is known of its record. */
  abort(reason: TidemarkError = new TidemarkError("aborted")): void {
    this.#fail(reason);
  }

  #recordOf(input: RecordInput): StreamRecord {
    try {
      return toRecord(input);
    } catch (thrown) {
      this.#refused ??= asTidemarkError(thrown);
      throw thrown;
    }
  }

  #checkOpen(): void {
    if (this.#failure !== undefined) throw withOutcome(this.#failure, "not-applied");
    if (this.#closed) throw new TidemarkError("producer-closed");
  }

  #hasRoom(bytes: number): boolean {
    if (this.#heldRecords === 0) return true;
    return (
      this.#heldBytes + bytes <= this.#config.unacknowledgedBytesMax &&
      this.#heldRecords < CLIENT_LIMITS.unacknowledgedRecordsMax
    );
  }

  #hold(record: StreamRecord, options: CallOptions, resolve: Held["resolve"], reject: Held["reject"]): void {
    this.#checkOpen();
    const bytes = heldBytes(record);
    // `ready()` promised room for a record of any size: one may pass the bound, none may start beyond it.
    if (!this.#hasRoom(1)) throw new TidemarkError("buffer-full");
    const held: Held = { record, bytes, resolve, reject };
    if (options.signal !== undefined || options.timeout !== undefined) this.#watch(held, options);
    if (
      this.#gatheringBytes + bytes > this.#config.batchBytesMax ||
      this.#gathering.length >= CLIENT_LIMITS.batchRecordsMax
    )
      this.#seal();
    this.#heldBytes += bytes;
    this.#heldRecords += 1;
    this.#gathering.push(held);
    this.#gatheringBytes += bytes;
    this.#planSeal();
  }

  /** A record whose caller gives up is taken back while its batch gathers; later only its promise ends. */
  #watch(held: Held, options: CallOptions): void {
    const deadline = new Deadline(this.#environment.clock, options.signal, options.timeout ?? Number.POSITIVE_INFINITY);
    if (deadline.error !== undefined) throw deadline.error;
    held.deadline = deadline;
    deadline.signal.addEventListener("abort", () => {
      const at = this.#gathering.indexOf(held);
      const error = deadline.error as TidemarkError;
      if (at < 0) {
        held.reject(withOutcome(error, "unknown"));
        return;
      }
      this.#gathering.splice(at, 1);
      this.#gatheringBytes -= held.bytes;
      this.#release([held]);
      held.reject(error);
    });
  }

  #planSeal(): void {
    if (this.#config.lingerMs > 0) {
      this.#linger ??= this.#environment.clock.schedule(this.#config.lingerMs, () => this.#seal());
      return;
    }
    if (this.#underWay.size > 0 || this.#sealPlanned) return;
    this.#sealPlanned = true;
    // At the end of the turn, so that what is appended together travels together.
    this.#environment.clock.defer(() => {
      this.#sealPlanned = false;
      if (this.#underWay.size === 0) this.#seal();
    });
  }

  #seal(): void {
    this.#linger?.cancel();
    this.#linger = undefined;
    const held = this.#gathering;
    if (held.length === 0) return;
    this.#gathering = [];
    this.#gatheringBytes = 0;
    const done = this.#appendBatch(held).finally(() => {
      this.#underWay.delete(done);
      if (this.#underWay.size === 0 && this.#gathering.length > 0) this.#planSeal();
    });
    this.#underWay.add(done);
  }

  async #appendBatch(held: readonly Held[]): Promise<void> {
    try {
      const batch = sealBatch(
        held.map((each) => each.record),
        this.#config.zstd,
        this.#config.memory,
      );
      const result = await this.#session.append({ batch, close: false });
      this.#acknowledge(held, result);
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      this.#release(held);
      for (const each of held) each.reject(error);
      this.#fail(error);
    }
  }

  #acknowledge(held: readonly Held[], result: AppendedResult): void {
    if (result.firstOffset === undefined)
      throw new TidemarkError("protocol-error", "an append was answered without its offset");
    this.#release(held);
    for (let at = 0; at < held.length; at += 1) (held[at] as Held).resolve(result.firstOffset + at);
  }

  #release(held: readonly Held[]): void {
    for (const each of held) {
      each.deadline?.release();
      this.#heldBytes -= each.bytes;
    }
    this.#heldRecords -= held.length;
    // Not at the first free byte: those who wait would come back one by one.
    if (
      this.#heldBytes * 2 <= this.#config.unacknowledgedBytesMax &&
      this.#heldRecords * 2 <= CLIENT_LIMITS.unacknowledgedRecordsMax
    ) {
      this.#wakeRoomWaiters();
    }
  }

  /** The first failure stays the producer's; the session fails what is under way by what it knows of each. */
  #fail(error: TidemarkError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#linger?.cancel();
    this.#linger = undefined;
    const held = this.#gathering;
    this.#gathering = [];
    this.#gatheringBytes = 0;
    this.#session.stop(error);
    this.#release(held);
    for (const each of held) each.reject(withOutcome(error, "not-applied"));
    this.#wakeRoomWaiters();
  }

  #wakeRoomWaiters(): void {
    for (const wake of this.#roomWaiters.splice(0)) wake();
  }

  readonly #onAbort = (): void => {
    this.#fail(abortedBy(this.#config.signal));
  };
}
