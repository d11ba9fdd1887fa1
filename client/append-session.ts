/**
 * A session of idempotent appends to one stream: pipelined, in order, one command an append, bounded by what is
 * unacknowledged. Retries carry the same tag (I8), so they are invisible. It does not gather records: see `producer.ts`.
 *
 * The tags are dense, so after a failure nothing new is sent until every attempt in flight has ended; then what
 * must be sent again goes first, in its old order. Two things break the sequence: a command refused for good, and one
 * whose caller gave up. Then the session either stops, failing all that follows (`stop`: a producer's records reach the
 * stream without holes), or goes on in the next epoch, which fences whatever of the old one is still under way
 * (`continue`: appends that are independent of each other). It never gives a new tag to a command that may have been
 * applied under its old one.
 */
import type { Incarnation, Offset } from "../src/record/offset.ts";
import type { AppendCommand, AppendedResult, CommandResult, Rejection } from "../src/wire/command.ts";
import { AppendEntry, type AppendRequest } from "./append-entry.ts";
import { Backoff } from "./backoff.ts";
import { Deadline, type CallOptions } from "./deadline.ts";
import type { Environment } from "./environment.ts";
import { asTidemarkError, TidemarkError } from "./error.ts";
import { CLIENT_LIMITS } from "./limits.ts";
import { rejectionError } from "./rejection.ts";

/** Takes one command to the server, once, in the order of the calls. */
export type SendCommand = (command: AppendCommand, signal: AbortSignal) => Promise<CommandResult>;

export type AppendSessionOptions = {
  readonly stream: string;
  readonly producer: { readonly id: string; readonly epoch: number };
  readonly onRejected: "stop" | "continue";
  /** The id is not ours alone: a duplicate at the first sequence is a conflict. */
  readonly sharedId: boolean;
  readonly unacknowledgedBytesMax: number;
  readonly timeoutMs: number;
};

export class AppendSession {
  readonly #environment: Environment;
  readonly #send: SendCommand;
  readonly #options: AppendSessionOptions;
  readonly #backoff: Backoff;
  #epoch: number;
  #nextSequence = 0;
  #incarnation: Incarnation | undefined;
  /** Not sent, or to be sent again, in order. Bounded by `unacknowledgedBytesMax` and the count beside it. */
  readonly #waiting: AppendEntry[] = [];
  /** Sent and not settled, in order of their sequence. */
  #inFlight: AppendEntry[] = [];
  /** Attempts under way. */
  #attempts = 0;
  #unacknowledgedBytes = 0;
  #unacknowledged = 0;
  /** `flowing` sends; `draining` waits for the attempts in flight; `resting` waits out the backoff. */
  #mode: "flowing" | "draining" | "resting" | "stopped" = "flowing";
  /** A tag was used up by a command that will not be applied under it. */
  #holed = false;
  #stopError: TidemarkError | undefined;
  readonly #stopping = new AbortController();

  constructor(environment: Environment, send: SendCommand, options: AppendSessionOptions) {
    this.#environment = environment;
    this.#send = send;
    this.#options = options;
    this.#backoff = new Backoff(environment.entropy);
    this.#epoch = options.producer.epoch;
  }

  /** Nothing is under way or waiting. */
  get idle(): boolean {
    return this.#unacknowledged === 0;
  }

  /** Why it takes no more, once it does not. */
  get failure(): TidemarkError | undefined {
    return this.#stopError;
  }

