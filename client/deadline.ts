/**
 * When a caller stops waiting: its `AbortSignal` and its time-out as one signal whose reason is a `TidemarkError`.
 */
import type { Clock, Timer } from "../src/ports/clock.ts";
import { CallEnding, type CallSignal } from "./call-signal.ts";
import { TidemarkError } from "./error.ts";

/** What every call takes. */
export type CallOptions = {
  /** Gives the call up. What was already sent may still take effect; the error's `outcome` says so. */
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole call, its retries included. */
  readonly timeout?: number;
};

export class Deadline {
  readonly #ending = new CallEnding();
  readonly #outer: CallSignal | undefined;
  readonly #onOuterAbort: (() => void) | undefined;
  readonly #timer: Timer | undefined;

  /** With an infinite `timeoutMs` only the signal ends it. Throws `invalid-argument` for what is no number from 0. */
  constructor(clock: Pick<Clock, "schedule">, outer: CallSignal | undefined, timeoutMs: number) {
    if (!(timeoutMs >= 0))
      throw new TidemarkError("invalid-argument", "`timeout` is a number of milliseconds from 0, perhaps infinite");
    this.#outer = outer;
    if (outer?.aborted === true) {
      this.#end(abortedBy(outer));
      return;
    }
    if (outer !== undefined) {
      this.#onOuterAbort = () => this.#end(abortedBy(outer));
      outer.addEventListener("abort", this.#onOuterAbort, { once: true });
    }
    if (Number.isFinite(timeoutMs)) {
      this.#timer = clock.schedule(timeoutMs, () => {
        this.#end(new TidemarkError("timeout", `not finished within ${timeoutMs} ms`));
      });
    }
  }

  get signal(): CallSignal {
    return this.#ending;
  }

  /** Why it is over, once it is. */
  get error(): TidemarkError | undefined {
    return this.signal.aborted ? (this.signal.reason as TidemarkError) : undefined;
  }

  /** Ends it now, for a reason of the callee's. */
  cancel(error: TidemarkError): void {
    this.#end(error);
  }

  /** Stops watching; the signal stays as it is. */
  release(): void {
    this.#timer?.cancel();
    if (this.#onOuterAbort !== undefined) this.#outer?.removeEventListener("abort", this.#onOuterAbort);
  }

  #end(error: TidemarkError): void {
    this.release();
    this.#ending.abort(error);
  }
}

/** The error for a caller's own abort; an SDK error used as the reason is passed on as it is. */
export function abortedBy(signal: CallSignal | undefined): TidemarkError {
  const reason: unknown = signal?.reason;
  return reason instanceof TidemarkError ? reason : new TidemarkError("aborted", undefined, { cause: reason });
}

/** Waits; rejects with the deadline's error if that comes first. */
export function sleep(clock: Clock, delayMs: number, signal: CallSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      timer.cancel();
      reject(abortedBy(signal));
    };
    const timer = clock.schedule(delayMs, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}
