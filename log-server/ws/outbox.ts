/**
 * The way out of one connection. It gathers the frames of one turn of the loop into one message, so that a thousand
 * acknowledgements are one write, and knows how much the peer has not taken yet: producers of records wait for room, and
 * a peer that takes nothing at all is noticed.
 */
import type { Clock } from "../../src/ports/clock.ts";
import { concat } from "../../src/lib/bytes.ts";
import type { WsLimits } from "./limits.ts";

/** The part of a WebSocket that sends. */
export interface Sender {
  readonly bufferedAmount: number;
  send(data: Uint8Array | string, options: { readonly binary: boolean }, done: (error?: Error) => void): void;
}

export class Outbox {
  readonly #sender: Sender;
  readonly #limits: WsLimits;
  readonly #clock: Clock;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #flushPlanned = false;
  /** Messages given to the socket and not taken by it. */
  #unsent = 0;
  /** When the peer last took something, or had nothing to take. */
  #progressAtMs: number;
  #closed = false;
  readonly #waiting = new Set<() => void>();

  constructor(sender: Sender, limits: WsLimits, clock: Clock) {
    this.#sender = sender;
    this.#limits = limits;
    this.#clock = clock;
    this.#progressAtMs = clock.monotonic();
  }

  /** Less is unsent than may be. */
  get hasRoom(): boolean {
    return this.#gatheredBytes + this.#sender.bufferedAmount < this.#limits.sendBufferBytes;
  }

  /** For how long the peer has taken nothing of what is there for it. */
  stalledMs(): number {
    return this.#unsent === 0 ? 0 : this.#clock.monotonic() - this.#progressAtMs;
  }

  sendFrame(frame: Uint8Array): void {
    if (this.#closed) return;
    this.#gathered.push(frame);
    this.#gatheredBytes += frame.length;
    if (this.#gatheredBytes >= this.#limits.gatherBytesMax) {
      this.flush();
    } else if (!this.#flushPlanned) {
      this.#flushPlanned = true;
      // Behind all the promises of this turn: those of one entry's commands resolve together.
      process.nextTick(() => {
        this.#flushPlanned = false;
        this.flush();
      });
    }
  }

  sendText(text: string): void {
    if (this.#closed) return;
    this.flush();
    this.#send(text, false);
  }

  /** Gives what is gathered to the socket now. */
  flush(): void {
    const frames = this.#gathered;
    if (frames.length === 0 || this.#closed) return;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#send(frames.length === 1 ? (frames[0] as Uint8Array) : concat(frames), true);
  }

  /** Resolves when there is room, or when nothing more will be sent. */
  room(): Promise<void> {
    if (this.hasRoom || this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
    });
  }

  /** Nothing more is sent; whoever waits goes on. */
  close(): void {
    this.#closed = true;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#wake();
  }

  #send(data: Uint8Array | string, binary: boolean): void {
    if (this.#unsent === 0) this.#progressAtMs = this.#clock.monotonic();
    this.#unsent += 1;
    this.#sender.send(data, { binary }, () => {
      this.#unsent -= 1;
      this.#progressAtMs = this.#clock.monotonic();
      if (this.#waiting.size > 0 && this.hasRoom) this.#wake();
    });
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}
