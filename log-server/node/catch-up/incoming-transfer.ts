/**
 * Takes one transfer into a sink, in order and each byte once. What does not fit at the end of what is there is not
 * taken; the answer says where that is, and the sender goes on from there.
 */
import { unreachable } from "../../../src/lib/assert.ts";
import { concat } from "../../../src/lib/bytes.ts";
import type { Clock } from "../../../src/ports/clock.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import type { TransferLimits } from "./transfer-limits.ts";
import type { TransferMessage } from "./transfer-message.ts";

/** Where received bytes go. Calls never overlap. */
export interface ByteSink {
  /** How much of it is already here, from an earlier try: it goes on behind. */
  readonly offset: number;
  /** Appends. Rejects where that cannot be done; the transfer fails then. */
  write(bytes: Uint8Array): Promise<void>;
  /** All bytes are here. Resolves to what is wrong with them, or undefined if they are verified and durable. */
  finish(): Promise<string | undefined>;
  /** It ended before its end: what is here may be kept for another try. Nobody can do anything about its failure. */
  abandon(): Promise<void>;
}

type Phase =
  | { readonly kind: "receiving" }
  | { readonly kind: "finishing" }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly reason: string };

export type IncomingParts = {
  readonly clock: Clock;
  readonly limits: TransferLimits;
  readonly send: (message: TransferMessage) => boolean;
};

export class IncomingTransfer {
  readonly #id: number;
  readonly #length: number;
  readonly #sink: ByteSink;
  readonly #parts: IncomingParts;
  #phase: Phase = { kind: "receiving" };
  /** With the sink. */
  #taken: number;
  /** Received, and on their way into the sink. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writing = false;
  #heardAtMs: number;

  constructor(id: number, length: number, sink: ByteSink, parts: IncomingParts) {
    this.#id = id;
    this.#length = length;
    this.#sink = sink;
    this.#parts = parts;
    this.#taken = sink.offset;
    this.#heardAtMs = parts.clock.monotonic();
    if (this.#taken > length) this.#phase = { kind: "failed", reason: "more is here than is offered" };
    this.answer();
    void this.#write();
  }

  get over(): boolean {
    return this.#phase.kind === "done" || this.#phase.kind === "failed";
  }

  /** Since something came. */
  get silentMs(): number {
    return this.#parts.clock.monotonic() - this.#heardAtMs;
  }

  /** Says how far it is. */
  answer(): void {
    const phase = this.#phase;
    const id = this.#id;
    this.#heardAtMs = this.#parts.clock.monotonic();
    switch (phase.kind) {
      case "receiving":
      case "finishing":
        this.#parts.send({ kind: "taken", id, offset: this.#taken });
        return;
      case "done":
        this.#parts.send({ kind: "done", id });
        return;
      case "failed":
        this.#parts.send({ kind: "failed", id, reason: phase.reason });
        return;
      default:
        unreachable(phase);
    }
  }

  onChunk(offset: number, hash: bigint, bytes: Uint8Array): void {
    if (this.#phase.kind !== "receiving") return;
    this.#heardAtMs = this.#parts.clock.monotonic();
    const expected = this.#taken + this.#waitingBytes;
    const fits = offset === expected && bytes.length <= this.#length - expected;
    const room = this.#waitingBytes + bytes.length <= this.#parts.limits.windowBytes;
    // One that does not fit was sent before the sender knew; its doubts end with its next offer.
    if (!fits || !room || bytes.length === 0 || xxh64(bytes) !== hash) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    void this.#write();
  }

  /** The sender has given up, or was silent for too long. */
  async abandon(reason: string): Promise<void> {
    if (this.over || this.#phase.kind === "finishing") return;
    this.#phase = { kind: "failed", reason };
    this.#waiting = [];
    this.#waitingBytes = 0;
    // A write that is under way closes the sink when it is over.
    if (!this.#writing) await this.#sink.abandon().catch(() => undefined);
  }

  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    try {
      while (this.#waiting.length > 0) {
        // Of what came during one write another one is made, and one answer.
        const bytes = concat(this.#waiting.splice(0));
        await this.#sink.write(bytes);
        if (this.over) break;
        this.#taken += bytes.length;
        this.#waitingBytes -= bytes.length;
        this.answer();
      }
      if (!this.over && this.#taken === this.#length) await this.#finish();
      else if (this.over) await this.#sink.abandon();
    } catch (error) {
      this.#phase = { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
      this.answer();
      await this.#sink.abandon().catch(() => undefined);
    } finally {
      this.#writing = false;
    }
  }

  async #finish(): Promise<void> {
    this.#phase = { kind: "finishing" };
    const wrong = await this.#sink.finish();
    this.#phase = wrong === undefined ? { kind: "done" } : { kind: "failed", reason: wrong };
    this.answer();
  }
}
