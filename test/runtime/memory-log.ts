/**
 * A log in memory with what the runtime needs of one: streams in one order, log time, tasks that move by conditional commits, a tick when
 * something falls due. It is never wrong; how one reaches it is `worker.ts`'s business.
 */
import { assert } from "../../src/lib/assert.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { TaskOutput } from "../../src/operators/engine/task-input.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { DigestPoint } from "../../src/record/digest-point.ts";
import type { Offset } from "../../src/record/offset.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { BEFORE_RECORDS, compareRecordPlaces } from "../../src/record/record-place.ts";
import type { TaskPlace } from "../../src/record/task-place.ts";
import type { CommitRefusal, FeedRecord, TaskFacts } from "../../src/runtime/task-log.ts";
import type { TaskCommit, TaskSnapshotCommand, TaskTrimmedCommand } from "../../src/wire/app-command.ts";
import { commitsStream, ownerOfSnapshots, snapshotsStream } from "../../src/wire/app-streams.ts";

export type Committed = {
  readonly commit: TaskCommit;
  readonly outputs: readonly TaskOutput[];
  readonly position: number;
};

type Task = {
  facts: TaskFacts;
  readonly commits: Committed[];
  verified?: TaskSnapshotCommand;
  readonly everVerified: Set<TaskSnapshotCommand>;
  waiting?: TaskSnapshotCommand;
  trimmed?: boolean;
};

const TICK_MS = 1;

