/**
 * One running copy of a task: reads its inputs, merged with the task's commits, in the log's order; lets the task work
 * (`replica-work.ts`); and commits, or holds what it has until another replica did (`committer.ts`). All replicas do the same work, so
 * any of them can go on at any moment: no election, no restore.
 */
import { assert, InvariantError } from "../lib/assert.ts";
import type { Clock } from "../ports/clock.ts";
import { compareRecordPlaces, type RecordPlace } from "../record/record-place.ts";
import type { TaskName } from "../wire/app-command.ts";
import { commitsStream } from "../wire/app-streams.ts";
import { taskName } from "./app-streams.ts";
import type { Evidence } from "./evidence.ts";
import { type FormerCommit, lastFormerCommit } from "./former-commit.ts";
import { RUNTIME_LIMITS } from "./limits.ts";
import type { ReplicaConfig } from "./replica-config.ts";
import { DOUBTFUL, Ended, type ReplicaEnd } from "./replica-end.ts";
import { ReplicaWork, type WorkStatus } from "./replica-work.ts";
import type { RestoreProgress } from "./snapshots/restore.ts";
import type { Feed, TaskFacts, TaskLog } from "./task-log.ts";
import type { TaskState } from "./task-state.ts";

/** Where the replica's rows are; asked when it is known how the task stands. */
export type OpenState = (facts: TaskFacts, opening: Opening) => Promise<TaskState>;

export type Opening = {
  /** What is kept on this machine is of no use: input behind it is gone. Only a snapshot may be further. */
  readonly anew: boolean;
  readonly onProgress: (progress: RestoreProgress) => void;
};

export type ReplicaStatus = {
  readonly task: TaskName;
  readonly replica: string;
  /** `restoring`: it has not come to where the task was committed when it began. */
  readonly state: "starting" | "restoring" | "running" | "paused" | ReplicaEnd["kind"];
  /** Where the task was committed when it began, as a position of the log. */
  readonly restoreTo: number;
  /** Of the snapshot that it began with, if it did, so much was read. */
  readonly restored: RestoreProgress | undefined;
  /** Why it ended, if it has. */
  readonly end: ReplicaEnd | undefined;
  readonly work: WorkStatus | undefined;
};

export class Replica {
  readonly #log: TaskLog;
  readonly #clock: Clock;
  readonly #config: ReplicaConfig;
  readonly #open: OpenState;
  readonly #onDispute: ((evidence: Evidence) => void) | undefined;
  readonly #name: TaskName;
  readonly #finished: Promise<ReplicaEnd>;
  #work: ReplicaWork | undefined;
  #feed: Feed | undefined;
  /** Ends what looks for a former commit. */
  #endLooking: (() => void) | undefined;
  #restoreTo = 0;
  #restored: RestoreProgress | undefined;
  #end: ReplicaEnd | undefined;
  /** Resolves what waits: for room, or for a moment. */
  #wake: (() => void) | undefined;

  /** Begins at once. `onDispute`: it differs from another, and goes on, for nobody can tell which of them is wrong. */
  constructor(
    log: TaskLog,
    clock: Clock,
    open: OpenState,
    config: ReplicaConfig,
    onDispute?: (evidence: Evidence) => void,
  ) {
    this.#log = log;
    this.#clock = clock;
    this.#open = open;
    this.#config = config;
    this.#onDispute = onDispute;
    this.#name = taskName(config.stage.number, config.partition);
    this.#finished = this.#run();
  }

  get status(): ReplicaStatus {
    return {
      task: this.#name,
      replica: this.#config.id,
      state: this.#state,
      restoreTo: this.#restoreTo,
      restored: this.#restored,
      end: this.#end,
      work: this.#work?.status,
    };
  }

  /** Resolves when it has ended, to why. */
  get finished(): Promise<ReplicaEnd> {
    return this.#finished;
  }

  /** Ends it between two inputs. What it had not committed, others will, or it itself another time. */
  stop(): Promise<ReplicaEnd> {
    this.#finish({ kind: "stopped" });
    return this.#finished;
  }

