/**
 * A log in memory with what the runtime needs of one: streams in one order, log time, tasks that move by conditional commits, a tick when
 * something falls due. It is never wrong; how one reaches it is `worker.ts`'s business.
 */
import { assert } from "../../src/lib/assert.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { TaskOutput } from "../../src/operators/engine/task-input.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { BEFORE_RECORDS, compareRecordPlaces } from "../../src/record/record-place.ts";
import type { TaskPlace } from "../../src/record/task-place.ts";
import type { CommitRefusal, FeedRecord, TaskFacts } from "../../src/runtime/task-log.ts";
import type { TaskCommit } from "../../src/wire/app-command.ts";
import { commitsStream } from "../../src/wire/app-streams.ts";

export type Committed = {
  readonly commit: TaskCommit;
  readonly outputs: readonly TaskOutput[];
  readonly position: number;
};

type Task = { facts: TaskFacts; readonly commits: Committed[] };

const TICK_MS = 1;

export class MemoryLog {
  /** Commits that were refused because the task was elsewhere. */
  refused = 0;
  readonly #clock: Clock;
  readonly #streams = new Map<string, FeedRecord[]>();
  readonly #tasks = new Map<string, Task>();
  readonly #commits = new WeakMap<FeedRecord, TaskCommit>();
  #position = 0;
  #logTime: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#logTime = clock.now();
    this.#tickLater();
  }

  get position(): number {
    return this.#position;
  }

  get logTime(): number {
    return this.#logTime;
  }

  append(stream: string, records: readonly StreamRecord[]): void {
    this.#enter();
    this.#put(stream, records, 0);
  }

  of(stream: string): readonly FeedRecord[] {
    return this.#streams.get(stream) ?? [];
  }

  /** Those from this offset on. */
  from(stream: string, offset: number): readonly FeedRecord[] {
    const records = this.of(stream);
    return records.slice(Math.max(0, offset - (records[0]?.offset ?? 0)));
  }

  /** Records below this offset are no longer kept. */
  trim(stream: string, offset: number): void {
    this.#streams.set(
      stream,
      this.of(stream).filter((record) => record.offset >= offset),
    );
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
      born: known?.facts.born ?? epoch,
      start: BEFORE_RECORDS,
    };
    this.#tasks.set(`${app} ${task}`, { facts, commits: known?.commits ?? [] });
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
    return this.#tasks.get(`${app} ${task}`)?.facts;
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
    const { to: place, chain, replica: committing, nextDue } = commit;
    task.facts = { ...facts, place, chain, committing, nextDue };
    task.commits.push({ commit, outputs, position: this.#position });
    return ok(undefined);
  }

  readCommit(record: FeedRecord): TaskCommit | undefined {
    return this.#commits.get(record);
  }

  /** A new entry; log time never goes back. */
  #enter(): void {
    this.#position += 1;
    this.#logTime = Math.max(this.#logTime, this.#clock.now());
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
