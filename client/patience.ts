/**
 * How long a reader puts up with failures: attempts in a row, each after a pause, until something is heard again or the time is
 * over. What it tells its user then is the last reason; that the time is over alone would explain nothing.
 */
import type { Clock } from "../src/ports/clock.ts";
import { Backoff } from "./backoff.ts";
import type { Environment } from "./environment.ts";
import { TidemarkError } from "./error.ts";

export class Patience {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #timeoutMs: number;
  /** The failures since something was heard. */
  #failing: { readonly sinceMs: number; last: TidemarkError } | undefined;

  constructor({ clock, entropy }: Environment, timeoutMs: number) {
    this.#clock = clock;
    this.#backoff = new Backoff(entropy);
    this.#timeoutMs = timeoutMs;
  }

  /** The newest attempt failed. */
  get failing(): boolean {
    return this.#failing !== undefined;
  }

  /** Failures in a row so far. */
  get attempts(): number {
    return this.#backoff.attempts;
  }

  /** Milliseconds that an attempt made now may take. */
  get leftMs(): number {
    const nowMs = this.#clock.monotonic();
    return Math.max(0, this.#timeoutMs - (nowMs - (this.#failing?.sinceMs ?? nowMs)));
  }

  /** An attempt has been answered. */
  heard(): void {
    this.#backoff.reset();
    this.#failing = undefined;
  }

  /** How long to wait before the next attempt, in milliseconds. Throws `timeout` where the time would be over by then. */
  failed(error: TidemarkError): number {
    const nowMs = this.#clock.monotonic();
    this.#failing ??= { sinceMs: nowMs, last: error };
    this.#failing.last = error;
    const retryInMs = this.#backoff.next(error.retryAfterMs);
    if (nowMs + retryInMs - this.#failing.sinceMs > this.#timeoutMs) throw this.over();
    return retryInMs;
  }

  /** What ends the reading when the time is over. */
  over(): TidemarkError {
    const silent = `no answer for ${this.#timeoutMs} ms`;
    const last = this.#failing?.last;
    return last === undefined
      ? new TidemarkError("timeout", silent)
      : new TidemarkError("timeout", `${silent}: ${last.message}`, { cause: last });
  }
}
