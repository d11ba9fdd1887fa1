/**
 * Answers that wait: long-polls and SSE. Each has a signal that fires when its time is over, its client has gone, or
 * the server closes; they are counted and bounded, so that shutdown can end them all and overload refuses more.
 */
import type { ServerResponse } from "node:http";
import type { Clock } from "../../src/ports/clock.ts";
import { HttpError } from "./http-error.ts";
import type { HttpObserver } from "./observer.ts";

export interface LiveResponse {
  /** Aborted when there is nothing more to wait for. */
  readonly signal: AbortSignal;
  /** Whether anyone is left to answer. */
  readonly connected: boolean;
  /** Must be called once, when the answer has ended. */
  finish(): void;
}

export class LiveResponses {
  readonly #clock: Clock;
  readonly #observer: HttpObserver;
  readonly #max: number;
  readonly #open = new Set<AbortController>();
  #closing = false;

  constructor(clock: Clock, observer: HttpObserver, max: number) {
    this.#clock = clock;
    this.#observer = observer;
    this.#max = max;
  }

  get count(): number {
    return this.#open.size;
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Throws `overloaded` at the bound. */
  open(raw: ServerResponse, timeoutMs: number): LiveResponse {
    if (this.#open.size >= this.#max) throw new HttpError("overloaded", "too many readers are waiting");
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    this.#open.add(controller);
    this.#observer.liveReaders(1);
    if (this.#closing || raw.destroyed) abort();
    raw.once("close", abort);
    const timer = this.#clock.schedule(timeoutMs, abort);
    return {
      signal: controller.signal,
      get connected(): boolean {
        return !raw.destroyed;
      },
      finish: () => {
        timer.cancel();
        raw.off("close", abort);
        if (this.#open.delete(controller)) this.#observer.liveReaders(-1);
      },
    };
  }

  /** Ends all, and from now on lets none wait. */
  close(): void {
    this.#closing = true;
    for (const controller of this.#open) controller.abort();
  }
}
