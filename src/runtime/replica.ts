/**
 * One running copy of a task: reads its inputs, merged with the task's commits, in the log's order; lets the task work; and commits, or
 * holds what it has until another replica did (`committer.ts`). All replicas do the same work, so any of them can go on at any moment:
 * no election, no restore.
 *
 * When it sees a commit it has done all that the commit covers, for it has taken in everything that is before it in the log. So it
 * compares what it has there with what the commit says.
 */
import { assert, InvariantError } from "../lib/assert.ts";
import type { Counters } from "../operators/engine/progress.ts";
import { Task, type TaskBatch } from "../operators/engine/task.ts";
import type { Stage } from "../operators/engine/graph.ts";
import type { Poison } from "../operators/engine/task-input.ts";
import type { StateStore } from "../operators/state/state-store.ts";
import type { Clock } from "../ports/clock.ts";
import { xxh64 } from "../record/checksum.ts";
import { utf8 } from "../lib/bytes.ts";
import type { DigestPoint } from "../record/digest-point.ts";
import { BEFORE_RECORDS, compareRecordPlaces, type RecordPlace } from "../record/record-place.ts";
import type { TaskPlace } from "../record/task-place.ts";
import { deadLetterStream, sourcesOf, taskName, type TaskSource } from "./app-streams.ts";
import { Committer, type CommitEnd } from "./committer.ts";
import { Disputes, readStatement, type Statement, statementRecord } from "./dispute.ts";
import { RUNTIME_LIMITS } from "./limits.ts";
import { PendingOutputs } from "./pending-outputs.ts";
import { TaskDriver } from "./task-driver.ts";
import type { Feed, FeedGap, FeedItem, FeedRecord, TaskFacts, TaskLog } from "./task-log.ts";
import type { TaskCommit } from "../wire/app-command.ts";
import { commitsStream } from "../wire/app-streams.ts";

export type ReplicaConfig = {
  readonly stage: Stage;
  readonly partition: number;
  /** Its own, of all replicas that ever were. */
  readonly id: string;
  readonly commitEveryMs: number;
  readonly takeoverMs: number;
  readonly cursorEveryMs: number;
  /** What becomes of an input that the task cannot get past. */
  readonly poison: "dead-letter" | "stop";
};

/** Why a replica ended. */
export type ReplicaEnd =
  | { readonly kind: "stopped" }
  /** A newer version of the app runs, or it was reset. */
  | { readonly kind: "fenced" }
  /** The app was deleted. */
  | { readonly kind: "gone" }
  | { readonly kind: "poison"; readonly poison: Poison }
  /** Records that it had not read are no longer kept. */
  | { readonly kind: "input-trimmed"; readonly stream: string; readonly from: number; readonly to: number }
  /** Most of the others have something else at this point. */
  | { readonly kind: "contradicted"; readonly point: string; readonly own: string }
  | { readonly kind: "failed"; readonly error: unknown };

export type ReplicaStatus = {
  readonly task: string;
  readonly replica: string;
  readonly state: "starting" | "restoring" | "running" | "paused" | ReplicaEnd["kind"];
  /** It made the last commit. */
  readonly committing: boolean;
  readonly place: TaskPlace;
  readonly committed: TaskPlace;
  /** Position in the log, and log time, up to which it has read. */
  readonly readPosition: number;
  readonly readLogTime: number;
  readonly watermark: number;
  readonly counters: Counters;
  readonly pendingOutputs: number;
  readonly poisoned: number;
  /** It differs from another replica, and no majority is against it. */
  readonly disputed: boolean;
};

/** Ends the loop. */
class Ended extends Error {
  readonly end: ReplicaEnd;

  constructor(end: ReplicaEnd) {
    super(end.kind);
    this.end = end;
  }
}

export class Replica {
  readonly #log: TaskLog;
  readonly #clock: Clock;
  readonly #config: ReplicaConfig;
  readonly #name: string;
  readonly #commits: string;
  readonly #sources: ReadonlyMap<string, TaskSource>;
  readonly #task: Task;
  readonly #driver: TaskDriver;
  readonly #disputes: Disputes;
  readonly #finished: Promise<ReplicaEnd>;
  #pending: PendingOutputs;
  #committer: Committer | undefined;
  #feed: Feed | undefined;
  #epoch = 0;
  #end: ReplicaEnd | undefined;
  #disputed = false;
  /** Resolves what waits: for room, or for a moment. */
  #wake: (() => void) | undefined;
  #readPosition = 0;
  #readLogTime = -Infinity;
  /** How far the task was committed when this replica began. */
  #startedAt: TaskPlace | undefined;
  /** Where the feed begins; records until there may come again. */
  #after: RecordPlace = BEFORE_RECORDS;

