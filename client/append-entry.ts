/**
 * One append on its way: what an `AppendSession` knows of it from the call to its settlement.
 */
import type { BatchRef } from "../src/record/batch.ts";
import type { Offset } from "../src/record/offset.ts";
import type { AppendedResult } from "../src/wire/command.ts";
import type { CallEnding } from "./call-signal.ts";
import type { Deadline } from "./deadline.ts";
import { withOutcome, type Outcome, type TidemarkError } from "./error.ts";

/** An append without its tag and stream. */
export type AppendRequest = {
  readonly batch?: BatchRef;
  readonly close: boolean;
  readonly expectedOffset?: Offset;
  readonly contentType?: string;
};

/**
 * How the newest attempt ended, if it did not settle the entry. `again`: no answer, or "later". `gap`: refused
 * because an earlier sequence is missing. `apart`: nothing was done of a run, and who of it is to blame shows when each
 * is sent alone. `rejected`: refused for good.
 */
export type Verdict = "again" | "gap" | "apart" | "rejected";

export type Tag = { readonly epoch: number; readonly sequence: number };

export class AppendEntry {
  readonly request: AppendRequest;
  readonly bytes: number;
  readonly deadline: Deadline;
  /** Set at the first attempt and kept over retries, which makes them harmless (I8). */
  tag: Tag | undefined;
  attempts = 0;
  /** The one under way, perhaps with others of a run. */
  attempt: CallEnding | undefined;
  /** Some attempt may have taken effect, or may yet: it ended without an answer. */
  uncertain = false;
  verdict: Verdict | undefined;
  lastError: TidemarkError | undefined;
  #settled = false;
  readonly #resolve: (result: AppendedResult) => void;
  readonly #reject: (error: TidemarkError) => void;

  constructor(
    request: AppendRequest,
    deadline: Deadline,
    resolve: (result: AppendedResult) => void,
    reject: (error: TidemarkError) => void,
  ) {
    this.request = request;
    this.bytes = request.batch?.length ?? 0;
    this.deadline = deadline;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Its caller has been answered, or has given up: it is retried only as far as the order of others needs it. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Whether it can go in one command with this one, as far as what they ask for goes. */
  goesWith(other: AppendEntry): boolean {
    return this.#isPlain && other.#isPlain && this.request.contentType === other.request.contentType;
  }

  get #isPlain(): boolean {
    const { batch, close, expectedOffset } = this.request;
    return batch !== undefined && !close && expectedOffset === undefined && this.verdict !== "apart";
  }

  accept(result: AppendedResult): void {
    if (this.#settle()) this.#resolve(result);
  }

  /** Fails it with what is known of its own effect; the error may be another's. */
  fail(error: TidemarkError): void {
    if (this.#settle()) this.#reject(withOutcome(error, outcomeOf(error, this.uncertain)));
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.deadline.release();
    return true;
  }
}

/**
 * Some refusals are decided after duplication (I8): had an earlier attempt been applied, the answer would have been
 * that one's. Any other says nothing about an earlier attempt that was not answered.
 */
export function outcomeOf(error: TidemarkError, uncertain: boolean): Outcome {
  if (error.outcome === "applied") return "applied";
  if (!uncertain) return "not-applied";
  switch (error.code) {
    case "stream-closed":
    case "content-type-mismatch":
    case "offset-mismatch":
    case "stream-sequence-conflict":
      return "not-applied";
    default:
      return "unknown";
  }
}
