/**
 * Ships the newest snapshot and the sealed segments to followers that are behind what the log has: the list of files first,
 * then file by file, as far as the follower does not have them. Meanwhile nothing of it is trimmed or rewritten; how long
 * that may last is bounded.
 */
import type { Clock } from "../../../src/ports/clock.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { Held } from "../../log/snapshots/holds.ts";
import type { SegmentedLog } from "../../log/segmented-log.ts";
import { encodeShipment, type Shipment, shipmentBytes } from "../../log/snapshots/shipment.ts";
import type { NodeId, SnapshotWork } from "../../raft/types.ts";
import type { NodeLimits } from "../limits.ts";
import type { NodeObserver } from "../observer.ts";
import { fileTransferName, LIST_TRANSFER_NAME } from "./snapshot-receiver.ts";
import type { Transfers } from "./transfers.ts";

export type SenderParts = {
  readonly log: Pick<SegmentedLog, "hold" | "roll">;
  readonly clock: Clock;
  readonly limits: Pick<
    NodeLimits,
    "tickMs" | "sealWaitMsMax" | "shipmentMsMax" | "shipmentRetryMs" | "shipmentKeptMs"
  >;
  readonly observer: NodeObserver;
  readonly diskId: string;
  readonly transfers: Pick<Transfers, "send" | "progress">;
};

export interface SenderOwner {
  /** Undefined: this node does not lead. */
  readonly leads: number | undefined;
  /** A follower of this node that cannot take entries, as far as is known. */
  needs(node: NodeId): boolean;
  /** The follower has all of it, verified. */
  sent(work: SnapshotWork, held: Held): void;
  /** It came to nothing; it may be asked for again. */
  failed(work: SnapshotWork): void;
}

export type SendingStatus = {
  readonly node: NodeId;
  readonly position: LogIndex;
  readonly bytes: number;
  /** With the follower, what it had already included. */
  readonly sentBytes: number;
};

/** A follower that needs a snapshot, over all tries until it has one. */
export type WaitingFollower = {
  readonly node: NodeId;
  readonly waitingMs: number;
  /** Since it took something of one, or began to wait. */
  readonly idleMs: number;
};

/** Since the start. */
export type SendingTotals = {
  /** Shipments that came to their end, and tries that came to nothing. */
  readonly sent: number;
  readonly failed: number;
  /** Taken by followers. */
  readonly sentBytes: number;
};

type Sending = { readonly shipment: Shipment; listed: boolean; sentBytes: number };

export class SnapshotSender {
  readonly #parts: SenderParts;
  readonly #owner: SenderOwner;
  readonly #sending = new Map<NodeId, Sending>();
  readonly #waiting = new Map<NodeId, { readonly sinceMs: number; progressAtMs: number }>();
  #sent = 0;
  #failed = 0;
  #sentBytes = 0;
  #stopped = false;

  constructor(parts: SenderParts, owner: SenderOwner) {
    this.#parts = parts;
    this.#owner = owner;
  }

