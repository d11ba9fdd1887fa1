/**
 * A session of idempotent appends to one stream: pipelined, in order, bounded by what is unacknowledged. Small calls that
 * are made together share a batch (`open-batch.ts`). Other appends that are made together travel as a run, one command for
 * all; each stays an append of its own, with its own batch and answer. Retries carry the same tag (I8), so they are
 * invisible. It waits for nothing to gather records: see `producer.ts`.
 *
 * The tags are dense, so after a failure nothing new is sent until every attempt in flight has ended; then what
 * must be sent again goes first, in its old order. Two things break the sequence: a command refused for good, and one
 * whose caller gave up. Then the session either stops, failing all that follows (`stop`: a producer's records reach the
 * stream without holes), or goes on in the next epoch, which fences whatever of the old one is still under way
 * (`continue`: appends that are independent of each other). It never gives a new tag to a command that may have been
 * applied under its old one.
 */
import { assert } from "../../src/lib/assert.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import { decodeBatch } from "../../src/record/batch-codec.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { Incarnation } from "../../src/record/offset.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import type {
  AppendCommand,
  AppendedResult,
  AppendRunCommand,
  CommandResult,
  Rejection,
} from "../../src/wire/command.ts";
import { AppendEntry, outcomeOf, type AppendRequest, type Caller, type Tag, type Verdict } from "./append-entry.ts";
import { Backoff } from "../backoff.ts";
import type { BatchMemory } from "./batch-memory.ts";
import { CallEnding, type CallSignal } from "../call-signal.ts";
import { Deadline, type CallOptions } from "../deadline.ts";
import { EqualTimers } from "./equal-timers.ts";
import type { Diagnostics } from "../diagnostics.ts";
import type { Environment } from "../environment.ts";
import { after, asTidemarkError, TidemarkError, withOutcome } from "../error.ts";
import type { Gathering } from "../gathering.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import { OpenBatch } from "./open-batch.ts";
import { heldBytes, sealBatch } from "./record-input.ts";
import { rejectionError } from "./rejection.ts";
import { shareOut } from "./run-answers.ts";

/** Takes one command to the server, once, in the order of the calls. */
export type SendCommand = (command: AppendCommand | AppendRunCommand, signal: CallSignal) => Promise<CommandResult>;

export type AppendSessionOptions = {
  readonly stream: string;
  readonly producer: { readonly id: string; readonly epoch: number };
  readonly onRejected: "stop" | "continue";
  /** The id is not ours alone: a duplicate at the first sequence is a conflict. */
  readonly sharedId: boolean;
  readonly unacknowledgedBytesMax: number;
  readonly timeoutMs: number;
  readonly diagnostics: Diagnostics;
  /** Of all who send over the same connection. */
  readonly gathering: Gathering;
  /** What batches came from, and go back to once they are answered. */
  readonly memory: BatchMemory;
  readonly zstd: Zstd | undefined;
};

/** `flowing` sends; `draining` waits for the attempts in flight; `resting` waits before it sends again. */
type Mode = "flowing" | "draining" | "resting" | "stopped";