  /** Begins at once. `store`: the task's rows, at one of its places; empty for a beginning from nothing. */
  constructor(log: TaskLog, clock: Clock, store: StateStore, config: ReplicaConfig) {
    const { stage, partition, id, poison } = config;
    this.#log = log;
    this.#clock = clock;
    this.#config = config;
    this.#name = taskName(stage.number, partition);
    this.#commits = commitsStream(stage.app, this.#name);
    this.#sources = new Map(sourcesOf(stage, partition).map((source) => [source.stream, source]));
    this.#task = new Task(stage, partition, store);
    const letters = { stream: deadLetterStream(stage.app), app: stage.app, task: this.#name };
    this.#driver = new TaskDriver(this.#task, poison === "stop" ? undefined : letters, (batch) => this.#onBatch(batch));
    this.#disputes = new Disputes(id);
    this.#pending = new PendingOutputs(this.#task.place, this.#task.chain, this.#task.place);
    this.#finished = this.#run();
  }

  get status(): ReplicaStatus {
    const { place, watermark, counters } = this.#task;
    const { committed, size } = this.#pending;
    return {
      task: this.#name,
      replica: this.#config.id,
      state: this.#state,
      committing: this.#committer?.leading ?? false,
      place,
      committed,
      readPosition: this.#readPosition,
      readLogTime: this.#readLogTime,
      watermark,
      counters,
      pendingOutputs: size,
      poisoned: this.#driver.poisoned,
      disputed: this.#disputed,
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
    if (this.#startedAt === undefined) return "starting";
    if (this.#committer?.paused === true) return "paused";
    return this.#readPosition < this.#startedAt.cursor.position ? "restoring" : "running";
  }

  async #run(): Promise<ReplicaEnd> {
    try {
      const facts = await this.#learnFacts();
      this.#begin(facts);
      await this.#read();
    } catch (error) {
      this.#finish(error instanceof Ended ? error.end : { kind: "failed", error });
    }
    assert(this.#end !== undefined, "a replica that ended has a reason");
    return this.#end;
  }

  /** Once. Whatever is under way sees it at its next step. */
  #finish(end: ReplicaEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#committer?.stop();
    this.#feed?.close();
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
        if (facts === undefined) throw new Ended({ kind: "gone" });
        return facts;
      } catch (error) {
        if (error instanceof Ended || error instanceof InvariantError) throw error;
        await this.#pause(RUNTIME_LIMITS.factsRetryMs);
      }
    }
  }

  #begin({ epoch, place, start, nextDue }: TaskFacts): void {
    this.#checkRunning();
    const { stage, id, commitEveryMs, takeoverMs, cursorEveryMs } = this.#config;
    this.#epoch = epoch;
    this.#startedAt = place;
    this.#pending = new PendingOutputs(this.#task.place, this.#task.chain, place);
    this.#committer = new Committer(
      this.#log,
      this.#clock,
      this.#pending,
      {
        app: stage.app,
        task: this.#name,
        epoch,
        replica: id,
        commitEveryMs,
        takeoverMs: takeoverMs + Number(xxh64(utf8(id)) % BigInt(RUNTIME_LIMITS.takeoverSpreadMs)),
        cursorEveryMs,
      },
      { covered: () => this.#wake?.(), ended: (why) => this.#onCommitEnd(why) },
      nextDue,
    );
    const fresh = compareRecordPlaces(this.#task.cursor, BEFORE_RECORDS) === 0;
    this.#after = fresh ? start : this.#task.cursor;
    const streams = [...this.#sources.keys(), this.#commits].map((stream) => ({ stream }));
    this.#feed = this.#log.follow(streams, this.#after);
  }

  async #read(): Promise<void> {
    const feed = this.#feed;
    assert(feed !== undefined, "it has begun");
    for (;;) {
      const items = await feed.next();
      this.#checkRunning();
      if (items === undefined) throw new Ended({ kind: "failed", error: new Error("the feed ended") });
      let inputs = 0;
      for (const item of items) {
        this.#take(item);
        inputs += 1;
        if (inputs % RUNTIME_LIMITS.inputsPerTurnMax === 0) await this.#turn();
      }
      this.#handOver();
      await this.#room();
    }
  }

  /** Lets others have their turn, and answers come in. */
  async #turn(): Promise<void> {
    this.#handOver();
    await new Promise<void>((resolve) => {
      this.#clock.defer(resolve);
    });
    await this.#room();
  }

