/**
 * How a node gets to where entries go on if it is too far behind for them: both ends of shipping a snapshot, over the
 * lane `bulk` of the link.
 */
import type { Entropy } from "../../../src/ports/entropy.ts";
import type { LinkListener } from "../../../src/ports/link.ts";
import type { NodeParts } from "../node-parts.ts";
import { type ReceiverOwner, SnapshotReceiver } from "./snapshot-receiver.ts";
import { type SenderOwner, type SendingTotals, SnapshotSender } from "./snapshot-sender.ts";
import { Transfers } from "./transfers.ts";

/** Of snapshots and what goes with them, since the start. */
export type ShippingTotals = SendingTotals & {
  /** Taken by this node's disk. */
  readonly receivedBytes: number;
};

export class CatchUp implements Omit<LinkListener, "message" | "unreachable"> {
  readonly sender: SnapshotSender;
  readonly receiver: SnapshotReceiver;
  readonly #transfers: Transfers;

  constructor(
    parts: NodeParts,
    link: ConstructorParameters<typeof Transfers>[0]["link"],
    owner: SenderOwner & ReceiverOwner,
  ) {
    const { clock, entropy } = parts;
    this.receiver = new SnapshotReceiver(parts, owner);
    this.#transfers = new Transfers({
      link,
      clock,
      firstId: drawId(entropy),
      accept: (from, name, length) => this.receiver.accept(from, name, length),
      taken: (to, bytes) => this.sender.taken(to, bytes),
    });
    this.sender = new SnapshotSender({ ...parts, transfers: this.#transfers }, owner);
  }

  get totals(): ShippingTotals {
    return { ...this.sender.totals, receivedBytes: this.receiver.receivedBytes };
  }

  message(from: string, bytes: Uint8Array): void {
    this.#transfers.message(from, bytes);
  }

  reachable(peer: string): void {
    this.#transfers.reachable(peer);
  }

  room(peer: string): void {
    this.#transfers.room(peer);
  }

  /** Resolves when nothing is written any more. */
  async stop(): Promise<void> {
    this.sender.stop();
    await this.#transfers.close();
  }
}

const ID_BYTES = 6;

/** So that a transfer of an earlier life is not taken for one of this. */
function drawId(entropy: Entropy): number {
  return entropy.bytes(ID_BYTES).reduce((id, byte) => id * 0x100 + byte, 0);
}
