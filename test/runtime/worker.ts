/**
 * A simulated worker's machine: its clock stands still while it is paused, and what it sends to the log, and is told, comes late, twice or
 * never. Its requests may outlive it.
 */
import { err, type Result } from "../../src/lib/result.ts";
import type { Prng } from "../../src/lib/prng.ts";
import type { TaskOutput } from "../../src/operators/engine/task-input.ts";
import type { Clock } from "../../src/ports/clock.ts";
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
import type { MemoryLog } from "./memory-log.ts";
import type { TaskCommit } from "../../src/wire/app-command.ts";

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

  append(stream: string, records: readonly StreamRecord[]): Promise<Result<void, string>> {
    return this.#ask((): Result<void, string> => {
      this.#log.append(stream, records);
      return { ok: true, value: undefined };
    }).then((answer) => answer ?? err("not known"));
  }

  readCommit(record: FeedRecord): TaskCommit | undefined {
    return this.#log.readCommit(record);
  }

  async task(app: string, task: string): Promise<TaskFacts | undefined> {
    const answer = await this.#ask(() => ({ facts: this.#log.task(app, task) }));
    if (answer === undefined) throw new Error("not known");
    return answer.facts;
  }

  follow(streams: readonly FeedStart[], after: RecordPlace): Feed {
    const names = streams.map(({ stream }) => stream);
    // The batch where it begins may come again.
    const seen = new Map(names.map((name) => [name, this.#firstBehind(name, after)] as const));
    let position = 0;
    let closed = false;
    let waiting: (() => void) | undefined;
    const next = async (): Promise<readonly FeedItem[] | undefined> => {
      for (;;) {
        if (closed) return undefined;
        const items = this.#cut ? [] : this.#read(seen, position);
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
      close: () => {
        closed = true;
        waiting?.();
      },
    };
  }

  #firstBehind(stream: string, after: RecordPlace): number {
    const at = { ...after, index: 0 };
    return this.#log.of(stream).find(({ place }) => compareRecordPlaces(place, at) >= 0)?.offset ?? 0;
  }

  /** Some of what is new, and a mark where that is all. */
  #read(seen: Map<string, number>, position: number): readonly FeedItem[] {
    const records = [...seen].flatMap(([name, from]) => this.#log.from(name, from));
    records.sort((a, b) => compareRecordPlaces(a.place, b.place));
    const gaps = [...seen].flatMap(([stream, from]): FeedItem[] => {
      const [first] = this.#log.of(stream);
      // Who begins, begins with the oldest that is kept.
      if (first === undefined || first.offset <= from || from === 0) return [];
      seen.set(stream, first.offset);
      return [{ kind: "gap", stream, from, to: first.offset }];
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