  get #state(): ReplicaStatus["state"] {
    if (this.#end !== undefined) return this.#end.kind;
    if (this.#work === undefined) return "starting";
    if (this.#work.contradicted) return "contradicted";
    if (this.#work.paused) return "paused";
    return this.#work.status.readPosition < this.#restoreTo ? "restoring" : "running";
  }

  async #run(): Promise<ReplicaEnd> {
    try {
      await this.#live();
    } catch (error) {
      this.#finish(error instanceof Ended ? error.end : { kind: "failed", error });
    }
    assert(this.#end !== undefined, "a replica that ended has a reason");
    // What is in doubt is not kept.
    if (!DOUBTFUL.has(this.#end.kind)) await this.#work?.close();
    return this.#end;
  }

  /** Throws why it ended. Where input is gone before it was read, a snapshot that others took meanwhile may be further. */
  async #live(): Promise<never> {
    let stuck: { readonly gap: Ended; readonly cursor: RecordPlace } | undefined;
    for (;;) {
      const facts = await this.#learnFacts();
      const onProgress = (progress: RestoreProgress): void => {
        this.#restored = progress;
      };
      const state = await this.#open(facts, { anew: stuck !== undefined, onProgress });
      this.#checkRunning();
      const work = this.#begin(facts, state);
      work.replay(await this.#formerCommit(facts, work.after));
      if (stuck === undefined || compareRecordPlaces(work.cursor, stuck.cursor) > 0)
        stuck = { gap: await this.#readToGap(work), cursor: work.cursor };
      // A newer snapshot may have taken the place of the one that was to be restored.
      else if ((await this.#learnFacts()).verified === facts.verified) throw stuck.gap;
      work.stop();
      this.#feed?.close();
      await work.close();
    }
  }

  async #readToGap(work: ReplicaWork): Promise<Ended> {
    try {
      return await this.#read(work);
    } catch (error) {
      if (error instanceof Ended && error.end.kind === "input-trimmed") return error;
      if (error instanceof Ended && error.end.kind === "poison") await this.#commitRest(work);
      throw error;
    }
  }

  /** What it did before it came to poison counts: a restart goes on at the poison itself. */
  async #commitRest(work: ReplicaWork): Promise<void> {
    work.finish();
    while (!work.isCovered) {
      await this.#pause(RUNTIME_LIMITS.roomPollMs);
      this.#checkRunning();
      if (!work.isCovered) work.learn(await this.#learnFacts());
    }
  }

  #begin(facts: TaskFacts, state: TaskState): ReplicaWork {
    const work: ReplicaWork = new ReplicaWork(this.#log, this.#clock, this.#config, facts, state, {
      covered: () => this.#wake?.(),
      disputed: (evidence) => this.#onDispute?.(evidence),
      ended: ({ end }) => {
        if (this.#work === work) this.#finish(end);
      },
      trim: (by, stream, before) => feed.trim(by, stream, before),
    });
    const feed = this.#log.follow(work.starts, work.after);
    this.#work = work;
    this.#feed = feed;
    this.#restoreTo = facts.place.cursor.position;
    return work;
  }

  /** Where it is to go on behind other code. */
  async #formerCommit(facts: TaskFacts, after: RecordPlace): Promise<FormerCommit | undefined> {
    // It began with this epoch, or nobody committed since it began.
    if (facts.epoch === facts.born || compareRecordPlaces(facts.place.cursor, facts.start) <= 0) return undefined;
    const commits = commitsStream(this.#config.stage.app, this.#name);
    const former = await lastFormerCommit(this.#log, commits, after, facts, (close) => {
      this.#endLooking = close;
    });
    this.#checkRunning();
    return former;
  }

  /** Once. Whatever is under way sees it at its next step. */
  #finish(end: ReplicaEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#work?.stop();
    this.#feed?.close();
    this.#endLooking?.();
    this.#wake?.();
  }

  #checkRunning(): void {
    if (this.#end !== undefined) throw new Ended(this.#end);
  }

  async #learnFacts(): Promise<TaskFacts> {
    const { app } = this.#config.stage;
    for (;;) {
      this.#checkRunning();
      try {
        const facts = await this.#log.task(app, this.#name);
        this.#checkRunning();
        if (facts === undefined) throw new Ended({ kind: "gone" });
        return facts;
      } catch (error) {
        if (error instanceof Ended || error instanceof InvariantError) throw error;
        await this.#pause(RUNTIME_LIMITS.factsRetryMs);
      }
    }
  }

  async #read(work: ReplicaWork): Promise<never> {
    assert(this.#feed !== undefined, "it has begun");
    for (;;) {
      const items = await this.#feed.next();
      this.#checkRunning();
      if (items === undefined) throw new Error("the feed ended");
      for (let next = 0; next < items.length;) {
        next = work.take(items, next);
        if (next < items.length) await this.#pauseIn(work);
      }
      while (!work.goOn()) await this.#pauseIn(work);
      work.handOver();
      await this.#room(work);
    }
  }

  /** In the midst of it others have their turn, and answers come in. */
  async #pauseIn(work: ReplicaWork): Promise<void> {
    work.handOver();
    await this.#turn();
    await this.#room(work);
  }

  /** Reads on only when there is room for what comes of it. Nobody may have told how far the task is committed. */
  async #room(work: ReplicaWork): Promise<void> {
    this.#checkRunning();
    while (work.full) {
      await this.#pause(RUNTIME_LIMITS.roomPollMs);
      this.#checkRunning();
      if (work.full) work.learn(await this.#learnFacts());
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.defer(resolve);
    });
  }

  /** Until something happened, at most so long. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.schedule(ms, () => this.#wake?.());
      this.#wake = () => {
        this.#wake = undefined;
        timer.cancel();
        resolve();
      };
    });
  }
}