  get status(): readonly SendingStatus[] {
    const { progress } = this.#parts.transfers;
    return [...this.#sending].map(([node, { shipment, sentBytes }]) => ({
      node,
      position: shipment.position,
      bytes: shipmentBytes(shipment),
      sentBytes: sentBytes + (progress.find(({ to }) => to === node)?.takenBytes ?? 0),
    }));
  }

  get waiting(): readonly WaitingFollower[] {
    const now = this.#parts.clock.monotonic();
    return [...this.#waiting]
      .filter(([node]) => this.#owner.needs(node))
      .map(([node, { sinceMs, progressAtMs }]) => ({ node, waitingMs: now - sinceMs, idleMs: now - progressAtMs }));
  }

  get totals(): SendingTotals {
    return { sent: this.#sent, failed: this.#failed, sentBytes: this.#sentBytes };
  }

  /** See `TransfersOptions`. The list of files counts for nothing: it goes again at each try. */
  taken(node: NodeId, bytes: number): void {
    if (this.#sending.get(node)?.listed !== true) return;
    this.#sentBytes += bytes;
    const waiting = this.#waiting.get(node);
    if (waiting !== undefined) waiting.progressAtMs = this.#parts.clock.monotonic();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** The owner hears once how it ended. `upTo`: what is shipped is to reach as far, if it can be sealed in time. */
  async send(work: SnapshotWork, upTo: LogIndex = 0): Promise<void> {
    const { observer, limits, clock } = this.#parts;
    const startedAt = clock.monotonic();
    if (!this.#waiting.has(work.node)) this.#waiting.set(work.node, { sinceMs: startedAt, progressAtMs: startedAt });
    let held: Held | undefined;
    let failure: string | undefined;
    try {
      held = await this.#hold(upTo);
      failure = held === undefined ? "what a snapshot stands on is not sealed yet" : await this.#ship(work, held);
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    this.#sending.delete(work.node);
    if (this.#stopped) return held?.release();
    if (held !== undefined && failure === undefined) {
      this.#sent += 1;
      this.#waiting.delete(work.node);
      const { position } = held.shipment;
      const milliseconds = clock.monotonic() - startedAt;
      observer.event("snapshot-sent", { node: work.node, position, bytes: shipmentBytes(held.shipment), milliseconds });
      this.#owner.sent(work, held);
      // Until it has taken on the entries behind it: these, too, are to be here still.
      clock.schedule(limits.shipmentKeptMs, () => held.release());
      return;
    }
    held?.release();
    this.#failed += 1;
    observer.event("snapshot-not-sent", { node: work.node, reason: failure });
    clock.schedule(limits.shipmentRetryMs, () => {
      if (this.#stopped) return;
      for (const node of this.#waiting.keys()) if (!this.#owner.needs(node)) this.#waiting.delete(node);
      this.#owner.failed(work);
    });
  }

  /** Closes and waits for what the snapshot stands on, and what is behind it up to `upTo`, should it not be sealed yet. */
  async #hold(upTo: LogIndex): Promise<Held | undefined> {
    const { log, clock, limits, diskId } = this.#parts;
    const until = clock.monotonic() + limits.sealWaitMsMax;
    for (let first = true; !this.#stopped; first = false) {
      const held = await log.hold(diskId);
      const isEnough = held !== undefined && held.shipment.end.index >= upTo;
      if (isEnough || clock.monotonic() >= until) return held;
      held?.release();
      if (first) await log.roll();
      await new Promise<void>((resolve) => void clock.schedule(limits.tickMs, resolve));
    }
    return undefined;
  }

  /** Why it came to nothing, or undefined. */
  async #ship({ node }: SnapshotWork, held: Held): Promise<string | undefined> {
    const { clock, limits, transfers, observer } = this.#parts;
    const { shipment } = held;
    const term = this.#owner.leads;
    const until = clock.monotonic() + limits.shipmentMsMax;
    const sending: Sending = { shipment, listed: false, sentBytes: 0 };
    this.#sending.set(node, sending);
    const list = encodeShipment(shipment);
    observer.event("snapshot-sending", { node, position: shipment.position, bytes: shipmentBytes(shipment) });
    const listed = await transfers.send(node, {
      name: LIST_TRANSFER_NAME,
      length: list.length,
      read: (offset, length) => Promise.resolve(list.subarray(offset, offset + length)),
    });
    if (!listed.ok) return listed.error;
    sending.listed = true;
    for (const [at, file] of shipment.files.entries()) {
      if (this.#stopped || this.#owner.leads !== term) return "this node leads no more";
      if (clock.monotonic() >= until) return `it took longer than ${limits.shipmentMsMax} ms`;
      const sent = await transfers.send(node, {
        name: fileTransferName(list, at),
        length: file.bytes,
        read: (offset, length) => held.read(file, offset, length),
      });
      if (!sent.ok) return `${file.kind} ${file.number}: ${sent.error}`;
      sending.sentBytes += file.bytes;
    }
    return undefined;
  }
}
