/**
 * One append on its way: what an `AppendSession` knows of it from the call to its settlement. It may be several calls'
 * at once: they share its batch, in order, and each gets its own part of the answer.
 */
import { assert } from "../../src/lib/assert.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { Offset } from "../../src/record/offset.ts";
import type { AppendedResult } from "../../src/wire/command.ts";
import type { CallEnding } from "../call-signal.ts";
import type { Deadline } from "../deadline.ts";
import { withOutcome, type Outcome, type TidemarkError } from "../error.ts";

/** An append without its tag and stream. */
export type AppendRequest = {
  readonly batch?: BatchRef;
  readonly close: boolean;
  readonly expectedOffset?: Offset;
  readonly contentType?: string;
};

/**
 * How the newest attempt ended, if it did not settle the entry. `again`: no answer, or "later". `gap`: refused
 * because an earlier sequence is missing. `apart`: nothing was done of a run, or of a batch that several calls share, and
 * who of them is to blame shows when each is sent alone. `rejected`: refused for good.
 */
export type Verdict = "again" | "gap" | "apart" | "rejected";

export type Tag = { readonly epoch: number; readonly sequence: number };

/** Who made the call, and how many of the batch's offsets are its own. */
export type Caller = {
  readonly span: number;
  readonly resolve: (result: AppendedResult) => void;
  readonly reject: (error: TidemarkError) => void;
};

export class AppendEntry {
  readonly request: AppendRequest;
  readonly bytes: number;
  /** On the clock's monotonic time. */
  readonly madeAtMs: number;
  readonly deadline: Deadline;
  /** One at least. */
  readonly callers: readonly Caller[];
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

  constructor(request: AppendRequest, madeAtMs: number, deadline: Deadline, callers: readonly Caller[]) {
    this.request = request;
    this.madeAtMs = madeAtMs;
    this.bytes = request.batch?.length ?? 0;
    this.deadline = deadline;
    this.callers = callers;
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
    if (!this.#settle()) return;
    const [first] = this.callers;
    if (this.callers.length === 1) {
      first?.resolve(result);
      return;
    }
    let offset = result.firstOffset;
    assert(offset !== undefined, "what several calls share has a batch, and its answer an offset");
    for (const { span, resolve } of this.callers) {
      resolve({ ...result, firstOffset: offset, nextOffset: offset + span });
      offset += span;
    }
  }

  /** Fails it with what is known of its own effect; the error may be another's. */
  fail(error: TidemarkError): void {
    if (!this.#settle()) return;
    const told = withOutcome(error, outcomeOf(error, this.uncertain));
    for (const { reject } of this.callers) reject(told);
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
