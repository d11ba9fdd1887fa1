/** A record of a queue, leased to whoever has this: to be settled once, in time. */
import type { StreamRecord } from "../../src/record/record.ts";
import type { GroupOutcome } from "../../src/wire/group-command.ts";
import { TidemarkError } from "../error.ts";
import { GroupRecord, type GroupPlace } from "./group-record.ts";
import { formatReceipt } from "./receipt.ts";
import type { Settlements } from "./settlements.ts";

export type NackOptions = {
  /** How long it rests before it is given out again. Default: as the group has it. */
  readonly delayMs?: number;
  /** For the dead-letter stream, should this be the last attempt. */
  readonly reason?: string;
};

export class Delivery extends GroupRecord {
  /** The how manieth time that it is given out, from 1. */
  readonly attempt: number;
  readonly #place: GroupPlace;
  readonly #settlements: Settlements;
  readonly #onSettled: (delivery: Delivery) => void;
  #settled = false;

  constructor(
    record: StreamRecord,
    place: GroupPlace,
    logTime: number,
    lease: {
      readonly attempt: number;
      readonly settlements: Settlements;
      readonly onSettled: (delivery: Delivery) => void;
    },
  ) {
    super(record, place, logTime);
    this.attempt = lease.attempt;
    this.#place = place;
    this.#settlements = lease.settlements;
    this.#onSettled = lease.onSettled;
  }

  /** It was acknowledged or refused here, though perhaps the server does not know yet. */
  get settled(): boolean {
    return this.#settled;
  }

  /** The lease as text, for `group.ack` and the like: whoever has it can settle the record in this one's stead. */
  get receipt(): string {
    return formatReceipt(this.#place);
  }

  /**
   * The record is done, and never given out again. `fenced`: the lease was over, and others may have it; with the
   * outcome `unknown`, perhaps because an earlier attempt of this very call was carried out and its answer lost.
   */
  ack(): Promise<void> {
    return this.#settle({ kind: "ack" });
  }

  /** Not now: it is given out again, or goes to the dead-letter stream if this was the last attempt. */
  nack(options: NackOptions = {}): Promise<void> {
    return this.#settle(toNack(options));
  }

  /** Nobody worked on it: it is given out again at once, and this was no attempt. */
  release(): Promise<void> {
    return this.#settle({ kind: "release" });
  }

  /** Not done yet: the lease lasts so many milliseconds from now on. Default: as the group has it. */
  async extend(leaseMs?: number): Promise<void> {
    this.#checkOpen();
    await this.#settlements.settle(this.#place, toExtend(leaseMs));
  }

  async #settle(outcome: GroupOutcome): Promise<void> {
    this.#checkOpen();
    this.#settled = true;
    this.#onSettled(this);
    await this.#settlements.settle(this.#place, outcome);
  }

  #checkOpen(): void {
    if (this.#settled) throw new TidemarkError("invalid-argument", "the record was settled before");
  }
}

export function toNack({ delayMs, reason }: NackOptions): GroupOutcome {
  return {
    kind: "nack",
    ...(delayMs !== undefined && { delayMs: wholeMs(delayMs) }),
    ...(reason !== undefined && { reason }),
  };
}

export function toExtend(leaseMs: number | undefined): GroupOutcome {
  return { kind: "extend", ...(leaseMs !== undefined && { leaseMs: wholeMs(leaseMs) }) };
}

function wholeMs(milliseconds: number): number {
  if (Number.isSafeInteger(milliseconds) && milliseconds >= 0) return milliseconds;
  throw new TidemarkError("invalid-argument", "a time is whole milliseconds, from 0");
}
