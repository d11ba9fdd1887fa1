/**
 * Decides when a replica commits. Who committed last goes on; the others hold what they have, and step in when a commit is due and none
 * was seen for a while. Nobody is elected and nobody needs to agree: a commit counts only if the task is where it begins, so of two that
 * are made at once one is refused, and says how far the other came (I12).
 */
import { unreachable } from "../lib/assert.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import { compareDigestPoints, type DigestPoint } from "../record/digest-point.ts";
import { compareTaskPlaces, type TaskPlace } from "../record/task-place.ts";
import type { CommitPatience } from "./commit-patience.ts";
import { RUNTIME_LIMITS } from "./limits.ts";
import type { CommitPart, PendingOutputs } from "./pending-outputs.ts";
import type { ReplicaConfig } from "./replica-config.ts";
import type { CommitRefusal, TaskFacts, TaskLog } from "./task-log.ts";
import type { TaskCommit } from "../wire/app-command.ts";

export type CommitterConfig = Pick<TaskCommit, "app" | "task" | "epoch" | "replica"> &
  Pick<ReplicaConfig, "commitEveryMs" | "cursorEveryMs">;

/** Why a replica cannot go on committing. */
export type CommitEnd = Extract<CommitRefusal, { kind: "fenced" | "gone" | "refused" }>;

export type CommitterListener = {
  /** Outputs were covered, perhaps. */
  covered(): void;
  ended(why: CommitEnd): void;
};

/** What waits for a commit, and how urgently: a cursor or a digest point alone, news of when something falls due, outputs. */
const URGENCY = { place: 0, due: 1, outputs: 2 } as const;
type Want = keyof typeof URGENCY;

export class Committer {
  readonly #log: TaskLog;
  readonly #clock: Clock;
  readonly #pending: PendingOutputs;
  readonly #config: CommitterConfig;
  readonly #patience: CommitPatience;
  readonly #listener: CommitterListener;
  /** The last commit is this replica's. */
  #leading = false;
  #paused = false;
  #inFlight = false;
  #stopped = false;
  #held = false;
  #settling = false;
  /** Nothing more comes: what there is waits for no interval. */
  #finishing = false;
  /** Who made the last commit that was seen. */
  #committing: string | undefined;
  /** For outputs to be covered, since a commit was seen. */
  #waitedMs: number | undefined;
  #timer: { readonly timer: Timer; readonly atMs: number } | undefined;
  /** The most urgent that was wanted since the last commit, and since when: how long a cursor has waited says nothing of outputs. */
  #wanted: { readonly want: Want; readonly sinceMs: number } | undefined;
  #startedMs = -Infinity;
  #seenMs: number;
  #notBeforeMs = -Infinity;
  /** Passed since the last commit that named any. */
  #digests: DigestPoint[] = [];
  /** The newest that the log knows. */
  #named: DigestPoint | undefined;
  #logTime = -Infinity;
  #nextDue: number | undefined;
  /** As the last commit told it. */
  #dueTold: number | undefined;

  /** `told`: what the log knows when it begins. */
  constructor(
    log: TaskLog,
    clock: Clock,
    pending: PendingOutputs,
    config: CommitterConfig,
    patience: CommitPatience,
    listener: CommitterListener,
    told: Pick<TaskFacts, "nextDue" | "digest">,
  ) {
    this.#log = log;
    this.#clock = clock;
    this.#pending = pending;
    this.#config = config;
    this.#patience = patience;
    this.#listener = listener;
    this.#dueTold = told.nextDue;
    this.#named = told.digest;
    this.#seenMs = clock.monotonic();
  }

