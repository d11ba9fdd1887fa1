/**
 * A simulated worker's machine: its clock stands still while it is paused, and what it sends to the log, and is told, comes late, twice or
 * never. Its requests may outlive it.
 */
import { err, type Result } from "../../src/lib/result.ts";
import type { Prng } from "../../src/lib/prng.ts";
import type { TaskOutput } from "../../src/operators/engine/task-input.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Offset } from "../../src/record/offset.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { compareRecordPlaces, type RecordPlace } from "../../src/record/record-place.ts";
import type {
  CommitRefusal,
  Feed,
  FeedItem,
  FeedRecord,
  FeedStart,
  TaskFacts,
  TaskLog,
} from "../../src/runtime/task-log.ts";
import { GatedClock } from "../../src/sim/gated-clock.ts";
import type { SnapshotStream } from "../../src/runtime/snapshots/snapshot-stream.ts";
import type { MemoryLog } from "./memory-log.ts";
import type { TaskCommit, TaskReplica, TaskSnapshotCommand, TaskTrimmedCommand } from "../../src/wire/app-command.ts";
import { commitsStream } from "../../src/wire/app-streams.ts";

/** Chances are of each message. */
export type Roughness = { readonly delayMsMax: number; readonly lost: number; readonly twice: number };

const ANSWER_WITHIN_MS = 200;
const FEED_EVERY_MS = 3;
const CHUNK_MAX = 5;

export class Worker extends GatedClock implements TaskLog {
  /** Of the world: what is under way comes, whether or not its sender stands still. */
  readonly #clock: Clock;
  readonly #log: MemoryLog;
  readonly #prng: Prng;
  readonly #roughness: Roughness;
  /** What it says besides commits does not arrive. */
  muted = false;
  #cut = false;

  constructor(clock: Clock, log: MemoryLog, prng: Prng, roughness: Roughness) {
    super(clock);
    this.#clock = clock;
    this.#log = log;
    this.#prng = prng;
    this.#roughness = roughness;
  }

  /** Nothing runs in it until it goes on; what was due meanwhile is late. */
  pause(): void {
    this.gate.close();
  }

  resume(): void {
    this.gate.open();
  }

  /** It reaches the log, or not. */
  set cut(cut: boolean) {
    this.#cut = cut;
  }

  commit(commit: TaskCommit, outputs: readonly TaskOutput[]): Promise<Result<void, CommitRefusal>> {
    return this.#ask(() => this.#log.commit(commit, outputs)).then((answer) => answer ?? err({ kind: "unknown" }));
  }

