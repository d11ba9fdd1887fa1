/**
 * All transfers of a node, both ways, over any link: the owner passes on what its listener hears on the lane `bulk`.
 * They share one pace, so that several at once starve appends no more than one.
 */
import { unreachable } from "../../../src/lib/assert.ts";
import { err, type Result } from "../../../src/lib/result.ts";
import type { Clock, Timer } from "../../../src/ports/clock.ts";
import type { Link } from "../../../src/ports/link.ts";
import { type ByteSink, IncomingTransfer } from "./incoming-transfer.ts";
import { TRANSFER_LIMITS, type TransferLimits } from "./transfer-limits.ts";
import { type ByteSource, OutgoingTransfer } from "./outgoing-transfer.ts";
import { TokenBucket } from "./token-bucket.ts";
import { decodeTransfer, encodeTransfer, type TransferMessage } from "./transfer-message.ts";

/** Where an offered transfer goes, or why it is not wanted. */
export type Accept = (from: string, name: string, length: number) => Promise<Result<ByteSink, string>>;

export type TransfersOptions = {
  readonly link: Link;
  readonly clock: Clock;
  /** Another one at each start, by chance or by counting: a transfer of an earlier life is not taken for one of this. */
  readonly firstId: number;
  readonly accept: Accept;
  /** See `TransferParts`. */
  readonly taken?: (to: string, bytes: number) => void;
  readonly limits?: TransferLimits;
};

type Outgoing = { readonly to: string; readonly transfer: OutgoingTransfer };
/** Undefined while `accept` decides. */
type Incoming = { readonly from: string; transfer: IncomingTransfer | undefined };

export class Transfers {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #accept: Accept;
  readonly #taken: NonNullable<TransfersOptions["taken"]>;
  readonly #limits: TransferLimits;
  readonly #bucket: TokenBucket;
  readonly #outgoing = new Map<number, Outgoing>();
  /** By peer and id; those that are over stay, to answer again, until others need their place. */
  readonly #incoming = new Map<string, Incoming>();
  #nextId: number;
  #sweep: Timer | undefined;
  #closed = false;

  constructor(options: TransfersOptions) {
    this.#link = options.link;
    this.#clock = options.clock;
    this.#accept = options.accept;
    this.#taken = options.taken ?? (() => undefined);
    this.#limits = options.limits ?? TRANSFER_LIMITS;
    this.#bucket = new TokenBucket(this.#limits.bytesPerSecond, options.clock.monotonic());
    this.#nextId = options.firstId;
    this.#scheduleSweep();
  }

  /** Resolves when the receiver has verified all of it, or with the reason why not. */
  async send(to: string, source: ByteSource): Promise<Result<void, string>> {
    if (this.#closed) return err("this node is stopping");
    if (this.#outgoing.size >= this.#limits.transfersMax) return err("too many transfers are under way");
    const id = this.#nextId;
    this.#nextId += 1;
    const transfer = new OutgoingTransfer(id, source, {
      clock: this.#clock,
      limits: this.#limits,
      bucket: this.#bucket,
      send: (message) => this.#say(to, message),
      taken: (bytes) => this.#taken(to, bytes),
    });
    this.#outgoing.set(id, { to, transfer });
    const result = await transfer.settled;
    this.#outgoing.delete(id);
    return result;
  }

  /** Bytes that each transfer's receiver has, for progress. */
  get progress(): { readonly to: string; readonly takenBytes: number }[] {
    return [...this.#outgoing.values()].map(({ to, transfer }) => ({ to, takenBytes: transfer.takenBytes }));
  }

  message(from: string, bytes: Uint8Array): void {
    const message = decodeTransfer(bytes);
    if (message === undefined || this.#closed) return;
    const outgoing = this.#outgoing.get(message.id);
    const ours = outgoing?.to === from ? outgoing.transfer : undefined;
    const theirs = this.#incoming.get(keyOf(from, message.id))?.transfer;
    switch (message.kind) {
      case "offer":
        void this.#onOffer(from, message.id, message.name, message.length);
        return;
      case "chunk":
        theirs?.onChunk(message.offset, message.hash, message.bytes);
        return;
      case "taken":
        ours?.onTaken(message.offset);
        return;
      case "done":
        ours?.onDone();
        return;
      case "failed":
        ours?.end(err(message.reason));
        void theirs?.abandon(message.reason);
        return;
      default:
        unreachable(message);
    }
  }

  reachable(peer: string): void {
    for (const { to, transfer } of this.#outgoing.values()) if (to === peer) transfer.offer();
  }

  room(peer: string): void {
    for (const { to, transfer } of this.#outgoing.values()) if (to === peer) transfer.wake();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#sweep?.cancel();
    for (const { transfer } of this.#outgoing.values()) transfer.cancel("this node is stopping");
    for (const { transfer } of this.#incoming.values()) await transfer?.abandon("this node is stopping");
  }

  async #onOffer(from: string, id: number, name: string, length: number): Promise<void> {
    const key = keyOf(from, id);
    const known = this.#incoming.get(key);
    if (known !== undefined) {
      known.transfer?.answer();
      return;
    }
    if (!this.#makeRoom()) {
      this.#say(from, { kind: "failed", id, reason: "too many transfers are under way" });
      return;
    }
    const incoming: Incoming = { from, transfer: undefined };
    this.#incoming.set(key, incoming);
    const sink = await this.#accept(from, name, length).catch((error: unknown) =>
      err(error instanceof Error ? error.message : String(error)),
    );
    if (!sink.ok) {
      this.#incoming.delete(key);
      this.#say(from, { kind: "failed", id, reason: sink.error });
    } else if (this.#closed) {
      await sink.value.abandon();
    } else {
      incoming.transfer = new IncomingTransfer(id, length, sink.value, {
        clock: this.#clock,
        limits: this.#limits,
        send: (message) => this.#say(from, message),
      });
    }
  }

  /** False if all that are here are still under way. */
  #makeRoom(): boolean {
    if (this.#incoming.size < this.#limits.transfersMax) return true;
    for (const [key, { transfer }] of this.#incoming) {
      if (transfer?.over === true) return this.#incoming.delete(key);
    }
    return false;
  }

  /** Forgets those whose sender has been silent for too long. */
  #scheduleSweep(): void {
    this.#sweep = this.#clock.schedule(this.#limits.giveUpMs, () => {
      for (const [key, { transfer }] of this.#incoming) {
        if (transfer === undefined || transfer.silentMs < this.#limits.giveUpMs) continue;
        this.#incoming.delete(key);
        void transfer.abandon("the sender is silent");
      }
      this.#scheduleSweep();
    });
  }

  #say(to: string, message: TransferMessage): boolean {
    return this.#link.send(to, "bulk", encodeTransfer(message));
  }
}

function keyOf(from: string, id: number): string {
  return `${id} ${from}`;
}