  get leading(): boolean {
    return this.#leading;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** The task came further, and log time with it. */
  moved(digests: readonly DigestPoint[], nextDue: number | undefined, logTime: number): void {
    this.#digests = [...this.#digests, ...digests].slice(-RUNTIME_LIMITS.commitDigestsMax);
    this.#nextDue = nextDue;
    this.#logTime = logTime;
    this.#plan();
  }

  /** A commit of this epoch was applied. */
  seen(commit: TaskCommit): void {
    // What is older than what is known says nothing of who commits now.
    if (compareTaskPlaces(commit.to, this.#pending.committed) >= 0) {
      this.#leading = commit.replica === this.#config.replica;
      this.#dueTold = commit.nextDue;
    }
    this.#name(commit.digests.at(-1));
    this.cover(commit.to);
    // One that takes over has waited for another: that says nothing of how soon commits come.
    if (this.#waitedMs !== undefined && commit.replica === this.#committing) this.#patience.came(this.#waitedMs);
    this.#waitedMs = undefined;
    this.#committing = commit.replica;
  }

  /** So far it is committed, whoever did. */
  cover(place: TaskPlace): void {
    // What was known already is no sign that anybody commits.
    if (compareTaskPlaces(this.#pending.committed, place) < 0) {
      const nowMs = this.#clock.monotonic();
      // A cursor waits for longer; and nobody waits for what is its own.
      if (!this.#leading && this.#wanted?.want === "outputs")
        this.#waitedMs = nowMs - Math.max(this.#wanted.sinceMs, this.#seenMs);
      this.#seenMs = nowMs;
      this.#wanted = undefined;
      this.#paused = false;
      this.#pending.cover(place);
    }
    this.#listener.covered();
    this.#plan();
  }

  /** The task does nothing more: what it did is committed soon, by whoever does that. */
  finish(): void {
    this.#finishing = true;
    this.#plan();
  }

  /** It commits nothing, until it is held no more. */
  hold(held: boolean): void {
    this.#held = held;
    this.#plan();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.timer.cancel();
  }

  get #want(): Want | undefined {
    const { size, committed, place } = this.#pending;
    // Whoever is behind has nothing to commit; what it has ahead in number, all the same, is for the comparison to see.
    if (compareTaskPlaces(place, committed) < 0) return undefined;
    if (size > 0) return "outputs";
    // What was told and has passed is told no more.
    const told = this.#dueTold !== undefined && this.#dueTold > this.#logTime ? this.#dueTold : Infinity;
    if (this.#nextDue !== undefined && this.#nextDue < told) return "due";
    // Without it a task that has nothing more to do would never be compared at its last point, nor a snapshot there be confirmed.
    const isDigested = this.#digests.some((point) => this.#isNew(point));
    return isDigested || compareTaskPlaces(committed, place) < 0 ? "place" : undefined;
  }

  #isNew(point: DigestPoint): boolean {
    return this.#named === undefined || compareDigestPoints(this.#named, point) < 0;
  }

  /** A commit has named points up to this one. */
  #name(newest: DigestPoint | undefined): void {
    if (newest === undefined) return;
    if (this.#isNew(newest)) this.#named = newest;
    this.#digests = this.#digests.filter((point) => compareDigestPoints(newest, point) < 0);
  }

  /** Makes the next commit, or sets the timer for it. `settled`: what had come is read. */
  #plan(settled = false): void {
    const want = this.#want;
    if (want === undefined) this.#wanted = undefined;
    if (want === undefined || this.#inFlight || this.#stopped || this.#held) return;
    const nowMs = this.#clock.monotonic();
    if (this.#wanted === undefined || URGENCY[want] > URGENCY[this.#wanted.want])
      this.#wanted = { want, sinceMs: nowMs };
    const atMs = Math.max(this.#dueMs(want, this.#wanted.sinceMs), this.#notBeforeMs);
    if (atMs <= nowMs) {
      // Whoever stood still may have before it what it waits for: that is read first.
      if (this.#leading || settled) void this.#commit();
      else this.#planSettled();
      return;
    }
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return;
    this.#timer?.timer.cancel();
    // What was waited for may have come by then.
    const timer = this.#clock.schedule(atMs - nowMs, () => {
      this.#timer = undefined;
      this.#plan();
    });
    this.#timer = { timer, atMs };
  }

  #planSettled(): void {
    if (this.#settling) return;
    this.#settling = true;
    this.#clock.defer(() => {
      this.#settling = false;
      this.#plan(true);
    });
  }

  #dueMs(want: Want, sinceMs: number): number {
    const { commitEveryMs, cursorEveryMs } = this.#config;
    const waitedMs = Math.max(sinceMs, this.#seenMs);
    if (!this.#leading)
      return waitedMs + (want === "place" && !this.#finishing ? cursorEveryMs : 0) + this.#patience.ms;
    if (this.#finishing) return this.#startedMs;
    switch (want) {
      case "outputs":
        return this.#startedMs + (this.#pending.fillsCommit ? 0 : commitEveryMs);
      case "due":
        return Math.max(sinceMs, this.#startedMs) + RUNTIME_LIMITS.dueToldWithinMs;
      case "place":
        return this.#startedMs + cursorEveryMs;
      default:
        return unreachable(want);
    }
  }

  async #commit(): Promise<void> {
    const part = this.#pending.part();
    this.#inFlight = true;
    this.#startedMs = this.#clock.monotonic();
    const digests = this.#digests;
    const commit = this.#commitOf(part, digests);
    const done = await this.#log.commit(commit, part.outputs);
    this.#inFlight = false;
    if (this.#stopped) return;
    if (!done.ok) {
      this.#onRefusal(done.error, part.to);
      return;
    }
    this.#paused = false;
    this.#leading = true;
    this.#dueTold = commit.nextDue;
    this.#name(digests.at(-1));
    this.cover(part.to);
  }

  #commitOf({ to, chain }: CommitPart, digests: readonly DigestPoint[]): TaskCommit {
    const { app, task, epoch, replica } = this.#config;
    const nextDue = this.#nextDue;
    const from = this.#pending.committed;
    return { app, task, epoch, replica, from, to, chain, digests, ...(nextDue !== undefined && { nextDue }) };
  }

  #onRefusal(refusal: CommitRefusal, tried: TaskPlace): void {
    const nowMs = this.#clock.monotonic();
    switch (refusal.kind) {
      case "moved":
        // An earlier try of the same may be what took effect.
        this.#leading &&= compareTaskPlaces(refusal.place, tried) === 0;
        this.cover(refusal.place);
        return;
      case "unknown":
        // Whether it counted or not: the next one finds out.
        this.#notBeforeMs = nowMs + RUNTIME_LIMITS.unknownRetryMs;
        break;
      case "paused":
        this.#paused = true;
        this.#notBeforeMs = nowMs + RUNTIME_LIMITS.pausedRetryMs;
        break;
      case "fenced":
      case "gone":
      case "refused":
        this.stop();
        this.#listener.ended(refusal);
        return;
      default:
        unreachable(refusal);
    }
    this.#plan();
  }
}
