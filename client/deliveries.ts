/**
 * Working on a queue: an async iterator over its records, each leased as it is given. It asks for more when it has none,
 * waits where there are none, and goes on by itself when the connection or the server was gone.
 *
 * Records are delivered at least once: whoever does not settle one in time has it given to others, and hears `fenced`.
 */
import type { Timer } from "../src/ports/clock.ts";
import type { Zstd } from "../src/ports/zstd.ts";
import type { GroupLease, GroupTakenResult } from "../src/wire/group-command.ts";
import type { Connection, PersistentCall } from "./connection.ts";
import { Deadline, sleep } from "./deadline.ts";
import { Delivery } from "./delivery.ts";
import { TidemarkError } from "./error.ts";
import { contentOf, type GroupPlace } from "./group-record.ts";
import { LeasedRecords } from "./leased-records.ts";
import { CLIENT_LIMITS } from "./limits.ts";
import type { ReadStatus } from "./record-stream.ts";
import { StatusTeller } from "./status-teller.ts";
import type { Settlements } from "./settlements.ts";

/** A complete configuration; `group.ts` fills it from what the caller gave. */
export type DeliveriesConfig = {
  readonly group: string;
  readonly member: string;
  /** Records leased together: at most so many are held that were not delivered. Asked before each take. */
  readonly count: () => number;
  /** Leases of delivered records are renewed until they are settled; those of records held back always are. */
  readonly autoExtend: boolean;
  readonly prefetchBytes: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onStatus: ((status: ReadStatus) => void) | undefined;
  readonly zstd: Zstd | undefined;
};

const DONE = { done: true, value: undefined } as const;

function ignore(): void {}

export class Deliveries implements AsyncIterableIterator<Delivery, undefined> {
  readonly #connection: Connection;
  readonly #config: DeliveriesConfig;
  readonly #deadline: Deadline;
  readonly #settlements: Settlements;
  readonly #records: LeasedRecords;
  readonly #status: StatusTeller;
  /** Leased, and not read yet. */
  #leases: { readonly lease: GroupLease; readonly generation: number }[] = [];
  /** Read, and not delivered yet. */
  #held: Delivery[] = [];
  /** Delivered, and not settled, where their leases are renewed. */
  readonly #extended = new Set<Delivery>();
  #leaseMs: number | undefined;
  #extending: Timer | undefined;
  /** Calls of `next` in their order. */
  #turn: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | undefined;
  #closed = false;

  constructor(connection: Connection, settlements: Settlements, config: DeliveriesConfig) {
    const { clock } = connection.environment;
    this.#connection = connection;
    this.#config = config;
    this.#deadline = new Deadline(clock, config.signal, Number.POSITIVE_INFINITY);
    this.#settlements = settlements;
    this.#records = new LeasedRecords(connection, config.prefetchBytes, config.zstd);
    this.#status = new StatusTeller(config.onStatus);
  }

  next(): Promise<IteratorResult<Delivery, undefined>> {
    const taken = this.#turn.then(() => this.#next());
    this.#turn = taken.catch(ignore);
    return taken;
  }

