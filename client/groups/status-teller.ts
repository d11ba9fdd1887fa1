/** Tells of a connection that breaks and comes back, from the failures and successes of calls that go on trying. */
import type { TidemarkError } from "../error.ts";
import type { ReadStatus } from "../reading/record-stream.ts";

export class StatusTeller {
  readonly #tell: ((status: ReadStatus) => void) | undefined;
  #attempts: number | undefined;

  constructor(tell: ((status: ReadStatus) => void) | undefined) {
    this.#tell = tell;
  }

  /** An attempt failed, and is made again. */
  failed(error: TidemarkError): void {
    this.#attempts = (this.#attempts ?? 0) + 1;
    this.#tell?.({ kind: "disconnected", error, attempts: this.#attempts, retryInMs: error.retryAfterMs ?? 0 });
  }

  connected(): void {
    if (this.#attempts === 0) return;
    this.#attempts = 0;
    this.#tell?.({ kind: "connected" });
  }
}
