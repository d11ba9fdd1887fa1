/**
 * What a replica does with what it reads: lets its task work, holds the outputs until they are committed, and compares what it has with
 * what others committed.
 *
 * When it reads a commit it has done all that the commit covers, for it has taken in everything that is before it in the log.
 */
import { assert, unreachable } from "../lib/assert.ts";
import { hex64, utf8 } from "../lib/bytes.ts";
import type { Result } from "../lib/result.ts";
import { guarded } from "../operators/engine/guards.ts";
import type { Counters } from "../operators/engine/progress.ts";
import { type Instead, Task, type TaskBatch } from "../operators/engine/task.ts";
import type { Poison } from "../operators/engine/task-input.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import { xxh64 } from "../record/checksum.ts";
import type { Offset } from "../record/offset.ts";
import { BEFORE_RECORDS, compareRecordPlaces, type RecordPlace } from "../record/record-place.ts";
import { compareTaskPlaces, type TaskPlace } from "../record/task-place.ts";
import type { TaskReplica } from "../wire/app-command.ts";
import { commitsStream, deadLetterStream } from "../wire/app-streams.ts";
import { outputStreamsOf, sourcesOf, taskName, type TaskSource } from "./app-streams.ts";
import { CommitPatience } from "./commit-patience.ts";
import { type CommitEnd, Committer } from "./committer.ts";
import { Comparison } from "./comparison.ts";
import { deadLetter } from "./dead-letter.ts";
import { readStatement } from "./dispute.ts";
import type { Evidence } from "./evidence.ts";
import { inputOf } from "./feed-input.ts";
import type { FormerCommit } from "./former-commit.ts";
import { InputTrimmer, type Trim } from "./input-trimmer.ts";
import { RUNTIME_LIMITS } from "./limits.ts";
import { PendingOutputs } from "./pending-outputs.ts";
import type { ReplicaConfig } from "./replica-config.ts";
import { type Divergence, Ended } from "./replica-end.ts";
import { Replay } from "./replay.ts";
import { type OnSnapshot, Snapshotter, type SnapshotStatus } from "./snapshots/snapshotter.ts";
import { TaskDriver } from "./task-driver.ts";
import type { FeedGap, FeedItem, FeedRecord, FeedStart, TaskFacts, TaskLog } from "./task-log.ts";
import { StateKeeper, type TaskState } from "./task-state.ts";

/** How a task at work stands. */
export type WorkStatus = {
  /** It made the last commit, and is to make the next. */
  readonly committing: boolean;
  readonly place: TaskPlace;
  readonly committed: TaskPlace;
  /** Taken in since the task's beginning. */
  readonly records: number;
  /** By input: the offset behind the last record that it has taken in; 0 before the first. */
  readonly nextOffsets: Readonly<Record<string, Offset>>;
  /** Position in the log, and log time, up to which it has read. */
  readonly readPosition: number;
  readonly readLogTime: number;
  readonly watermark: number;
  readonly counters: Counters;
  readonly rows: number;
  readonly stateBytes: number;
  /** Of all rows, in hexadecimal. */
  readonly digest: string;
  readonly pendingOutputs: number;
  readonly poisoned: number;
  /** It differs from another replica, and no majority is against it. */
  readonly disputed: boolean;
  /** The newest that this replica made. */
  readonly snapshot: SnapshotStatus | undefined;
};

export type WorkListener = {
  /** There may be room for more outputs. */
  covered(): void;
  /** It differs from another replica, and no majority is against it. */
  disputed(evidence: Evidence): void;
  ended(error: Ended): void;
  readonly trim: Trim;
};

/** How many replicas are told apart, by the hashes of their ids, by how long they wait. */
const SPREAD_STEPS = 40n;