  /** What one take gives, waiting at most so long for there to be something. Nothing is renewed or given back by itself. */
  async takeOnce(waitMs: number): Promise<readonly Delivery[]> {
    this.#closed = true;
    const { clock } = this.#connection.environment;
    const untilMs = clock.monotonic() + waitMs;
    let taken = await this.#take();
    for (let leftMs = waitMs; taken.leases.length === 0 && leftMs > 0; leftMs = untilMs - clock.monotonic()) {
      // The server waits half a minute at most. Others may be faster.
      if (await this.#look(Math.ceil(Math.min(leftMs, CLIENT_LIMITS.longPollMs)))) taken = await this.#take();
    }
    for (const lease of taken.leases) this.#leases.push({ lease, generation: taken.generation });
    for (let next = this.#leases.shift(); next !== undefined; next = this.#leases.shift())
      await this.#readLease(next.lease, next.generation);
    return this.#held;
  }

  /** Ends it: a pending `next` ends, and records that were not delivered are given back. Those delivered can be settled. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#extending?.cancel();
    await this.stop();
  }

  /** The same, but that the leases of delivered records are still renewed, until it is closed. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async return(): Promise<IteratorResult<Delivery, undefined>> {
    await this.close();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #next(): Promise<IteratorResult<Delivery, undefined>> {
    try {
      for (;;) {
        if (this.#stopping !== undefined) return DONE;
        if (this.#deadline.error !== undefined) throw this.#deadline.error;
        const delivery = this.#held.shift();
        if (delivery !== undefined) {
          if (this.#config.autoExtend) this.#extended.add(delivery);
          return { done: false, value: delivery };
        }
        await this.#fetch();
      }
    } catch (error) {
      if (this.#stopping !== undefined) return DONE;
      void this.close();
      throw error;
    }
  }

  /** A step nearer to the next record. */
  async #fetch(): Promise<void> {
    const leased = this.#leases.shift();
    if (leased !== undefined) return this.#readLease(leased.lease, leased.generation);
    // Before anything is leased it must be known for how long.
    if (this.#leaseMs === undefined) await this.#look(0);
    const taken = await this.#take();
    if (taken.leases.length > 0) {
      for (const lease of taken.leases) this.#leases.push({ lease, generation: taken.generation });
      return;
    }
    await this.#waitForRecords();
  }

  async #take(): Promise<GroupTakenResult> {
    const { group: id, member, count } = this.#config;
    const result = await this.#connection.execute({ kind: "group-take", id, member, count: count() }, this.#call());
    this.#status.connected();
    if (result.kind === "group-taken") return result;
    throw new TidemarkError("protocol-error", `a take was answered with "${result.kind}"`);
  }

  async #waitForRecords(): Promise<void> {
    const { clock } = this.#connection.environment;
    const askedAtMs = clock.monotonic();
    while (!(await this.#look(CLIENT_LIMITS.longPollMs)) && this.#stopping === undefined);
    // Others may be faster every time, and a server that stops does not wait: neither is asked in a tight loop.
    const waitedMs = clock.monotonic() - askedAtMs;
    if (waitedMs < CLIENT_LIMITS.backoffFirstMs)
      await sleep(clock, CLIENT_LIMITS.backoffFirstMs - waitedMs, this.#deadline.signal);
  }

  /** Whether a take would find something, once it does or the time is over. */
  async #look(waitMs: number): Promise<boolean> {
    const askedAtMs = this.#connection.environment.clock.monotonic();
    const { config, ready } = await this.#connection.lookUp(
      { kind: "group", id: this.#config.group, waitMs },
      this.#call(),
    );
    this.#status.connected();
    this.#leaseMs = config.leaseMs;
    if (!ready && waitMs > 0) await this.#pace(askedAtMs);
    return ready;
  }

  async #pace(askedAtMs: number): Promise<void> {
    const { clock } = this.#connection.environment;
    const leftMs = CLIENT_LIMITS.backoffFirstMs - (clock.monotonic() - askedAtMs);
    if (leftMs > 0) await sleep(clock, leftMs, this.#deadline.signal);
  }

  async #readLease(lease: GroupLease, generation: number): Promise<void> {
    const part = await this.#records.beginningOf(lease, this.#call());
    this.#status.connected();
    if (part === undefined) return;
    const { stream, incarnation, offset, count, attempt } = lease;
    let next = offset;
    for (const record of part.records) {
      this.#settleGone({ stream, incarnation, offset: next, generation }, record.offset);
      const place: GroupPlace = { stream, incarnation, offset: record.offset, generation };
      this.#held.push(
        new Delivery(contentOf(record), place, record.logTime, {
          attempt,
          settlements: this.#settlements,
          onSettled: (delivery) => this.#extended.delete(delivery),
        }),
      );
      next = record.offset + 1;
    }
    this.#settleGone({ stream, incarnation, offset: next, generation }, part.to);
    const left = offset + count - part.to;
    if (left > 0) this.#leases.unshift({ lease: { ...lease, offset: part.to, count: left }, generation });
    this.#planExtension();
  }

  /** What trimming or compaction removed is done: there is nothing to work on. */
  #settleGone(first: GroupPlace, to: number): void {
    for (let { offset } = first; offset < to; offset += 1)
      this.#settlements.settle({ ...first, offset }, { kind: "ack" }).catch(ignore);
  }

  #planExtension(): void {
    if (this.#extending !== undefined || this.#leaseMs === undefined || this.#closed) return;
    const { clock } = this.#connection.environment;
    this.#extending = clock.schedule(this.#leaseMs / CLIENT_LIMITS.heartbeatsPerLease, () => {
      this.#extending = undefined;
      const due = [...this.#held, ...this.#extended];
      for (const delivery of due) {
        delivery.extend().catch((error: TidemarkError) => {
          // Others may have it: it is not delivered any more.
          if (error.code === "fenced") this.#forget(delivery);
        });
      }
      if (due.length > 0) this.#planExtension();
    });
  }

  #forget(delivery: Delivery): void {
    this.#extended.delete(delivery);
    const at = this.#held.indexOf(delivery);
    if (at >= 0) this.#held.splice(at, 1);
  }

  async #stop(): Promise<void> {
    const held = this.#held;
    const leases = this.#leases;
    this.#held = [];
    this.#leases = [];
    this.#deadline.cancel(new TidemarkError("aborted", "the taking was closed"));
    const { environment } = this.#connection;
    const given = [
      ...held.map((delivery) => delivery.nack(GIVEN_BACK)),
      ...leases.flatMap(({ lease: { count, ...lease }, generation }) =>
        Array.from({ length: count }, (_, at) =>
          this.#settlements.settle(
            { ...lease, generation, offset: lease.offset + at },
            { kind: "nack", ...GIVEN_BACK },
          ),
        ),
      ),
    ];
    const patience = new Deadline(environment.clock, undefined, CLIENT_LIMITS.groupCloseMs);
    // Leases that cannot be given back end by themselves.
    await Promise.race([
      Promise.allSettled(given),
      new Promise<void>((resolve) => patience.signal.addEventListener("abort", resolve)),
    ]);
    patience.release();
  }

  #call(): PersistentCall {
    return {
      signal: this.#deadline.signal,
      timeout: this.#config.timeoutMs,
      onRetry: (error) => this.#status.failed(error),
    };
  }
}

const GIVEN_BACK = { delayMs: 0, reason: "given back" };
