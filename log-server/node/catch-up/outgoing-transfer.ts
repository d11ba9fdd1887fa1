/**
 * Sends one source to one peer: chunks within a window of what the peer's sink has taken, at the node's pace. Whatever
 * is lost or comes twice, the sender goes on from where the receiver says it is.
 */
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { Clock, Timer } from "../../../src/ports/clock.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import type { TransferLimits } from "./transfer-limits.ts";
import type { TokenBucket } from "./token-bucket.ts";
import type { TransferMessage } from "./transfer-message.ts";

/** Bytes that are shipped: a snapshot, a segment. They must not change while they are. */
export interface ByteSource {
  /** Tells the receiver what it is, and where it had got to with it. */
  readonly name: string;
  readonly length: number;
  /** Exactly `length` bytes from `offset` on, in memory that stays as it is. Rejects where they cannot be read. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

export type TransferParts = {
  readonly clock: Clock;
  readonly limits: TransferLimits;
  readonly bucket: TokenBucket;
  /** False: refused, and `wake` will be called when there is room. */
  readonly send: (message: TransferMessage) => boolean;
  /** The receiver's sink took so many bytes more; what it had from an earlier try is not among them. */
  readonly taken: (bytes: number) => void;
};

export class OutgoingTransfer {
  readonly id: number;
  /** Resolves when the receiver has verified the whole, or with why it never will. Never rejects. */
  readonly settled: Promise<Result<void, string>>;

  readonly #source: ByteSource;
  readonly #parts: TransferParts;
  readonly #settle: (result: Result<void, string>) => void;
  /** Undefined until the receiver has answered the last offer. */
  #taken: number | undefined;
  #sent = 0;
  /** Read, and not all of it sent. */
  #ahead: { readonly offset: number; readonly bytes: Uint8Array } = { offset: 0, bytes: new Uint8Array(0) };
  #pumping = false;
  #over = false;
  #pause: Timer | undefined;
  #watch: Timer | undefined;
  #progressAtMs: number;
  #offeredAtMs: number;

  constructor(id: number, source: ByteSource, parts: TransferParts) {
    this.id = id;
    this.#source = source;
    this.#parts = parts;
    const { promise, resolve } = Promise.withResolvers<Result<void, string>>();
    this.settled = promise;
    this.#settle = resolve;
    this.#progressAtMs = parts.clock.monotonic();
    this.#offeredAtMs = this.#progressAtMs;
    this.offer();
    this.#schedule();
  }

  /** Bytes that the receiver's sink has. */
  get takenBytes(): number {
    return this.#taken ?? 0;
  }

  /** Asks the receiver where it is: at the start, after a new connection, and when nothing is heard. */
  offer(): void {
    if (this.#over) return;
    this.#taken = undefined;
    this.#offeredAtMs = this.#parts.clock.monotonic();
    this.#parts.send({ kind: "offer", id: this.id, length: this.#source.length, name: this.#source.name });
  }

  /** There may be room again. */
  wake(): void {
    void this.#pump();
  }

  onTaken(offset: number): void {
    if (this.#over || offset > this.#source.length) return;
    const now = this.#parts.clock.monotonic();
    if (this.#taken === undefined) {
      this.#taken = offset;
      this.#sent = offset;
    } else if (offset > this.#taken) {
      this.#parts.taken(offset - this.#taken);
      this.#taken = offset;
      this.#sent = Math.max(this.#sent, offset);
    } else {
      return;
    }
    this.#progressAtMs = now;
    void this.#pump();
  }

  end(result: Result<void, string>): void {
    if (this.#over) return;
    this.#over = true;
    this.#pause?.cancel();
    this.#watch?.cancel();
    this.#settle(result);
  }

  /** Ends it here and there. */
  cancel(reason: string): void {
    if (this.#over) return;
    this.#parts.send({ kind: "failed", id: this.id, reason });
    this.end(err(reason));
  }

  onDone(): void {
    this.end(ok(undefined));
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (await this.#sendOne());
    } catch (error) {
      this.cancel(`the source cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.#pumping = false;
    }
  }

  /** False if there is nothing to be sent now; something will wake it. */
  async #sendOne(): Promise<boolean> {
    const { limits, bucket, clock, send } = this.#parts;
    const offset = this.#sent;
    const length = Math.min(limits.chunkBytes, this.#source.length - offset);
    if (this.#over || this.#taken === undefined || length === 0) return false;
    if (offset + length - this.#taken > limits.windowBytes) return false;
    const waitMs = bucket.waitMs(clock.monotonic());
    if (waitMs > 0) {
      this.#pause?.cancel();
      this.#pause = clock.schedule(waitMs, () => this.wake());
      return false;
    }
    bucket.spend(length);
    const bytes = await this.#read(offset, length);
    // The receiver may have said something else meanwhile.
    if (this.#over || this.#taken === undefined) return false;
    if (this.#sent !== offset) return true;
    if (!send({ kind: "chunk", id: this.id, offset, hash: xxh64(bytes), bytes })) return false;
    this.#sent = offset + length;
    return true;
  }

  async #read(offset: number, length: number): Promise<Uint8Array> {
    const from = offset - this.#ahead.offset;
    if (from < 0 || from + length > this.#ahead.bytes.length) {
      const bytes = await this.#source.read(
        offset,
        Math.min(Math.max(length, this.#parts.limits.readBytes), this.#source.length - offset),
      );
      this.#ahead = { offset, bytes };
      return bytes.subarray(0, length);
    }
    return this.#ahead.bytes.subarray(from, from + length);
  }

  #schedule(): void {
    const { clock, limits } = this.#parts;
    this.#watch = clock.schedule(limits.stallMs, () => {
      const now = clock.monotonic();
      if (now - this.#progressAtMs >= limits.giveUpMs) {
        this.cancel(`no progress for ${limits.giveUpMs} ms`);
        return;
      }
      if (now - Math.max(this.#progressAtMs, this.#offeredAtMs) >= limits.stallMs) this.offer();
      this.#schedule();
    });
  }
}
