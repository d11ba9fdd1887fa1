/**
 * Takes what the leader ships (`incoming.ts` has the files), and says whether a snapshot that Raft is told of is here. Once one
 * was told of, it stands still: what is here then takes the place of the log, or is of no use.
 */
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { Clock } from "../../../src/ports/clock.ts";
import { type Disk, DiskError } from "../../../src/ports/disk.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { FileSink, Incoming } from "../../log/snapshots/incoming.ts";
import { decodeShipment, encodeShipment, type Shipment, shipmentBytes } from "../../log/snapshots/shipment.ts";
import { SHIPMENT_LIMITS } from "../../log/disk/storage-limits.ts";
import type { NodeId, Snapshot } from "../../raft/types.ts";
import type { ByteSink } from "./incoming-transfer.ts";
import type { NodeLimits } from "../limits.ts";
import type { NodeObserver } from "../observer.ts";

export const LIST_TRANSFER_NAME = "snapshot files";
const FILE_NAME = /^snapshot file ([0-9a-f]{1,16}) ([0-9]{1,9})$/;
const HEX = 16;

/** Of the file at this place in a list. */
export function fileTransferName(list: Uint8Array, at: number): string {
  return `snapshot file ${xxh64(list).toString(HEX)} ${at}`;
}

export type ReceiverParts = {
  readonly clock: Clock;
  readonly disk: Pick<Disk, "freeBytes">;
  readonly incoming: Incoming;
  readonly logId: number;
  readonly limits: Pick<NodeLimits, "lowWaterBytes">;
  readonly observer: NodeObserver;
};

export interface ReceiverOwner {
  /** Whose shipments are taken. */
  readonly leader: NodeId | undefined;
  /** The disk failed. */
  diskFailed(error: unknown): void;
}

export type ReceivingStatus = {
  readonly position: LogIndex;
  readonly bytes: number;
  readonly receivedBytes: number;
  /** Since something of it was taken, or this life began. */
  readonly idleMs: number;
};

export class SnapshotReceiver {
  readonly #parts: ReceiverParts;
  readonly #owner: ReceiverOwner;
  /** What uses the disk follows one another. */
  #last: Promise<unknown> = Promise.resolve();
  /** Of the newest transfer that was accepted: an older one's sink is closed. */
  #transfer = 0;
  #open: FileSink | undefined;
  #list: { readonly shipment: Shipment; readonly hash: string } | undefined;
  #frozen = false;
  /** When something was taken. */
  #progressAtMs: number;
  #receivedBytes = 0;

  constructor(parts: ReceiverParts, owner: ReceiverOwner) {
    this.#parts = parts;
    this.#owner = owner;
    this.#progressAtMs = parts.clock.monotonic();
  }

  get status(): ReceivingStatus | undefined {
    const { incoming, clock } = this.#parts;
    const { shipment, receivedBytes } = incoming;
    const idleMs = clock.monotonic() - this.#progressAtMs;
    return shipment && { position: shipment.position, bytes: shipmentBytes(shipment), receivedBytes, idleMs };
  }