  /**
   * Resolves when the append is durable. Rejects with a `TidemarkError` whose outcome is what is known of its effect;
   * with `buffer-full`, at once, if too much is unacknowledged.
   */
  append(request: AppendRequest, call: CallOptions = {}): Promise<AppendedResult> {
    if (this.#stopError !== undefined) return Promise.reject(this.#stopError);
    const bytes = request.batch?.length ?? 0;
    if (!this.#hasRoom(bytes)) return Promise.reject(new TidemarkError("buffer-full"));
    const deadline = new Deadline(this.#environment.clock, call.signal, call.timeout ?? this.#options.timeoutMs);
    if (deadline.error !== undefined) return Promise.reject(deadline.error);
    return new Promise((resolve, reject) => {
      const entry = new AppendEntry(request, deadline, resolve, reject);
      this.#unacknowledged += 1;
      this.#unacknowledgedBytes += bytes;
      deadline.signal.addEventListener("abort", () => this.#onGivenUp(entry), { once: true });
      this.#waiting.push(entry);
      this.#pump();
    });
  }

  /** Fails whatever is unsettled, and everything from now on. */
  stop(error: TidemarkError): void {
    if (this.#stopError !== undefined) return;
    this.#stopError = error;
    this.#mode = "stopped";
    // Entries in flight end through their attempts, which the abort ends: only the transport knows what was sent.
    this.#stopping.abort(error);
    for (const entry of this.#waiting.splice(0)) this.#drop(entry, error);
  }

  #hasRoom(bytes: number): boolean {
    if (this.#unacknowledged === 0) return true;
    return (
      this.#unacknowledgedBytes + bytes <= this.#options.unacknowledgedBytesMax &&
      this.#unacknowledged < CLIENT_LIMITS.unacknowledgedRecordsMax
    );
  }

  #pump(): void {
    while (this.#mode === "flowing" && this.#inFlight.length < CLIENT_LIMITS.commandsInFlightMax) {
      const entry = this.#waiting.shift();
      if (entry === undefined) return;
      this.#attempt(entry);
    }
  }

  #attempt(entry: AppendEntry): void {
    if (entry.tag === undefined) {
      entry.tag = { epoch: this.#epoch, sequence: this.#nextSequence };
      this.#nextSequence += 1;
    }
    entry.attempts += 1;
    entry.verdict = undefined;
    this.#inFlight.push(entry);
    this.#attempts += 1;
    // One whose caller gave up goes on for the order's sake alone, and no longer listens to its caller.
    const signal = entry.settled ? this.#stopping.signal : AbortSignal.any([entry.deadline.signal, this.#stopping.signal]);
    void this.#send(this.#command(entry), signal).then(
      (result) => this.#onResult(entry, result),
      (thrown: unknown) => this.#onFailure(entry, asTidemarkError(thrown)),
    );
  }

  #command(entry: AppendEntry): AppendCommand {
    const { request, tag } = entry;
    return {
      kind: "append",
      stream: this.#options.stream,
      close: request.close,
      ...(this.#incarnation !== undefined && { incarnation: this.#incarnation }),
      ...(request.contentType !== undefined && { contentType: request.contentType }),
      ...(request.batch !== undefined && { batch: request.batch }),
      ...(request.expectedOffset !== undefined && { expectedOffset: request.expectedOffset }),
      ...(tag !== undefined && { producer: { id: this.#options.producer.id, ...tag } }),
    };
  }

  #onResult(entry: AppendEntry, result: CommandResult): void {
    this.#attempts -= 1;
    switch (result.kind) {
      case "appended":
        this.#onAppended(entry, result);
        break;
      case "rejected":
        this.#onRejected(entry, result);
        break;
      default:
        this.#reject(entry, new TidemarkError("protocol-error", `an append was answered with "${result.kind}"`));
    }
    this.#afterAttempt();
  }

  #onAppended(entry: AppendEntry, result: AppendedResult): void {
    if (result.duplicate && this.#options.sharedId && entry.attempts === 1 && entry.tag?.sequence === 0) {
      this.#reject(entry, new TidemarkError("producer-conflict", `producer "${this.#options.producer.id}" has used epoch ${entry.tag.epoch} before`));
      return;
    }
    this.#incarnation = result.incarnation;
    this.#backoff.reset();
    this.#inFlight.splice(this.#inFlight.indexOf(entry), 1);
    this.#release(entry);
    if (entry.request.batch !== undefined && result.firstOffset === undefined) entry.fail(new TidemarkError("offset-forgotten"));
    else entry.accept(result);
  }

  #onRejected(entry: AppendEntry, rejection: Rejection): void {
    if (rejection.code !== "sequence-gap") {
      if (rejection.epoch !== undefined) this.#epoch = Math.max(this.#epoch, this.#options.onRejected === "continue" ? rejection.epoch : 0);
      this.#onFailed(entry, rejectionError(rejection));
      return;
    }
    // Decided when all attempts have ended: it may follow from another's failure. Not applied, that much is certain.
    entry.verdict = "gap";
    entry.lastError = rejectionError(rejection);
    entry.uncertain = false;
    this.#mode = this.#mode === "stopped" ? "stopped" : "draining";
  }

  #onFailure(entry: AppendEntry, error: TidemarkError): void {
    this.#attempts -= 1;
    if (error.outcome === "unknown") entry.uncertain = true;
    this.#onFailed(entry, error);
    this.#afterAttempt();
  }

  #onFailed(entry: AppendEntry, error: TidemarkError): void {
    const givenUp = entry.deadline.error;
    if (givenUp !== undefined) entry.fail(givenUp);
    if (!error.retryable && givenUp === undefined) {
      this.#reject(entry, error);
      return;
    }
    entry.verdict = "again";
    entry.lastError = error;
    this.#mode = this.#mode === "stopped" ? "stopped" : "draining";
  }

  /** Refused for good. */
  #reject(entry: AppendEntry, error: TidemarkError): void {
    entry.verdict = "rejected";
    entry.lastError = error;
    this.#mode = this.#mode === "stopped" ? "stopped" : "draining";
  }

  /** The caller's signal or time-out. An attempt in flight hears it too, and tells by its end what was sent. */
  #onGivenUp(entry: AppendEntry): void {
    const at = this.#waiting.indexOf(entry);
    const error = entry.deadline.error;
    if (at < 0 || error === undefined) return;
    if (entry.tag === undefined) {
      this.#waiting.splice(at, 1);
      this.#drop(entry, error);
      return;
    }
    // It holds a sequence: the next recovery sees to that.
    entry.fail(error);
    if (this.#options.onRejected === "stop") this.stop(error);
  }

  #afterAttempt(): void {
    if (this.#attempts === 0 && this.#mode === "draining") this.#recover();
    else if (this.#attempts === 0 && this.#mode === "stopped") this.#finishStop();
    else this.#pump();
  }

  #finishStop(): void {
    const error = this.#stopError as TidemarkError;
    for (const entry of this.#inFlight.splice(0)) this.#drop(entry, entry.verdict === "rejected" ? (entry.lastError ?? error) : error);
  }

  /** All attempts have ended and not all went well: settle what is certain, and put the rest back in its order. */
  #recover(): void {
    const ended = this.#inFlight;
    this.#inFlight = [];
    const refused = this.#takeRefused(ended);
    if (this.#options.onRejected === "stop") {
      const givenUp = ended.find((entry) => entry.settled)?.deadline.error;
      const reason = refused ?? givenUp;
      if (reason !== undefined) {
        this.#waiting.unshift(...ended);
        this.stop(reason);
        return;
      }
    }
    const retry = this.#retag(ended);
    this.#waiting.unshift(...retry);
    const patient = retry.find((entry) => entry.verdict === "again");
    if (patient === undefined) {
      this.#mode = "flowing";
      this.#pump();
      return;
    }
    this.#mode = "resting";
    const delayMs = this.#backoff.next(patient.lastError?.retryAfterMs);
    const timer = this.#environment.clock.schedule(delayMs, () => {
      this.#stopping.signal.removeEventListener("abort", cancel);
      if (this.#mode !== "resting") return;
      this.#mode = "flowing";
      this.#pump();
    });
    const cancel = (): void => timer.cancel();
    this.#stopping.signal.addEventListener("abort", cancel, { once: true });
  }

