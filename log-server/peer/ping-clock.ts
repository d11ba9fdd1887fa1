/** Pings of one connection: what to send, how long an answer took, and for how long there was none. */
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import type { Clock } from "../../src/ports/clock.ts";

/** A ping's payload: its number. */
export const PING_BYTES = 8;

export class PingClock {
  readonly #clock: Clock;
  #answeredAtMs = 0;
  #number = 0;
  #sentAtMs = 0;
  #rttMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The last measured round trip; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  /** Milliseconds since the last answer, or since the start. */
  get silentMs(): number {
    return this.#clock.monotonic() - this.#answeredAtMs;
  }

  start(): void {
    this.#answeredAtMs = this.#clock.monotonic();
  }

  next(): Uint8Array {
    this.#number += 1;
    this.#sentAtMs = this.#clock.monotonic();
    return new ByteWriter().int(this.#number).finish();
  }

  /** Only an answer to the newest ping is measured; any answer to one of ours shows that both ways work. */
  onPong(payload: Uint8Array): void {
    const reader = new ByteReader(payload);
    const number = reader.int();
    if (!reader.complete || number === 0 || number > this.#number) return;
    this.#answeredAtMs = this.#clock.monotonic();
    if (number === this.#number) this.#rttMs = this.#answeredAtMs - this.#sentAtMs;
  }
}