  say({ app, task }: TaskReplica, record: StreamRecord): Promise<Result<void, string>> {
    if (this.muted) return Promise.reject(new Error("not known"));
    return this.#ask((): Result<void, string> => {
      this.#log.append(commitsStream(app, task), [record]);
      return { ok: true, value: undefined };
    }).then(known);
  }

  tell(command: TaskSnapshotCommand | TaskTrimmedCommand): Promise<Result<void, string>> {
    return this.#ask(() => this.#log.tell(command)).then(known);
  }

  readCommit(record: FeedRecord): TaskCommit | undefined {
    return this.#log.readCommit(record);
  }

  async task(app: string, task: string): Promise<TaskFacts | undefined> {
    return known(await this.#ask(() => ({ facts: this.#log.task(app, task) }))).facts;
  }

  /** A stream of snapshots, as this machine reaches it. */
  snapshots(stream: string): SnapshotStream {
    const ask = async <T>(handle: () => T): Promise<T> => known(await this.#ask(handle));
    return {
      // Offsets of one that is deleted are not given again.
      bounds: () => ask(() => ({ first: this.#log.first(stream), next: this.#log.of(stream).length, incarnation: 1 })),
      read: (from) =>
        ask(() => {
          const records = this.#log.from(stream, from).slice(0, CHUNK_MAX);
          return { from: records[0]?.offset ?? from, values: records.map(({ value }) => value ?? new Uint8Array(0)) };
        }),
      append: (values) =>
        ask(() =>
          this.#log.append(
            stream,
            values.map((value) => ({ value })),
          ),
        ),
      // What is refused is needed.
      trim: async (before) => void (await ask(() => this.#log.trim(stream, before))),
    };
  }

  follow(streams: readonly FeedStart[], after: RecordPlace): Feed {
    // The batch where it begins may come again.
    const seen = new Map(streams.map(({ stream }) => [stream, this.#firstBehind(stream, after)] as const));
    let gaps = streams.flatMap(({ stream, offset: from }): FeedItem[] => {
      const to = seen.get(stream) as Offset;
      return from === undefined || to <= from ? [] : [{ kind: "gap", stream, from, to }];
    });
    let position = 0;
    let closed = false;
    let waiting: (() => void) | undefined;
    const next = async (): Promise<readonly FeedItem[] | undefined> => {
      for (;;) {
        if (closed) return undefined;
        const items = this.#cut ? [] : gaps.length > 0 ? gaps : this.#read(seen, position);
        if (items === gaps) gaps = [];
        position = items.at(-1)?.kind === "mark" ? this.#log.position : position;
        await new Promise<void>((resolve) => {
          waiting = resolve;
          this.schedule(this.#prng.below(FEED_EVERY_MS) + this.#delayMs(), resolve);
        });
        if (!closed && items.length > 0) return items;
      }
    };
    return {
      next,
      trim: (_, stream, before) => this.#ask(() => this.#log.trim(stream, before)).then(known),
      close: () => {
        closed = true;
        waiting?.();
      },
    };
  }

  #firstBehind(stream: string, after: RecordPlace): number {
    const at = { ...after, index: 0 };
    const behind = this.#log.from(stream, 0).find(({ place }) => compareRecordPlaces(place, at) >= 0);
    return behind?.offset ?? this.#log.of(stream).length;
  }

  /** Some of what is new, and a mark where that is all. */
  #read(seen: Map<string, number>, position: number): readonly FeedItem[] {
    const records = [...seen].flatMap(([name, from]) => this.#log.from(name, from));
    records.sort((a, b) => compareRecordPlaces(a.place, b.place));
    const gaps = [...seen].flatMap(([stream, from]): FeedItem[] => {
      const first = this.#log.first(stream);
      if (first <= from) return [];
      seen.set(stream, first);
      return [{ kind: "gap", stream, from, to: first }];
    });
    if (gaps.length > 0) return gaps;
    const items: FeedItem[] = records.slice(0, 1 + this.#prng.below(CHUNK_MAX));
    for (const item of items) if (item.kind === "record") seen.set(item.stream, item.offset + 1);
    const { position: end, logTime } = this.#log;
    if (items.length === records.length && end > position) items.push({ kind: "mark", position: end + 1, logTime });
    return items;
  }

  /** Undefined: nobody knows. */
  #ask<T>(handle: () => T): Promise<T | undefined> {
    const { lost, twice } = this.#roughness;
    return new Promise((resolve) => {
      this.schedule(ANSWER_WITHIN_MS, () => resolve(undefined));
      const arrive = (): void => {
        const answer = handle();
        if (!this.#prng.chance(lost) && !this.#cut)
          this.#clock.schedule(this.#delayMs(), () => this.gate.pass(() => resolve(answer)));
      };
      if (this.#cut || this.#prng.chance(lost)) return;
      // What was sent arrives, whatever becomes of the sender.
      this.#clock.schedule(this.#delayMs(), arrive);
      if (this.#prng.chance(twice)) this.#clock.schedule(this.#delayMs() * 20, arrive);
    });
  }

  #delayMs(): number {
    return this.#prng.below(this.#roughness.delayMsMax + 1);
  }
}

function known<T>(answer: T | undefined): T {
  if (answer === undefined) throw new Error("not known");
  return answer;
}