export class MemoryLog {
  /** Commits that were refused because the task was elsewhere. */
  refused = 0;
  readonly #clock: Clock;
  readonly #firsts = new Map<string, Offset>();
  readonly #streams = new Map<string, FeedRecord[]>();
  readonly #tasks = new Map<string, Task>();
  readonly #commits = new WeakMap<FeedRecord, TaskCommit>();
  #position = 0;
  #logTime: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#logTime = Math.floor(clock.now());
    this.#tickLater();
  }

  get position(): number {
    return this.#position;
  }

  get logTime(): number {
    return this.#logTime;
  }

  /** Answers the first one's offset. */
  append(stream: string, records: readonly StreamRecord[]): Offset {
    this.#enter();
    return this.#put(stream, records, 0)[0]?.offset ?? this.of(stream).length;
  }

  /** All that there ever was, whatever is no longer kept. */
  of(stream: string): readonly FeedRecord[] {
    return this.#streams.get(stream) ?? [];
  }

  /** The oldest offset that is kept. */
  first(stream: string): number {
    return this.#firsts.get(stream) ?? 0;
  }

  /** Those from this offset on that are kept. */
  from(stream: string, offset: number): readonly FeedRecord[] {
    return this.of(stream).slice(Math.max(offset, this.first(stream)));
  }

  /** Records below this offset are no longer kept. */
  trim(stream: string, offset: number): Result<void, string> {
    const owner = ownerOfSnapshots(stream);
    const known = owner && this.#tasks.get(`${owner.app} ${owner.task}`);
    if (known?.trimmed === true && offset > (known.verified?.neededFrom ?? 0)) return err("snapshot-needed");
    this.#firsts.set(stream, Math.max(this.first(stream), offset));
    return ok(undefined);
  }

  /** All of a task, unless input was trimmed on them. */
  deleteSnapshots(app: string, task: string): void {
    const known = this.#tasks.get(`${app} ${task}`);
    const stream = snapshotsStream(app, task);
    if (known === undefined || !this.trim(stream, this.of(stream).length).ok) return;
    delete known.verified;
    delete known.waiting;
  }

  /** As the state machine does it (SPEC.md, W210 and W211). */
  tell(command: TaskSnapshotCommand | TaskTrimmedCommand): Result<void, string> {
    const { app, task, epoch, manifest } = command;
    const known = this.#tasks.get(`${app} ${task}`);
    if (known?.facts.epoch !== epoch) return err("fenced");
    const first = this.first(snapshotsStream(app, task));
    if (command.kind === "task-snapshot") {
      if (command.neededFrom < first) return err("what the snapshot needs is no longer kept");
      if (command.point.records > (known.waiting?.point.records ?? -1)) known.waiting = command;
      if (command.verified) known.verified = newest(known.verified, command);
      if (known.verified !== undefined) known.everVerified.add(known.verified);
      this.#verify(known);
      return ok(undefined);
    }
    if (known.verified?.manifest !== manifest) return err("the newest verified snapshot is another");
    if (known.verified.neededFrom < first) return err("the snapshot is no longer kept");
    known.trimmed = true;
    return ok(undefined);
  }

  #verify(task: Task): void {
    const { waiting } = task;
    if (waiting === undefined) return;
    const isConfirmed = task.commits.some(({ commit: { replica, digests } }) =>
      digests.some((point) => replica !== waiting.replica && isSamePoint(point, waiting.point)),
    );
    if (!isConfirmed) return;
    task.verified = newest(task.verified, waiting);
    task.everVerified.add(task.verified);
  }

  /** The app's epoch, from now on. */
  deploy(app: string, task: string, epoch: number): void {
    const known = this.#tasks.get(`${app} ${task}`);
    const place = known?.facts.place ?? { cursor: BEFORE_RECORDS, outputs: 0 };
    const facts: TaskFacts = {
      epoch,
      paused: false,
      place,
      chain: known?.facts.chain ?? 0n,
      committing: undefined,
      nextDue: known?.facts.nextDue,
      digest: known?.facts.digest,
      verified: undefined,
      begins: known?.facts.begins ?? new Map(),
      born: known?.facts.born ?? epoch,
      start: BEFORE_RECORDS,
    };
    const { commits = [], everVerified = new Set<TaskSnapshotCommand>() } = known ?? {};
    this.#tasks.set(`${app} ${task}`, { ...known, facts, commits, everVerified });
  }

  /** What the task reads first of a stream. */
  begin(app: string, task: string, stream: string, offset: Offset): void {
    const known = this.#tasks.get(`${app} ${task}`);
    assert(known !== undefined, "who begins is there");
    known.facts = { ...known.facts, begins: new Map([...known.facts.begins, [stream, offset]]) };
  }

  remove(app: string, task: string): void {
    this.#tasks.delete(`${app} ${task}`);
  }

  pause(app: string, task: string, paused: boolean): void {
    const known = this.#tasks.get(`${app} ${task}`);
    assert(known !== undefined, "who is paused is there");
    known.facts = { ...known.facts, paused };
  }

  task(app: string, task: string): TaskFacts | undefined {
    const known = this.#tasks.get(`${app} ${task}`);
    return known && { ...known.facts, verified: known.verified?.manifest };
  }

  /** Points of all snapshots that were ever said to be right. */
  verifiedPoints(app: string, task: string): readonly DigestPoint[] {
    return [...(this.#tasks.get(`${app} ${task}`)?.everVerified ?? [])].map(({ point }) => point);
  }

  committed(app: string, task: string): readonly Committed[] {
    return this.#tasks.get(`${app} ${task}`)?.commits ?? [];
  }

  commit(commit: TaskCommit, outputs: readonly TaskOutput[]): Result<void, CommitRefusal> {
    const task = this.#tasks.get(`${commit.app} ${commit.task}`);
    this.#enter();
    if (task === undefined) return err({ kind: "gone" });
    const { facts } = task;
    if (commit.epoch !== facts.epoch) return err({ kind: "fenced" });
    if (facts.paused) return err({ kind: "paused" });
    if (!samePlace(commit.from, facts.place)) {
      this.refused += 1;
      return err({ kind: "moved", place: facts.place });
    }
    const streams = Map.groupBy(outputs, ({ stream }) => stream);
    let ordinal = 0;
    for (const [stream, records] of streams) {
      this.#put(stream, records, ordinal);
      ordinal += 1;
    }
    const [record] = this.#put(commitsStream(commit.app, commit.task), [{ value: new Uint8Array() }], ordinal);
    this.#commits.set(record as FeedRecord, commit);
    const { to: place, chain, replica: committing, nextDue, digests } = commit;
    task.facts = { ...facts, place, chain, committing, nextDue, digest: digests.at(-1) ?? facts.digest };
    task.commits.push({ commit, outputs, position: this.#position });
    this.#verify(task);
    return ok(undefined);
  }

  readCommit(record: FeedRecord): TaskCommit | undefined {
    return this.#commits.get(record);
  }

  /** A new entry; log time never goes back. */
  #enter(): void {
    this.#position += 1;
    this.#logTime = Math.max(this.#logTime, Math.floor(this.#clock.now()));
  }

  #put(stream: string, records: readonly StreamRecord[], ordinal: number): FeedRecord[] {
    const there = [...this.of(stream)];
    const next = (there.at(-1)?.offset ?? -1) + 1;
    const put = records.map(({ key, value, headers, timestamp }, index): FeedRecord => {
      return {
        kind: "record",
        stream,
        offset: next + index,
        place: { position: this.#position, ordinal, index },
        value,
        logTime: this.#logTime,
        ...(key !== undefined && { key }),
        ...(headers !== undefined && { headers }),
        ...(timestamp !== undefined && { timestamp }),
      };
    });
    this.#streams.set(stream, [...there, ...put]);
    return put;
  }

  /** I14: the leader's clock only says when an entry is needed. */
  #tickLater(): void {
    this.#clock.schedule(TICK_MS, () => {
      const now = this.#clock.now();
      const due = [...this.#tasks.values()].some(({ facts: { nextDue } }) => {
        return nextDue !== undefined && nextDue >= this.#logTime && nextDue < now;
      });
      if (due) this.#enter();
      this.#tickLater();
    });
  }
}

function samePlace(a: TaskPlace, b: TaskPlace): boolean {
  return compareRecordPlaces(a.cursor, b.cursor) === 0 && a.outputs === b.outputs;
}

function newest(a: TaskSnapshotCommand | undefined, b: TaskSnapshotCommand): TaskSnapshotCommand {
  return a === undefined || a.point.records < b.point.records ? b : a;
}

function isSamePoint(a: DigestPoint, b: DigestPoint): boolean {
  return a.records === b.records && a.logTime === b.logTime && a.state === b.state && a.outputs === b.outputs;
}