export class ReplicaWork {
  readonly #log: TaskLog;
  readonly #clock: Clock;
  readonly #listener: WorkListener;
  readonly #epoch: number;
  readonly #commits: string;
  readonly #sources: ReadonlyMap<string, TaskSource>;
  readonly #task: Task;
  readonly #driver: TaskDriver;
  readonly #pending: PendingOutputs;
  readonly #committer: Committer;
  readonly #comparison: Comparison;
  readonly #keeper: StateKeeper | undefined;
  readonly #snapshotter: Snapshotter | undefined;
  /** Where its feed begins; records until there may come again. */
  readonly #after: RecordPlace;
  readonly #begins: TaskFacts["begins"];
  /** How the task stood when it began. */
  readonly #facts: TaskFacts;
  readonly #named: Pick<Divergence, "app" | "task">;
  /** Of what was committed by then. */
  #replay: Replay | undefined;
  /** A place of the replay is passed once what was done is handed over. */
  #isPassing = false;
  /** While it is in doubt, until it ends for that. */
  #doubtTimer: Timer | undefined;
  /** In the stream of commits, behind the last that it has read. */
  #nextCommit: Offset = 0;
  /** How often this replica replaced poison. */
  #poisoned = 0;
  #readPosition: number;
  #readLogTime = -Infinity;