export class AppendSession {
  readonly #environment: Environment;
  readonly #send: SendCommand;
  readonly #options: AppendSessionOptions;
  readonly #backoff: Backoff;
  readonly #timeouts: EqualTimers;
  #mode: Mode = "flowing";
  #epoch: number;
  #nextSequence = 0;
  #incarnation: Incarnation | undefined;
  /** What small calls go into now. */
  #open: OpenBatch | undefined;
  /** Not sent, or to be sent again, in order: those with a tag come first. Bounded as what is unacknowledged is. */
  #waiting: AppendEntry[] = [];
  /** Sent and not accepted, in order of their sequence. */
  #inFlight: AppendEntry[] = [];
  /** Under way, of one append or of a run. */
  readonly #attempts = new Set<CallEnding>();
  #unacknowledged = 0;
  #unacknowledgedBytes = 0;
  /** The stream that the epoch began with is gone; perhaps another has its name. */
  #streamGone = false;
  /** A tag of this epoch was taken by a command that is not applied under it. */
  #holed = false;
  #stopError: TidemarkError | undefined;
  readonly #stopping = new AbortController();
  readonly #onGathered = (): void => {
    this.#closeBatch();
    this.#pump();
  };

  constructor(environment: Environment, send: SendCommand, options: AppendSessionOptions) {
    this.#environment = environment;
    this.#send = send;
    this.#options = options;
    this.#backoff = new Backoff(environment.entropy);
    this.#timeouts = new EqualTimers(environment.clock, options.timeoutMs);
    this.#epoch = options.producer.epoch;
  }

  /** Nothing is under way or waiting. */
  get idle(): boolean {
    return this.#unacknowledged === 0;
  }

  /**
   * Resolves when the append is durable. Rejects with a `TidemarkError` whose outcome is what is known of its effect;
   * with `buffer-full`, at once, if too much is unacknowledged.
   */
  append(request: AppendRequest, call: CallOptions = {}): Promise<AppendedResult> {
    const { batch } = request;
    return this.#traced(batch?.span ?? 0, batch?.length ?? 0, () => this.#append(request, call));
  }

  /** The same, of these records and nothing else, for the usual time: in one batch with those of other calls, if they are small. */
  appendRecords(records: readonly StreamRecord[]): Promise<AppendedResult> {
    let bytes = 0;
    for (const record of records) bytes += heldBytes(record);
    return this.#traced(records.length, bytes, () => this.#appendRecords(records, bytes));
  }

  #traced(records: number, bytes: number, append: () => Promise<AppendedResult>): Promise<AppendedResult> {
    const { diagnostics, stream } = this.#options;
    if (!diagnostics.hears("append")) return append();
    const attributes = {
      "messaging.operation.name": "append",
      "messaging.operation.type": "send",
      "messaging.destination.name": stream,
      "messaging.batch.message_count": records,
      "tidemark.batch.body.size": bytes,
    };
    return diagnostics.trace("append", attributes, async (told) => {
      const result = await append();
      if (result.firstOffset !== undefined) told["tidemark.offset"] = result.firstOffset;
      return result;
    });
  }

  #append(request: AppendRequest, call: CallOptions): Promise<AppendedResult> {
    const refusal = this.#refusal(request.batch?.length ?? 0);
    if (refusal !== undefined) return Promise.reject(refusal);
    const deadline = new Deadline(this.#timeouts, call.signal, call.timeout ?? this.#options.timeoutMs);
    if (deadline.error !== undefined) return Promise.reject(deadline.error);
    this.#closeBatch();
    return new Promise((resolve, reject) => {
      this.#unacknowledged += 1;
      this.#enter(request, deadline, [{ span: request.batch?.span ?? 0, resolve, reject }]);
      this.#options.gathering.join(this.#onGathered);
    });
  }

  #appendRecords(records: readonly StreamRecord[], bytes: number): Promise<AppendedResult> {
    const { gathering, memory, zstd } = this.#options;
    if (bytes > CLIENT_LIMITS.runBytesMax || records.length > CLIENT_LIMITS.batchRecordsMax)
      return this.#append({ batch: sealBatch(records, zstd, memory), close: false }, {});
    const refusal = this.#refusal(bytes);
    if (refusal !== undefined) return Promise.reject(refusal);
    const open = this.#openFor(records.length, bytes);
    return new Promise((resolve, reject) => {
      open.add(records, { span: records.length, resolve, reject });
      this.#unacknowledged += 1;
      gathering.join(this.#onGathered);
    });
  }

  /** The open batch, if so much more has room in it, or a new one. */
  #openFor(records: number, bytes: number): OpenBatch {
    if (this.#open?.hasRoom(records, bytes) === false) this.#closeBatch();
    const { memory, timeoutMs } = this.#options;
    this.#open ??= new OpenBatch(memory, new Deadline(this.#timeouts, undefined, timeoutMs));
    return this.#open;
  }

  /** What is appended from now on goes behind it. */
  #closeBatch(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    this.#enter({ batch: open.seal(this.#options.zstd), close: false }, open.deadline, open.callers);
  }

  #enter(request: AppendRequest, deadline: Deadline, callers: readonly Caller[]): void {
    this.#waiting.push(this.#entry(request, deadline, callers));
  }

  #entry(request: AppendRequest, deadline: Deadline, callers: readonly Caller[]): AppendEntry {
    const entry = new AppendEntry(request, this.#environment.clock.monotonic(), deadline, callers);
    this.#unacknowledgedBytes += entry.bytes;
    deadline.signal.addEventListener("abort", () => this.#onGivenUp(entry), { once: true });
    return entry;
  }

  /** Fails whatever is unsettled, and everything from now on. */
  stop(error: TidemarkError): void {
    if (this.#stopError !== undefined) return;
    this.#stopError = error;
    this.#mode = "stopped";
    this.#closeBatch();
    for (const entry of this.#waiting.splice(0)) this.#drop(entry, error);
    // Attempts in flight end through their signals: only the transport knows what was sent.
    for (const entry of this.#inFlight) if (!entry.settled) entry.deadline.cancel(error);
    for (const attempt of this.#attempts) attempt.abort(error);
    this.#stopping.abort(error);
  }

  /** Why an append of so many bytes is not taken. */
  #refusal(bytes: number): TidemarkError | undefined {
    if (this.#stopError !== undefined) return withOutcome(this.#stopError, "not-applied");
    return this.#hasRoom(bytes) ? undefined : new TidemarkError("buffer-full");
  }

  #hasRoom(bytes: number): boolean {
    if (this.#unacknowledged === 0) return true;
    const heldBytes = this.#unacknowledgedBytes + (this.#open?.bytes ?? 0);
    return (
      heldBytes + bytes <= this.#options.unacknowledgedBytesMax &&
      this.#unacknowledged < CLIENT_LIMITS.unacknowledgedCommandsMax
    );
  }

  #pump(): void {
    while (this.#mode === "flowing") {
      const entries = this.#takeNext();
      if (entries.length === 0) return;
      this.#attempt(entries);
    }
  }

  /** The append that is to go next, and with it those behind it that can go in the same command; tagged. None if it waits. */
  #takeNext(): readonly AppendEntry[] {
    const [first] = this.#waiting;
    const room = CLIENT_LIMITS.commandsInFlightMax - this.#inFlight.length;
    if (first === undefined || room <= 0) return [];
    if (first.tag === undefined && this.#holed) {
      // The new epoch fences the old one, so the old one must have ended.
      if (this.#inFlight.length > 0) return [];
      this.#beginEpoch();
    }
    const { epoch, sequence } = (first.tag ??= this.#newTag());
    let { bytes } = first;
    let count = 1;
    for (const next of this.#waiting.slice(1, Math.min(room, CLIENT_LIMITS.runAppendsMax))) {
      bytes += next.bytes;
      if (!next.goesWith(first) || bytes > CLIENT_LIMITS.runBytesMax) break;
      if (next.tag === undefined && (this.#holed || this.#epoch !== epoch)) break;
      next.tag ??= this.#newTag();
      if (next.tag.epoch !== epoch || next.tag.sequence !== sequence + count) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  #newTag(): Tag {
    const tag = { epoch: this.#epoch, sequence: this.#nextSequence };
    this.#nextSequence += 1;
    return tag;
  }

  #beginEpoch(): void {
    assert(this.#options.onRejected === "continue", "I8: a session that stops at a broken sequence begins no other");
    this.#epoch += 1;
    this.#nextSequence = 0;
    this.#holed = false;
    // Nothing that may have been applied to the old one is sent again by now.
    if (this.#streamGone) this.#incarnation = undefined;
    this.#streamGone = false;
  }

  #attempt(entries: readonly AppendEntry[]): void {
    const attempt = new CallEnding();
    this.#attempts.add(attempt);
    for (const entry of entries) {
      entry.attempts += 1;
      entry.verdict = undefined;
      entry.attempt = attempt;
      this.#inFlight.push(entry);
    }
    void this.#send(this.#command(entries), attempt).then(
      (result) => {
        this.#onResult(entries, result);
        this.#afterAttempt(entries, attempt);
      },
      (thrown: unknown) => {
        this.#onFailed(entries, asTidemarkError(thrown));
        this.#afterAttempt(entries, attempt);
      },
    );
  }

  #command(entries: readonly AppendEntry[]): AppendCommand | AppendRunCommand {
    const [first] = entries as readonly [AppendEntry];
    const { batch, close, contentType, expectedOffset } = first.request;
    const { epoch, sequence } = first.tag as Tag;
    const common = {
      stream: this.#options.stream,
      producer: { id: this.#options.producer.id, epoch, sequence },
      ...(this.#incarnation !== undefined && { incarnation: this.#incarnation }),
      ...(contentType !== undefined && { contentType }),
    };
    if (entries.length > 1) return { kind: "append-run", ...common, batches: entries.map(batchOf) };
    return {
      kind: "append",
      ...common,
      close,
      ...(batch !== undefined && { batch }),
      ...(expectedOffset !== undefined && { expectedOffset }),
    };
  }

  #onResult(entries: readonly AppendEntry[], result: CommandResult): void {
    const answers = answersOf(entries, result);
    if (answers === undefined) {
      this.#onFailed(entries, new TidemarkError("protocol-error", `an append was answered with "${result.kind}"`));
      return;
    }
    for (let place = 0; place < entries.length; place += 1) {
      const entry = entries[place] as AppendEntry;
      const answer = answers[place] as AppendedResult | Rejection;
      if (answer.kind === "appended") this.#onAppended(entry, answer);
      else this.#onRejected(entry, answer);
    }
  }

  #onAppended(entry: AppendEntry, result: AppendedResult): void {
    if (result.duplicate && this.#options.sharedId && entry.attempts === 1 && entry.tag?.sequence === 0) {
      const message = `producer "${this.#options.producer.id}" has appended in epoch ${entry.tag.epoch} before`;
      this.#end(entry, "rejected", new TidemarkError("producer-conflict", message));
      return;
    }
    this.#incarnation = result.incarnation;
    this.#backoff.reset();
    // Answers come in order, so it is the first, but for one that an earlier attempt's failure has put behind.
    if (this.#inFlight[0] === entry) this.#inFlight.shift();
    else this.#inFlight.splice(this.#inFlight.indexOf(entry), 1);
    this.#release(entry);
    const bytes = entry.request.batch?.bytes;
    if (bytes !== undefined) this.#options.memory.giveBack(bytes);
    if (entry.request.batch !== undefined && result.firstOffset === undefined)
      entry.fail(new TidemarkError("offset-forgotten"));
    else entry.accept(result);
  }

  #onRejected(entry: AppendEntry, rejection: Rejection): void {
    const error = rejectionError(rejection);
    // In an epoch that has not begun at the server, this is how it says what it misses.
    const isEarly = rejection.code === "invalid-producer" && rejection.expectedSequence !== undefined;
    if (rejection.code === "sequence-gap" || isEarly) {
      // Judged when all attempts have ended: it may follow from another's failure. It says nothing of earlier attempts.
      this.#end(entry, "gap", error);
      return;
    }
    if (rejection.code === "stream-not-found") this.#streamGone = true;
    if (rejection.epoch !== undefined) this.#epoch = Math.max(this.#epoch, rejection.epoch);
    this.#onFailure(entry, error, error.retryable ? "again" : "rejected");
  }

  /** What a run or a shared batch as a whole is refused for may be the fault of one of it. */
  #onFailed(entries: readonly AppendEntry[], error: TidemarkError): void {
    for (const entry of entries) {
      const together = entries.length > 1 || isDivisible(entry);
      const blamed = together && error.outcome === "not-applied" ? "apart" : "rejected";
      this.#onFailure(entry, error, error.retryable ? "again" : blamed);
    }
  }

  #onFailure(entry: AppendEntry, error: TidemarkError, verdict: Verdict): void {
    if (error.outcome === "unknown") entry.uncertain = true;
    this.#end(entry, entry.deadline.error === undefined ? verdict : "again", error);
  }

  #end(entry: AppendEntry, verdict: Verdict, error: TidemarkError): void {
    const givenUp = entry.deadline.error;
    if (givenUp !== undefined) entry.fail(after(givenUp, entry.lastError));
    entry.verdict = verdict;
    entry.lastError = error;
    if (this.#mode === "flowing") this.#mode = "draining";
  }

  #afterAttempt(entries: readonly AppendEntry[], attempt: CallEnding): void {
    for (const entry of entries) entry.attempt = undefined;
    this.#attempts.delete(attempt);
    if (this.#mode === "flowing") this.#options.gathering.join(this.#onGathered);
    else if (this.#attempts.size > 0) return;
    else if (this.#mode === "draining") this.#recover();
    else if (this.#mode === "stopped") this.#finishStop(this.#stopError as TidemarkError);
  }

  #finishStop(error: TidemarkError): void {
    for (const entry of this.#inFlight.splice(0))
      this.#drop(entry, entry.verdict === "rejected" ? (entry.lastError ?? error) : error);
  }

  /** The caller's signal or time-out. An attempt in flight hears it too, and its end tells what was sent. */
  #onGivenUp(entry: AppendEntry): void {
    if (entry.attempt !== undefined) {
      // To those who went with it this is no word of their own.
      const message = "it was sent together with an append that was given up";
      entry.attempt.abort(new TidemarkError("connection-lost", message, { outcome: "not-applied" }));
      return;
    }
    const at = this.#waiting.indexOf(entry);
    const error = entry.deadline.error;
    if (error === undefined) return;
    if (at < 0) {
      // Its own attempt has ended, and others have not: whoever waits for it does not wait for those.
      if (this.#mode !== "stopped")
        entry.fail(entry.verdict === "rejected" ? (entry.lastError as TidemarkError) : after(error, entry.lastError));
      return;
    }
    if (entry.tag === undefined) {
      this.#waiting.splice(at, 1);
      this.#drop(entry, error);
      return;
    }
    const failure = after(error, entry.lastError);
    entry.fail(failure);
    if (this.#options.onRejected === "stop") this.stop(failure);
    else this.#tidy();
  }

  /** All attempts have ended and not all went well: settles what is certain, and puts the rest back in its order. */
  #recover(): void {
    const { kept, refused } = this.#judge(this.#inFlight);
    this.#inFlight = [];
    this.#waiting.unshift(...kept);
    const broken = refused ?? givenUpIn(kept);
    if (this.#options.onRejected === "stop" && broken !== undefined) {
      this.stop(broken);
      return;
    }
    this.#mode = "resting";
    this.#tidy();
    const patient = this.#waiting.find((entry) => entry.verdict === "again");
    if (patient === undefined) {
      this.#resume();
      return;
    }
    const timer = this.#environment.clock.schedule(this.#backoff.next(patient.lastError?.retryAfterMs), () => {
      this.#stopping.signal.removeEventListener("abort", cancel);
      this.#resume();
    });
    const cancel = (): void => timer.cancel();
    this.#stopping.signal.addEventListener("abort", cancel, { once: true });
  }

  /** Fails what was refused for good, in order. */
  #judge(ended: readonly AppendEntry[]): {
    readonly kept: readonly AppendEntry[];
    readonly refused: TidemarkError | undefined;
  } {
    const kept: AppendEntry[] = [];
    let refused: TidemarkError | undefined;
    for (const [place, entry] of ended.entries()) {
      const gapsFirst = entry.verdict === "gap" && kept.length === 0;
      // Where nothing before it can explain it, a gap is the server's last word.
      // Whoever gave up was told that it is not applied, so no part of it is sent again.
      if (entry.verdict === "apart" && isDivisible(entry) && !entry.settled) {
        // None of it was applied, so nothing behind it was; its calls take tags of the next epoch.
        this.#holed = true;
        clearDoubt(ended, place + 1);
        kept.push(...this.#divide(entry));
        continue;
      }
      if (entry.verdict !== "rejected" && !(gapsFirst && !this.#holed)) {
        if (gapsFirst) clearDoubt(ended, place);
        kept.push(entry);
        continue;
      }
      const error = entry.lastError as TidemarkError;
      refused ??= error;
      this.#holed = true;
      if (outcomeOf(error, entry.uncertain) === "not-applied") clearDoubt(ended, place + 1);
      this.#drop(entry, error);
    }
    return { kept, refused };
  }

  /** Each call with a batch of its own, to be sent alone, for what is left of its time. */
  #divide(entry: AppendEntry): readonly AppendEntry[] {
    const { zstd, timeoutMs } = this.#options;
    const decoded = decodeBatch(batchOf(entry).bytes as Uint8Array, {
      rawBytesMax: CLIENT_LIMITS.decodedBatchBytesMax,
      ...(zstd !== undefined && { zstd }),
    });
    assert(decoded.ok, "a batch that was made here can be read here");
    const { records } = decoded.value;
    const leftMs = Math.max(0, timeoutMs - (this.#environment.clock.monotonic() - entry.madeAtMs));
    this.#release(entry);
    entry.deadline.release();
    let first = 0;
    return entry.callers.map((caller) => {
      const own = records.slice(first, first + caller.span).map(({ record }) => record);
      first += caller.span;
      this.#unacknowledged += 1;
      const deadline = new Deadline(this.#timeouts, undefined, leftMs);
      const part = this.#entry({ ...entry.request, batch: sealBatch(own, zstd) }, deadline, [caller]);
      part.verdict = "apart";
      return part;
    });
  }

  #resume(): void {
    if (this.#mode !== "resting") return;
    this.#mode = "flowing";
    this.#pump();
  }

  /**
   * Decides what holds on to its tag. One given up that was certainly not applied is dropped: it never will be, nor
   * anything behind it under its present tag. Of the rest, up to the last that may have been applied and that someone
   * waits for, all keep their tags, those given up included: without them it could not be settled. What follows a
   * break in the sequence takes its tag from the next epoch.
   */
  #tidy(): void {
    for (const [place, entry] of this.#waiting.entries()) {
      if (entry.settled && !entry.uncertain) clearDoubt(this.#waiting, place + 1);
    }
    const needed = this.#waiting.findLastIndex((entry) => entry.uncertain && !entry.settled);
    this.#waiting = this.#waiting.filter((entry, place) => {
      if (entry.settled && (place > needed || !entry.uncertain)) {
        this.#release(entry);
        this.#holed = true;
        return false;
      }
      if (this.#holed && place > needed) entry.tag = undefined;
      return true;
    });
  }

  #drop(entry: AppendEntry, error: TidemarkError): void {
    this.#release(entry);
    entry.fail(error);
  }

  #release(entry: AppendEntry): void {
    this.#unacknowledged -= entry.callers.length;
    this.#unacknowledgedBytes -= entry.bytes;
  }
}

/** Each of its calls can be sent again on its own: no earlier attempt may have applied them together. */
function isDivisible(entry: AppendEntry): boolean {
  return entry.callers.length > 1 && !entry.uncertain;
}

/**
 * From `place` on nothing was or will be applied under its present tag: the sequence is dense, and what stood before
 * is not applied. That holds for attempts that are still on their way, too.
 */
function clearDoubt(entries: readonly AppendEntry[], place: number): void {
  for (const entry of entries.slice(place)) entry.uncertain = false;
}

/** One for each, in order; undefined if it is no answer to them. */
function answersOf(
  entries: readonly AppendEntry[],
  result: CommandResult,
): readonly (AppendedResult | Rejection)[] | undefined {
  if (result.kind === "appended-run") return shareOut(result, entries.map(batchOf));
  return entries.length === 1 && (result.kind === "appended" || result.kind === "rejected") ? [result] : undefined;
}

function batchOf(entry: AppendEntry): BatchRef {
  const { batch } = entry.request;
  assert(batch !== undefined, "what goes in a run has a batch");
  return batch;
}

/** Why the first entry that its caller gave up was given up. */
function givenUpIn(entries: readonly AppendEntry[]): TidemarkError | undefined {
  const entry = entries.find((each) => each.settled);
  return entry?.deadline.error === undefined ? undefined : after(entry.deadline.error, entry.lastError);
}