  /** Fails and removes what was refused for good. A gap is final if nothing before it can explain it. */
  #takeRefused(ended: AppendEntry[]): TidemarkError | undefined {
    let first: TidemarkError | undefined;
    for (let at = 0; at < ended.length; ) {
      const entry = ended[at] as AppendEntry;
      const final = entry.verdict === "rejected" || (entry.verdict === "gap" && at === 0 && !this.#holed);
      if (!final) {
        at += 1;
        continue;
      }
      const error = entry.lastError as TidemarkError;
      first ??= error;
      ended.splice(at, 1);
      this.#drop(entry, error);
      this.#holed = true;
    }
    return first;
  }

  /**
   * What to send again, with which tags. While one that someone waits for may have been applied, every tag stays, and
   * those given up stay in line before it. After that they are dropped, and a broken sequence ends with its epoch.
   */
  #retag(ended: readonly AppendEntry[]): readonly AppendEntry[] {
    if (ended.some((entry) => entry.uncertain && !entry.settled)) return ended;
    const live = ended.filter((entry) => !entry.settled);
    for (const entry of ended) {
      if (!entry.settled) continue;
      this.#release(entry);
      this.#holed = true;
    }
    if (!this.#holed) return live;
    this.#holed = false;
    this.#epoch += 1;
    this.#nextSequence = 0;
    for (const entry of live) entry.tag = undefined;
    for (const entry of this.#waiting) entry.tag = undefined;
    return live;
  }

  #drop(entry: AppendEntry, error: TidemarkError): void {
    this.#release(entry);
    entry.fail(error);
  }

  #release(entry: AppendEntry): void {
    this.#unacknowledged -= 1;
    this.#unacknowledgedBytes -= entry.bytes;
  }
}

/** The offset of an append that had records. */
export function firstOffsetOf(result: AppendedResult): Offset {
  if (result.firstOffset === undefined) throw new TidemarkError("protocol-error", "an append was answered without its offset");
  return result.firstOffset;
}