  constructor(
    log: TaskLog,
    clock: Clock,
    config: ReplicaConfig,
    facts: TaskFacts,
    { store, totals, durable, snapshots, restored }: TaskState,
    listener: WorkListener,
  ) {
    const { stage, partition, id: replica, commitEveryMs, takeoverMs, cursorEveryMs } = config;
    const { app } = stage;
    const { epoch, start, place, nextDue, digest, begins } = facts;
    const task = taskName(stage.number, partition);
    const who: TaskReplica = { app, task, epoch, replica };
    this.#log = log;
    this.#clock = clock;
    this.#facts = facts;
    this.#named = { app, task };
    this.#listener = listener;
    this.#epoch = epoch;
    this.#commits = commitsStream(app, task);
    this.#sources = new Map(sourcesOf(stage, partition).map((source) => [source.stream, source]));
    const letters = { stream: deadLetterStream(app), app, task };
    const instead: Instead = (poison, input) => {
      this.#poisoned += 1;
      return deadLetter(letters, poison, input);
    };
    const insteadOfPoison = config.poison === "stop" ? undefined : instead;
    this.#task = new Task(stage, partition, store, totals, insteadOfPoison, config.watch);
    this.#driver = new TaskDriver(this.#task, (batch) => this.#onBatch(batch));
    this.#comparison = new Comparison(
      log,
      clock,
      {
        who,
        begun: place,
        outputs: outputStreamsOf(app, stage.nodes),
        inputs: new Map([...this.#sources.values()].map(({ source, stream }) => [source, stream])),
      },
      (key) => this.#task.row(key),
      {
        seconded: () => this.#endDoubt(),
        contradicted: () => this.#standStill(),
        settled: (evidence, contradicted) => {
          if (contradicted) listener.ended(new Ended({ kind: "contradicted", evidence }));
          else listener.disputed(evidence);
        },
      },
    );
    this.#pending = new PendingOutputs(this.#task.place, this.#task.chain, place);
    this.#committer = new Committer(
      log,
      clock,
      this.#pending,
      { ...who, commitEveryMs, cursorEveryMs },
      new CommitPatience(takeoverMs, Number(xxh64(utf8(replica)) % SPREAD_STEPS) / Number(SPREAD_STEPS)),
      { covered: () => this.#onCovered(), ended: (why) => listener.ended(endOf(why)) },
      { nextDue, digest },
    );
    if (durable !== undefined)
      this.#keeper = new StateKeeper(durable, clock, (error) => listener.ended(new Ended({ kind: "failed", error })));
    if (snapshots !== undefined) {
      const trimmer = new InputTrimmer(log, listener.trim, who, [...this.#sources.values()]);
      const onSnapshot: OnSnapshot = (snapshot, verified) => trimmer.tell(snapshot, verified);
      const isDisputed = (): boolean => this.#comparison.disputed;
      this.#snapshotter = new Snapshotter(this.#task, clock, replica, snapshots, restored, onSnapshot, isDisputed);
      this.#snapshotter.committed(place);
    }
    const isNew = compareRecordPlaces(this.#task.cursor, BEFORE_RECORDS) === 0;
    this.#begins = begins;
    this.#after = isNew ? start : this.#task.cursor;
    this.#readPosition = this.#after.position;
  }

  /** Before it reads. `former`: the last commit of an earlier epoch, where its rows are not further in any case. */
  replay(former: FormerCommit | undefined): void {
    this.#replay = new Replay(
      { cursor: this.#after, outputs: this.#task.place.outputs },
      this.#task.chain,
      this.#facts,
      former,
    );
  }

  /** What it reads. Of commits, only those that are to come matter. */
  get starts(): readonly FeedStart[] {
    return [...this.#inputs, { stream: this.#commits }];
  }

  /** The last record that the task has taken in. */
  get cursor(): RecordPlace {
    return this.#task.cursor;
  }

  /** From where on it reads. */
  get after(): RecordPlace {
    return this.#after;
  }

  /** What it did waits for a commit, or for the disk, and no more may. */
  get full(): boolean {
    return (this.#pending.full || this.#keeper?.full === true) && !this.contradicted;
  }

  /** Most of the others are against it: it does nothing more, but hears what they have. */
  get contradicted(): boolean {
    return this.#comparison.contradicted;
  }

  get paused(): boolean {
    return this.#committer.paused;
  }

  get status(): WorkStatus {
    const { place, records, watermark, counters, totals } = this.#task;
    const { committed, size } = this.#pending;
    return {
      committing: this.#committer.leading && !this.contradicted,
      place,
      committed,
      records,
      nextOffsets: Object.fromEntries(this.#inputs.map(({ stream, offset }) => [stream, offset])),
      readPosition: this.#readPosition,
      readLogTime: this.#readLogTime,
      watermark,
      counters,
      rows: totals.rows,
      stateBytes: totals.bytes,
      digest: hex64(totals.digest),
      pendingOutputs: size,
      poisoned: this.#poisoned,
      disputed: this.#comparison.disputed,
      snapshot: this.#snapshotter?.status,
    };
  }

  /**
   * Items from a place on. Throws `Ended`. Answers the place behind them, or that of the first that is too much for this turn: what was
   * done is to be handed over, and it to come again.
   */
  take(items: readonly FeedItem[], from: number): number {
    for (let next = from; ;) {
      const item = items[next];
      if (item === undefined) return next;
      const begin = next;
      // To raise the guards takes longer than many an operator does: once around many records.
      if (this.#isInput(item)) next = guarded(() => this.#takeInputs(items, begin));
      else if (this.#take(item)) next += 1;
      if (next === begin) return next;
    }
  }

  #takeInputs(items: readonly FeedItem[], from: number): number {
    let next = from;
    for (let item = items[next]; item !== undefined && this.#isInput(item) && this.#take(item); item = items[next])
      next += 1;
    return next;
  }

  #isInput(item: FeedItem): boolean {
    return item.kind === "record" && item.stream !== this.#commits;
  }

  /** Answers false where it is too much for this turn. */
  #take(item: FeedItem): boolean {
    if (this.contradicted) {
      if (item.kind === "record" && item.stream === this.#commits) this.#onStatement(item);
      return true;
    }
    switch (item.kind) {
      case "record":
        if (item.stream === this.#commits ? !this.#onCommitsRecord(item) : !this.#onInput(item)) return false;
        this.#readPosition = item.place.position;
        this.#readLogTime = item.logTime;
        return true;
      case "mark":
        if (!this.#advance(item.logTime)) return false;
        // Everything before it was read.
        this.#readPosition = item.position - 1;
        this.#readLogTime = item.logTime;
        return true;
      case "gap":
        this.#onGap(item);
        return true;
      default:
        return unreachable(item);
    }
  }

  /** Does what is left of what was read. Answers false where that is too much for this turn. */
  goOn(): boolean {
    return this.contradicted || this.#advance(this.#readLogTime);
  }

  /** What was done is to be committed. */
  handOver(): void {
    if (this.contradicted) return;
    this.#driver.take();
    if (this.#isPassing) this.#pass();
  }

  /** It does nothing more, but what it did is to be committed soon. */
  finish(): void {
    this.handOver();
    this.#committer.finish();
  }

  /** All that it did is committed, or never will be. */
  get isCovered(): boolean {
    return this.contradicted || compareTaskPlaces(this.#pending.place, this.#pending.committed) <= 0;
  }

  /** The log says how the task stands. */
  learn({ epoch, place }: TaskFacts): void {
    if (epoch !== this.#epoch) throw new Ended({ kind: "fenced" });
    this.#committer.cover(place);
  }

  stop(): void {
    this.#standStill();
    this.#comparison.stop();
  }

  #standStill(): void {
    this.#doubtTimer?.cancel();
    this.#committer.stop();
    this.#snapshotter?.stop();
  }

  /** After `stop`: what is committed is kept. */
  async close(): Promise<void> {
    await this.#keeper?.close(this.#pending.committed);
  }

  #onInput(record: FeedRecord): boolean {
    const source = this.#sources.get(record.stream);
    assert(source !== undefined, "a feed gives what it was asked for");
    if (compareRecordPlaces(record.place, this.#after) <= 0) return true;
    if (compareRecordPlaces(record.place, this.#task.cursor) <= 0)
      throw new Ended({ kind: "failed", error: twice(record) });
    if (!this.#advance(record.logTime) || this.#driver.full) return false;
    if (this.#isBehindMilestone(record.place)) return this.#handOverToPass();
    unpoisoned(this.#driver.process(inputOf(record, source.source)));
    return true;
  }

  #advance(logTime: number): boolean {
    const dueBefore = this.#replay?.dueBefore(this.#task.cursor) ?? Infinity;
    if (logTime <= dueBefore) return unpoisoned(this.#driver.advance(logTime));
    return unpoisoned(this.#driver.advance(dueBefore)) && this.#handOverToPass();
  }

  #isBehindMilestone(place: RecordPlace): boolean {
    const next = this.#replay?.next;
    return next !== undefined && compareRecordPlaces(place, next.place.cursor) > 0;
  }

  /** All is done that the next place of the replay covers. Answers false: what was done is handed over first. */
  #handOverToPass(): boolean {
    this.#isPassing = true;
    return false;
  }

  /** Outputs that were put out otherwise, by other code, keep their numbers. What was put out by this code must come out again as it was. */
  #pass(): void {
    this.#isPassing = false;
    const [replay, task] = [this.#replay, this.#task];
    const next = replay?.next;
    assert(replay !== undefined && next !== undefined, "there is a place to pass");
    if (replay.agrees) return replay.pass();
    const { place, chain, former } = next;
    if (former === undefined) return this.#doubt(replay, place.outputs);
    task.renumber(place.outputs, chain);
    this.#pending.goOnFrom(task.place, chain);
    replay.passAnew(next);
  }

  /**
   * Either this replica is wrong, or who made the last commit. Another that has the same as this one, and began with what was committed, tells:
   * until it is heard, nothing is said, for two that are wrong alike must not back each other. With another number of outputs nothing can be
   * committed behind what is there, whoever is right.
   */
  #doubt(replay: Replay, committed: number): void {
    const ended = new Ended({ kind: "diverged", divergence: this.#divergence(committed) });
    if (this.#task.place.outputs !== committed) throw ended;
    this.#pending.goOnFrom(this.#task.place, this.#task.chain);
    this.#committer.hold(true);
    this.#comparison.doubt();
    this.#doubtTimer = this.#clock.schedule(RUNTIME_LIMITS.doubtMs, () => this.#listener.ended(ended));
    replay.pass();
  }

  #endDoubt(): void {
    this.#doubtTimer?.cancel();
    this.#committer.hold(false);
  }

  #divergence(committed: number): Divergence {
    const inputs = this.#inputs.flatMap(({ stream, offset }) => (offset > 0 ? [{ stream, offset: offset - 1 }] : []));
    return { ...this.#named, inputs, made: this.#task.place.outputs, committed };
  }

  /** Of commits, only the newest matter. Of a table, only superseded records may be gone. What may come again may as well be gone. */
  #onGap({ stream, from, to }: FeedGap): void {
    const source = this.#sources.get(stream);
    if (source === undefined || source.table) return;
    const next = this.#task.nextOffsets[source.source] ?? 0;
    if (to > next) throw new Ended({ kind: "input-trimmed", stream, from: Math.max(from, next), to });
  }

  #onBatch(batch: TaskBatch): void {
    this.#keeper?.taken(this.#task.totals, batch.to);
    const replay = this.#replay;
    replay?.take(batch);
    if (replay?.differs !== true) this.#pending.add(batch);
    // What it did may be committed already, by others.
    this.#keeper?.committed(this.#pending.committed);
    const isFormer = replay?.next?.former !== undefined;
    // What other code put out, in its place, is nothing to compare with, and with these numbers no snapshot's.
    this.#comparison.taken(isFormer ? { ...batch, outputs: [] } : batch);
    this.#committer.moved(batch.digests, batch.nextDue, this.#readLogTime);
    if (!isFormer) this.#snapshotter?.taken(batch, this.#committer.leading, this.#nextCommit);
  }

  #onCovered(): void {
    this.#keeper?.committed(this.#pending.committed);
    this.#snapshotter?.committed(this.#pending.committed);
    this.#listener.covered();
  }

  #onCommitsRecord(record: FeedRecord): boolean {
    // What fell due before it, the commit may cover.
    if (!this.#advance(record.logTime)) return false;
    const commit = this.#log.readCommit(record);
    if (commit === undefined) this.#onStatement(record);
    // Before the task began anew its places were others.
    if (commit === undefined || commit.epoch < this.#facts.born) return true;
    if (commit.epoch > this.#epoch) throw new Ended({ kind: "fenced" });
    // It stands behind all that it covers.
    const next = this.#replay?.next;
    const isPassed = next !== undefined && compareTaskPlaces(commit.to, next.place) >= 0;
    if (commit.epoch < this.#epoch && !isPassed) return true;
    this.handOver();
    if (isPassed) this.#pass();
    if (commit.epoch < this.#epoch) return true;
    this.#nextCommit = record.offset + 1;
    const { outputs } = commit.to;
    this.#comparison.compare(commit, record.place, this.#pending.chainAt(outputs));
    this.#pending.forgetChains(outputs);
    if (this.contradicted) return true;
    this.#committer.seen(commit);
    this.#snapshotter?.seen(commit);
    return true;
  }

  /** Each with what the task reads next of it. */
  get #inputs(): readonly Required<FeedStart>[] {
    const { nextOffsets } = this.#task;
    return [...this.#sources.values()].map(({ stream, source, internal }) => {
      const first = internal ? 0 : (this.#begins.get(stream) ?? 0);
      return { stream, offset: nextOffsets[source] ?? first };
    });
  }

  #onStatement({ key, value }: FeedRecord): void {
    const statement = readStatement(key, value);
    if (statement === undefined) return;
    // What it says of its rows is of all that was done.
    this.handOver();
    this.#comparison.hear(statement);
  }
}

function unpoisoned<T>(done: Result<T, Poison>): T {
  if (!done.ok) throw new Ended({ kind: "poison", poison: done.error });
  return done.value;
}

function endOf(why: CommitEnd): Ended {
  return new Ended(why.kind === "refused" ? { kind: "failed", error: new Error(why.message) } : why);
}

function twice({ stream }: FeedRecord): Error {
  return new Error(`"${stream}" shares records with another input of the task: one of them is a fork of the other`);
}