  /** Reads on only when there is room for what comes of it. Nobody may have told how far the task is committed. */
  async #room(): Promise<void> {
    this.#checkRunning();
    while (this.#pending.full) {
      await this.#pause(RUNTIME_LIMITS.roomPollMs);
      this.#checkRunning();
      if (!this.#pending.full) return;
      const facts = await this.#learnFacts();
      this.#checkRunning();
      if (facts.epoch !== this.#epoch) throw new Ended({ kind: "fenced" });
      this.#committer?.cover(facts.place);
    }
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

  #take(item: FeedItem): void {
    switch (item.kind) {
      case "record":
        if (item.stream === this.#commits) this.#onCommitsRecord(item);
        else this.#onInput(item);
        this.#readPosition = item.place.position;
        break;
      case "mark":
        this.#advance(item.logTime);
        // Everything before it was read.
        this.#readPosition = item.position - 1;
        break;
      case "gap":
        this.#onGap(item);
        return;
    }
    this.#readLogTime = item.logTime;
  }

  #onInput(record: FeedRecord): void {
    const source = this.#sources.get(record.stream);
    assert(source !== undefined, "a feed gives what it was asked for");
    if (compareRecordPlaces(record.place, this.#after) <= 0) return;
    if (compareRecordPlaces(record.place, this.#task.cursor) <= 0)
      throw new Ended({ kind: "failed", error: twice(record) });
    const { offset, place, key, value, headers, timestamp, logTime } = record;
    const input = {
      source: source.source,
      offset,
      place,
      value,
      logTime,
      ...(key !== undefined && { key }),
      ...(headers !== undefined && { headers }),
      ...(timestamp !== undefined && { timestamp }),
    };
    const done = this.#driver.process(input);
    if (!done.ok) throw new Ended({ kind: "poison", poison: done.error });
  }

  #advance(logTime: number): void {
    const done = this.#driver.advance(logTime);
    if (!done.ok) throw new Ended({ kind: "poison", poison: done.error });
  }

  /** Of commits, those that were read are kept by somebody else. Of a table, only superseded records may be gone. */
  #onGap({ stream, from, to }: FeedGap): void {
    if (stream === this.#commits || this.#sources.get(stream)?.table === true) return;
    throw new Ended({ kind: "input-trimmed", stream, from, to });
  }

  #handOver(): void {
    this.#driver.take();
  }

  #onBatch(batch: TaskBatch): void {
    this.#pending.add(batch);
    for (const point of batch.digests) this.#disputes.note(digestPoint(point), digestValue(point));
    this.#committer?.moved(batch.digests, batch.nextDue, this.#readLogTime);
  }

  #onCommitsRecord(record: FeedRecord): void {
    const commit = this.#log.readCommit(record);
    const statement = commit === undefined ? readStatement(record.key, record.value) : undefined;
    if (statement !== undefined) this.#hear(statement);
    // What fell due before it, the commit may cover.
    this.#advance(record.logTime);
    if (commit === undefined || commit.epoch < this.#epoch) return;
    if (commit.epoch > this.#epoch) throw new Ended({ kind: "fenced" });
    this.#handOver();
    this.#compare(commit);
    this.#committer?.seen(commit);
  }

  /** I10: all have the same. */
  #compare(commit: TaskCommit): void {
    const { outputs } = commit.to;
    const chain = this.#pending.chainAt(outputs);
    if (chain !== undefined) this.#disputes.note(`chain ${outputs}`, hexOf(chain));
    this.#pending.forgetChains(outputs);
    const { replica } = commit;
    const statements: Statement[] = [{ replica, point: `chain ${outputs}`, value: hexOf(commit.chain) }];
    for (const point of commit.digests)
      statements.push({ replica, point: digestPoint(point), value: digestValue(point) });
    for (const statement of statements) if (this.#disputes.differs(statement)) this.#hear(statement);
  }

  /** Answers with its own, where it has one. Once it differs all that follows differs, so one point is enough. */
  #hear(statement: Statement): void {
    const { point } = statement;
    const own = this.#disputes.own(point);
    const heard = this.#disputes.hear(statement);
    if (own === undefined) return;
    const mine = { replica: this.#config.id, point, value: own };
    const isNew = !this.#disputes.spoke(point);
    const judgement = isNew ? this.#disputes.hear(mine) : heard;
    if (isNew && !(this.#disputed && own !== statement.value))
      void this.#log.append(this.#commits, [statementRecord(mine)]);
    if (judgement === "alone") throw new Ended({ kind: "contradicted", point, own });
    this.#disputed = judgement === "open" || (this.#disputed && judgement !== "backed");
  }

  #onCommitEnd(why: CommitEnd): void {
    switch (why.kind) {
      case "fenced":
      case "gone":
        this.#finish(why);
        return;
      case "too-large":
        this.#finish({ kind: "failed", error: new Error(why.message) });
        return;
    }
  }
}

function twice({ stream }: FeedRecord): Error {
  return new Error(`"${stream}" shares records with another input of the task: one of them is a fork of the other`);
}

function digestPoint({ records, logTime }: DigestPoint): string {
  return `digest ${records} ${logTime}`;
}

function digestValue({ state, outputs }: DigestPoint): string {
  return `${hexOf(state)} ${hexOf(outputs)}`;
}

function hexOf(value: bigint): string {
  return value.toString(16).padStart(16, "0");
}
