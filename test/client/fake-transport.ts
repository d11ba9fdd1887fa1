/**
 * A transport to a `FakeServer` that fails as it is told: one fault an attempt, in order, and then none.
 */
import { TidemarkError, withOutcome } from "../../client/error.ts";
import { CLIENT_LIMITS } from "../../client/limits.ts";
import type { CallSignal } from "../../client/call-signal.ts";
import type { Transport } from "../../client/transport/transport.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import type { ReadRequest, Request } from "../../src/wire/request.ts";
import type { Response } from "../../src/wire/response.ts";
import type { FakeServer } from "./fake-server.ts";

/**
 * `refuse`: never sent. `lose-request`: sent and lost. `lose-answer`: done, the answer lost. `late`: the answer lost, and
 * done only after the next request that gets through. `hang`: no answer at all. Else: an error answer.
 */
export type Fault =
  | "none"
  | "refuse"
  | "lose-request"
  | "lose-answer"
  | "late"
  | "hang"
  | { readonly error: ErrorCode };

export class FakeTransport implements Transport {
  readonly server: FakeServer;
  readonly requests: Request[] = [];
  readonly faults: Fault[] = [];
  /** While true nothing is answered; what is asked waits in order. */
  held = false;
  closed = false;
  readonly #late: Request[] = [];
  readonly #waiting: (() => void)[] = [];
  /** Held requests, in order: none overtakes another. */
  readonly #line: Request[] = [];

  readonly #clock: Clock;

  constructor(server: FakeServer, clock: Clock) {
    this.#clock = clock;
    this.server = server;
  }

  commands(): readonly Request[] {
    return this.requests.filter((request) => request.kind === "command");
  }

  release(): void {
    this.held = false;
    this.#wake();
  }

  async request(request: Request, signal: CallSignal): Promise<Response> {
    this.requests.push(request);
    const fault = this.faults.shift() ?? "none";
    if (this.held || this.#line.length > 0) await this.#standInLine(request, signal);
    if (signal.aborted) throw signal.reason;
    switch (fault) {
      case "none":
        return this.#handle(request, signal);
      case "refuse":
        throw new TidemarkError("connection-failed");
      case "lose-request":
        throw new TidemarkError("connection-lost");
      case "lose-answer":
        this.server.handle(request);
        this.#wake();
        throw new TidemarkError("connection-lost");
      case "late":
        this.#late.push(request);
        throw new TidemarkError("connection-lost");
      case "hang":
        return this.#hang(signal);
      default:
        return { kind: "error", position: this.server.position, code: fault.error, message: fault.error };
    }
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  async #standInLine(request: Request, signal: CallSignal): Promise<void> {
    this.#line.push(request);
    try {
      while (this.held || this.#line[0] !== request) await this.#changed(signal, "unknown");
    } finally {
      this.#line.splice(this.#line.indexOf(request), 1);
      this.#wake();
    }
  }

  /** As a real transport does, it gives up in the end. */
  #hang(signal: CallSignal): Promise<never> {
    return new Promise((_, reject) => {
      const timer = this.#clock.schedule(CLIENT_LIMITS.attemptTimeoutMs, () =>
        reject(new TidemarkError("connection-lost")),
      );
      const onAbort = (): void => {
        timer.cancel();
        reject(withOutcome(signal.reason as TidemarkError, "unknown"));
      };
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  async #handle(request: Request, signal: CallSignal): Promise<Response> {
    if (request.kind === "read" && request.waitMs > 0) await this.#longPoll(request, signal);
    const response = this.server.handle(request);
    for (const late of this.#late.splice(0)) this.server.handle(late);
    if (request.kind === "command") this.#wake();
    return response;
  }

  async #longPoll(request: ReadRequest, signal: CallSignal): Promise<void> {
    let over = false;
    const timer = this.#clock.schedule(request.waitMs, () => {
      over = true;
      this.#wake();
    });
    try {
      while (!over && this.server.atTail(request)) await this.#changed(signal, "not-applied");
    } finally {
      timer.cancel();
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Waits for anything to happen, or rejects with the signal's reason. */
  #changed(signal: CallSignal, outcome: "unknown" | "not-applied"): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(withOutcome(signal.reason as TidemarkError, outcome));
      if (signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
    });
  }
}