  /** Taken since the start, of whatever was shipped. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** See `Transfers`. */
  accept(from: string, name: string, length: number): Promise<Result<ByteSink, string>> {
    return this.#inTurn(async () => {
      if (this.#frozen) return err("a snapshot is being installed");
      if (from !== this.#owner.leader) return err("this node follows another leader, or none");
      await this.#open?.abandon();
      this.#open = undefined;
      this.#transfer += 1;
      return ok(name === LIST_TRANSFER_NAME ? this.#listSink(length) : await this.#fileSink(name, length));
    }).catch((error: unknown) => err(error instanceof Error ? error.message : String(error)));
  }

  /** It is here, whole and verified. From here on nothing of it changes, until `discard`. */
  freeze({ index, term }: Snapshot): boolean {
    const { incoming } = this.#parts;
    const { shipment } = incoming;
    if (!incoming.complete || shipment?.position !== index || shipment.term !== term) return false;
    this.#frozen = true;
    return true;
  }

  /** It is to be shipped once more, as far as it is another then. */
  thaw(): void {
    this.#frozen = false;
  }

  /** Nobody needs what was shipped, or is being shipped. */
  discard(): void {
    void this.#inTurn(async () => {
      await this.#open?.abandon();
      this.#open = undefined;
      this.#transfer += 1;
      this.#list = undefined;
      await this.#parts.incoming.discard();
    })
      .catch(() => undefined)
      .finally(() => {
        this.#frozen = false;
      });
  }

  /** See `Incoming.decide`. */
  decide(): Promise<void> {
    const { incoming, observer } = this.#parts;
    return this.#inTurn(async () => {
      const { shipment, damagedFiles } = incoming;
      await incoming.decide();
      observer.event("snapshot-received", { position: shipment?.position, end: shipment?.end.index, damagedFiles });
    });
  }

  #listSink(length: number): ByteSink {
    if (length > SHIPMENT_LIMITS.listBytesMax) throw new Error("the list of files is too long");
    const list = new Uint8Array(length);
    const transfer = this.#transfer;
    let filled = 0;
    return {
      offset: 0,
      write: (bytes) => {
        list.set(bytes, filled);
        filled += bytes.length;
        return Promise.resolve();
      },
      finish: () =>
        this.#inTurn(async () => (transfer === this.#transfer && !this.#frozen ? this.#begin(list) : "another came")),
      abandon: () => Promise.resolve(),
    };
  }

  /** Why it is not taken, or undefined. */
  async #begin(list: Uint8Array): Promise<string | undefined> {
    const { disk, incoming, limits, logId, observer } = this.#parts;
    const shipment = decodeShipment(list);
    if (shipment === undefined || shipment.logId !== logId) return "this is not a list of this log's files";
    const before = incoming.shipment;
    const isSame = before !== undefined && fileTransferName(encodeShipment(before), 0) === fileTransferName(list, 0);
    if (!isSame) {
      this.#list = undefined;
      await incoming.begin(shipment);
      this.#progressAtMs = this.#parts.clock.monotonic();
      const { position } = shipment;
      observer.event("snapshot-receiving", { position, bytes: shipmentBytes(shipment), here: incoming.receivedBytes });
    }
    const missing = shipmentBytes(shipment) - incoming.receivedBytes;
    if ((await disk.freeBytes()) < missing + limits.lowWaterBytes) return `the disk has no room for ${missing} bytes`;
    this.#list = { shipment: incoming.shipment ?? shipment, hash: xxh64(list).toString(HEX) };
    return undefined;
  }

  async #fileSink(name: string, length: number): Promise<ByteSink> {
    const match = FILE_NAME.exec(name);
    const file = this.#list?.shipment.files[Number(match?.[2])];
    if (file === undefined || match?.[1] !== this.#list?.hash || file.bytes !== length)
      throw new Error("it is in no list that was sent before");
    const sink = await this.#parts.incoming.sink(file);
    this.#open = sink;
    const transfer = this.#transfer;
    const mine = <T>(work: () => Promise<T>): Promise<T> =>
      this.#inTurn(() => {
        if (transfer !== this.#transfer) throw new Error("another transfer took its place");
        return work();
      });
    return {
      offset: sink.offset,
      write: (bytes) =>
        mine(async () => {
          await sink.write(bytes);
          this.#receivedBytes += bytes.length;
          this.#progressAtMs = this.#parts.clock.monotonic();
        }),
      finish: () =>
        mine(async () => {
          this.#open = undefined;
          return sink.finish();
        }),
      abandon: () =>
        mine(async () => {
          this.#open = undefined;
          return sink.abandon();
        }),
    };
  }

  /** A failed sync is final for what is beside the log, too (P30); a lack of space is not. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work).catch((error: unknown) => {
      if (error instanceof DiskError && error.code !== "no-space") this.#owner.diskFailed(error);
      throw error;
    });
    this.#last = done.catch(() => undefined);
    return done;
  }
}
