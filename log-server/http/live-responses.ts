/**
 * Answers that wait: long-polls and SSE. Each has a signal that fires when its time is over, its client has gone, or
 * the server closes; they are counted and bounded, so that shutdown can end them all and overload refuses more. A node that is
 * drained ends them, too, and refuses more, so that clients go to another.
 */
import type { ServerResponse } from "node:http";
import type { LogNode } from "../node/log-node.ts";
import { HttpError } from "./http-error.ts";
import type { HttpObserver } from "./observer.ts";

const DRAINED = "the node is drained: ask another";

export interface LiveResponse {
  /** Aborted when there is nothing more to wait for. */
  readonly signal: AbortSignal;
  /** Whether anyone is left to answer. */
  readonly connected: boolean;
  /** Must be called once, when the answer has ended. */
  finish(): void;
}

export class LiveResponses {
  readonly #node: Pick<LogNode, "clock" | "drain">;
  readonly #observer: HttpObserver;
  readonly #max: number;
  readonly #open = new Set<AbortController>();
  readonly #stopHearing: () => void;
  #closing = false;

  constructor(node: Pick<LogNode, "clock" | "drain">, observer: HttpObserver, max: number) {
    this.#node = node;
    this.#observer = observer;
    this.#max = max;
    this.#stopHearing = node.drain.onBegin(() => this.#endAll());
  }

  get count(): number {
    return this.#open.size;
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Throws `overloaded` at the bound, and `unavailable` where the node is drained. */
  open(raw: ServerResponse, timeoutMs: number): LiveResponse {
    if (this.#node.drain.on) throw new HttpError("unavailable", DRAINED);
    if (this.#open.size >= this.#max) throw new HttpError("overloaded", "too many readers are waiting");
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    this.#open.add(controller);
    this.#observer.liveReaders(1);
    if (this.#closing || raw.destroyed) abort();
    raw.once("close", abort);
    const timer = this.#node.clock.schedule(timeoutMs, abort);
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
    this.#stopHearing();
    this.#endAll();
  }

  #endAll(): void {
    for (const controller of this.#open) controller.abort();
  }
}
