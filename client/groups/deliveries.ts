/**
 * Working on a queue: an async iterator over its records, each leased as it is given. It asks for more when it has none,
 * waits where there are none, and goes on by itself when the connection or the server was gone.
 *
 * Records are delivered at least once: whoever does not settle one in time has it given to others, and hears `fenced`.
 */
import type { Timer } from "../../src/ports/clock.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import type { GroupLease, GroupOutcome, GroupTakenResult } from "../../src/wire/group-command.ts";
import type { CallSignal } from "../call-signal.ts";
import type { Connection, PersistentCall } from "../connection.ts";
import { Deadline, sleep } from "../deadline.ts";
import { Delivery } from "./delivery.ts";
import { asTidemarkError, TidemarkError } from "../error.ts";
import { contentOf, type GroupPlace } from "./group-record.ts";
import { LeasedRecords } from "./leased-records.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import type { ReadStatus } from "../reading/record-stream.ts";
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

type Leased = { readonly lease: GroupLease; readonly generation: number };

const DONE = { done: true, value: undefined } as const;

function ignore(): void {}

export class Deliveries implements AsyncIterableIterator<Delivery, undefined> {
  readonly #connection: Connection;
  readonly #config: DeliveriesConfig;
  readonly #deadline: Deadline;
  /** Takes under way are not given up with the rest: what they lease would be nobody's until its lease ends. */
  readonly #patience: Deadline;
  #taking: Promise<GroupTakenResult> | undefined;
  readonly #settlements: Settlements;
  readonly #records: LeasedRecords;
  readonly #status: StatusTeller;
  /** Leased, and not read yet. */
  readonly #leases: Leased[] = [];
  /** Read, and not delivered yet. */
  readonly #held: Delivery[] = [];
  /** Delivered, and not settled, where their leases are renewed. */
  readonly #extended = new Set<Delivery>();
  #leaseMs: number | undefined;
  /** The server said that there is something, and no take has found anything since. */
  #wasReady = false;
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
    this.#patience = new Deadline(clock, undefined, Number.POSITIVE_INFINITY);
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
    try {
      let taken = await this.#take();
      for (let leftMs = waitMs; taken.leases.length === 0 && leftMs > 0; leftMs = untilMs - clock.monotonic()) {
        // The server waits half a minute at most. Others may be faster.
        if (await this.#look(Math.ceil(Math.min(leftMs, CLIENT_LIMITS.longPollMs)))) taken = await this.#take();
      }
      for (const lease of taken.leases) this.#leases.push({ lease, generation: taken.generation });
      for (let next = this.#leases.shift(); next !== undefined; next = this.#leases.shift())
        await this.#readLease(next.lease, next.generation);
      return this.#held.splice(0);
    } finally {
      await this.stop();
    }
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
    if (taken.leases.length === 0) return this.#waitForRecords();
    this.#wasReady = false;
    for (const lease of taken.leases) this.#leases.push({ lease, generation: taken.generation });
    this.#planExtension();
  }

  async #take(): Promise<GroupTakenResult> {
    this.#taking = this.#askToTake();
    const taken = await unlessEnded(this.#taking, this.#deadline.signal);
    this.#taking = undefined;
    return taken;
  }

  async #askToTake(): Promise<GroupTakenResult> {
    const { group: id, member, count } = this.#config;
    const call = { ...this.#call(), signal: this.#patience.signal };
    const result = await this.#connection.execute({ kind: "group-take", id, member, count: count() }, call);
    this.#status.connected();
    if (result.kind === "group-taken") return result;
    throw new TidemarkError("protocol-error", `a take was answered with "${result.kind}"`);
  }

  async #waitForRecords(): Promise<void> {
    // Others were faster, and may be every time: then it does not ask in a tight loop.
    if (this.#wasReady) await this.#pause(CLIENT_LIMITS.backoffFirstMs);
    while (!(await this.#look(CLIENT_LIMITS.longPollMs)));
    this.#wasReady = true;
  }

  /** Whether a take would find something, once it does or the time is over. */
  async #look(waitMs: number): Promise<boolean> {
    const { clock } = this.#connection.environment;
    const askedAtMs = clock.monotonic();
    const request = { kind: "group", id: this.#config.group, waitMs, brief: true } as const;
    const { config, ready } = await this.#connection.lookUp(request, this.#call());
    this.#status.connected();
    this.#leaseMs = config.leaseMs;
    // A server that stops does not wait.
    if (!ready && waitMs > 0)
      await this.#pause(Math.min(waitMs, CLIENT_LIMITS.backoffFirstMs) - (clock.monotonic() - askedAtMs));
    return ready;
  }

  async #pause(ms: number): Promise<void> {
    if (ms > 0) await sleep(this.#connection.environment.clock, ms, this.#deadline.signal);
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
      const deliveries = [...this.#held, ...this.#extended];
      for (const delivery of deliveries) this.#renew([delivery.extend()], () => this.#forget(delivery));
      for (const leased of this.#leases)
        this.#renew(this.#settleAll(leased, { kind: "extend" }), () => remove(this.#leases, leased));
      if (deliveries.length + this.#leases.length > 0) this.#planExtension();
    });
  }

  /** What is fenced others may have: it is not delivered any more. */
  #renew(extended: readonly Promise<void>[], onLost: () => void): void {
    Promise.all(extended).catch((thrown: unknown) => {
      if (asTidemarkError(thrown).code === "fenced") onLost();
    });
  }

  #forget(delivery: Delivery): void {
    this.#extended.delete(delivery);
    remove(this.#held, delivery);
  }

  async #stop(): Promise<void> {
    this.#deadline.cancel(new TidemarkError("aborted", "the taking was closed"));
    const { clock } = this.#connection.environment;
    // What cannot be given back in time comes back by itself when its lease ends.
    const timer = clock.schedule(CLIENT_LIMITS.groupCloseMs, () => this.#patience.cancel(new TidemarkError("timeout")));
    await unlessEnded(this.#giveBack(), this.#patience.signal).catch(ignore);
    timer.cancel();
    this.#patience.cancel(new TidemarkError("aborted"));
  }

  async #giveBack(): Promise<void> {
    const given = this.#held.splice(0).map((delivery) => delivery.release());
    for (const leased of this.#leases.splice(0)) given.push(...this.#settleAll(leased, GIVEN_BACK));
    const late = await this.#taking?.catch(ignore);
    for (const lease of late?.leases ?? [])
      given.push(...this.#settleAll({ lease, generation: late?.generation ?? 0 }, GIVEN_BACK));
    await Promise.allSettled(given);
  }

  #settleAll({ lease, generation }: Leased, outcome: GroupOutcome): readonly Promise<void>[] {
    const { stream, incarnation, offset, count } = lease;
    return Array.from({ length: count }, (_, at) =>
      this.#settlements.settle({ stream, incarnation, generation, offset: offset + at }, outcome),
    );
  }

  #call(): PersistentCall {
    return {
      signal: this.#deadline.signal,
      timeout: this.#config.timeoutMs,
      onRetry: (error) => this.#status.failed(error),
    };
  }
}

/** Rejects with the signal's reason if that comes first; the work goes on. */
function unlessEnded<T>(work: Promise<T>, signal: CallSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(asTidemarkError(signal.reason));
    const settled = (): void => signal.removeEventListener("abort", onAbort);
    work.finally(settled).then(resolve, reject);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}

function remove<T>(list: T[], item: T): void {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
}

/** What was not delivered: nobody has attempted it. */
const GIVEN_BACK = { kind: "release" } as const;
