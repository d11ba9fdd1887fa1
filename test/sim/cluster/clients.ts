/**
 * Clients of the cluster, by the SDK: producers, callers of single appends, a counter that several move by transactions,
 * readers that follow one stream or several, readers that look. Each tells its history what it asked for, what it was
 * told and what it has seen, and goes on whatever breaks, until it is asked to finish.
 */
import type { Client } from "../../../client/client.ts";
import { asTidemarkError, type TidemarkError } from "../../../client/error.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import { text } from "../../../src/lib/bytes.ts";
import type { Clock } from "../../../src/ports/clock.ts";
import type { GatedClock } from "../../../src/sim/gated-clock.ts";
import type { Consistency } from "../../../src/wire/consistency.ts";
import { Violation } from "../history.ts";
import type { CounterHistory } from "./counter-history.ts";
import type { StreamHistory } from "./stream-history.ts";

/** What clients need of the world they live in. */
export interface Surroundings {
  readonly clock: Clock;
  /** A client of its own, with a connection of its own. Default: its reads are linearizable, and nothing stops its process. */
  connect(name: string, consistency?: Consistency, process?: GatedClock): Client;
  /** Its connection breaks; its next one may be to another node. */
  hangUp(name: string): void;
  history(stream: string): StreamHistory;
  readonly counter: CounterHistory;
  /** What happened, for the trace and the totals. */
  count(what: string, times?: number): void;
  note(line: string): void;
  violated(error: unknown): void;
  /** The work is over: finish what is under way, begin nothing. */
  readonly finishing: boolean;
  /** Some disk was damaged, or has failed: who asks its node for what it lost is told so (I13). */
  readonly damaged: boolean;
}

/** What a client may be told while the cluster is harmed; anything else is a broken promise. */
const EXCUSED: ReadonlySet<string> = new Set([
  "timeout",
  "connection-failed",
  "connection-lost",
  "unavailable",
  "not-leader",
  "overloaded",
  "outcome-unknown",
  "disk-full",
  "client-closed",
  "aborted",
]);

/** Somebody who does one thing over and over, for as long as the world lasts; `task` says to which streams, how often and the like. */
export abstract class Actor<Task> {
  readonly name: string;
  readonly task: Task;
  protected readonly world: Surroundings;
  /** Its own: what others draw does not change what it does. */
  protected readonly prng: Prng;
  /** Nothing of it is under way any more. */
  done = false;

  constructor(world: Surroundings, prng: Prng, name: string, task: Task) {
    this.world = world;
    this.name = name;
    this.prng = prng.fork(name);
    this.task = task;
  }

  async run(): Promise<void> {
    try {
      await this.live();
    } catch (error) {
      this.world.violated(error);
    }
    this.done = true;
  }

  protected abstract live(): Promise<void>;

  protected rest(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void this.world.clock.schedule(milliseconds, resolve));
  }

  /** As long as others would take to think: mostly short. */
  protected think(meanMs: number): Promise<void> {
    return this.rest(this.prng.exponential(meanMs));
  }

  protected excused(thrown: unknown, more: readonly string[] = []): TidemarkError {
    if (thrown instanceof Violation) throw thrown;
    const error = asTidemarkError(thrown);
    const damage = (error.code === "damaged" || error.code === "repairing") && this.world.damaged;
    if (!damage && !EXCUSED.has(error.code) && !more.includes(error.code))
      throw new Violation(`${this.name} was told ${error.code}: ${error.message}`, { cause: thrown });
    this.world.count(`client: ${error.code}`);
    return error;
  }
}

/** Appends records through the SDK's producer, as fast as it likes; a new one where one has failed. */
export class ProducerActor extends Actor<{ readonly stream: string; readonly meanMs: number }> {
  protected async live(): Promise<void> {
    const client = this.world.connect(this.name);
    const history = this.world.history(this.task.stream);
    for (let life = 0; !this.world.finishing; life += 1) {
      const id = `${this.name}.${life}`;
      history.session(id, true);
      const timeout = this.prng.pick([3_000, 10_000, 30_000]);
      const lingerMs = this.prng.pick([0, 0, 5]);
      const producer = client.stream(this.task.stream).producer({ id, timeout, lingerMs });
      const answers: Promise<void>[] = [];
      try {
        for (let ordinal = 0; !this.world.finishing; ordinal += 1) {
          await producer.ready();
          answers.push(
            this.#append(history, id, ordinal, (value) => producer.append(value)).catch((error: unknown) =>
              this.world.violated(error),
            ),
          );
          if (this.prng.chance(0.7)) await this.think(this.task.meanMs);
        }
        await producer.close();
      } catch (thrown) {
        this.excused(thrown);
        producer.abort();
        this.world.count("client: producer began anew");
      }
      await Promise.all(answers);
      if (!this.world.finishing) await this.think(500);
    }
    await client.close();
  }

  async #append(
    history: StreamHistory,
    id: string,
    ordinal: number,
    append: (value: string) => Promise<number>,
  ): Promise<void> {
    const filler = "x".repeat(this.prng.chance(0.05) ? this.prng.below(3_000) : this.prng.below(100));
    const sent = history.sent(id, `${id}/${ordinal} ${filler}`);
    try {
      const offset = await append(sent.text);
      history.acknowledged(sent, offset);
      this.world.count("client: acknowledged");
    } catch (thrown) {
      const { outcome } = this.excused(thrown);
      history.failed(sent, outcome);
      this.world.count(`client: append ${outcome}`);
    }
  }
}

type AppenderTask = {
  readonly stream: string;
  readonly meanMs: number;
  /** Of the longest records, about. */
  readonly bytesMax: number;
};

/** Single appends, several at a time, with less patience than the SDK would have; or with its own, some of them in one moment. */
export class AppenderActor extends Actor<AppenderTask> {
  protected async live(): Promise<void> {
    const client = this.world.connect(this.name);
    const { stream, meanMs } = this.task;
    const history = this.world.history(stream);
    history.session(this.name, false);
    const under = new Set<Promise<void>>();
    while (!this.world.finishing) {
      // Calls without options that are made together share a batch.
      const together = this.prng.chance(0.3) ? 2 + this.prng.below(4) : 1;
      for (let count = 0; count < together && under.size < 6; count += 1) {
        const done = this.#append(client, history, together === 1).finally(() => under.delete(done));
        under.add(done);
        done.catch((error: unknown) => this.world.violated(error));
      }
      await this.think(meanMs);
    }
    await Promise.all(under);
    await client.close();
  }

  async #append(client: Client, history: StreamHistory, hurried: boolean): Promise<void> {
    const { stream, bytesMax } = this.task;
    const options = hurried ? { timeout: this.prng.pick([500, 2_000, 10_000]) } : {};
    const filler = "y".repeat(this.prng.below(bytesMax));
    const sent = history.sent(this.name, `${this.name}/${history.sentCount} ${filler}`);
    try {
      const { offset } = await client.stream(stream).append(sent.text, options);
      history.acknowledged(sent, offset);
      this.world.count("client: acknowledged");
    } catch (thrown) {
      const { outcome } = this.excused(thrown);
      history.failed(sent, outcome);
      this.world.count(`client: append ${outcome}`);
    }
  }
}

/**
 * Reads a counter and moves it on by one, in a transaction that holds only if nobody else did, and says so in two streams
 * (I9, I11).
 */
export class CounterActor extends Actor<{ readonly streams: readonly string[] }> {
  protected async live(): Promise<void> {
    const client = this.world.connect(this.name);
    for (const stream of this.task.streams) this.world.history(stream).session(this.name, false);
    for (let attempt = 0; !this.world.finishing; attempt += 1) {
      await this.think(150);
      const value = await this.#look(client);
      if (value === undefined || this.world.finishing) continue;
      await this.#move(client, value, attempt);
    }
    await client.close();
  }

  async #look(client: Client): Promise<number | undefined> {
    const { counter } = this.world;
    const { floor } = counter;
    try {
      const value = await client.cursor(counter.name).get({ timeout: 5_000 });
      const shown = value === undefined ? 0 : Number(text(value));
      counter.shown(shown, floor, this.name);
      this.world.count("client: counter read");
      return shown;
    } catch (thrown) {
      this.excused(thrown);
      return undefined;
    }
  }

  async #move(client: Client, value: number, attempt: number): Promise<void> {
    const { counter } = this.world;
    const move = counter.asked(value, this.name);
    const rows = this.task.streams.map((stream) => {
      const history = this.world.history(stream);
      return { stream, history, sent: history.sent(this.name, `${this.name}/${attempt}: ${value + 1}`) };
    });
    const transaction = client
      .transaction()
      .expectCursor(counter.name, value === 0 ? null : `${value}`)
      .setCursor(counter.name, `${value + 1}`);
    for (const { stream, sent } of rows) transaction.append(stream, sent.text);
    try {
      const results = await transaction.commit({ timeout: this.prng.pick([1_000, 5_000, 20_000]) });
      counter.settled(move, "applied");
      for (const { stream, history, sent } of rows) {
        const result = results.find((one) => "stream" in one && one.stream === stream);
        const offset = result !== undefined && "offset" in result ? result.offset : undefined;
        if (offset === undefined) throw new Violation(`I11: a transaction was answered without ${stream}`);
        history.acknowledged(sent, offset);
      }
      this.world.count("client: counter moved");
    } catch (thrown) {
      const { outcome } = this.excused(thrown, ["condition-failed"]);
      counter.settled(move, outcome);
      for (const { history, sent } of rows) history.failed(sent, outcome);
      this.world.count(`client: transaction ${outcome}`);
    }
  }
}

/** Asks how far a stream reaches, and reads parts of it, again and again. */
export class LookerActor extends Actor<{ readonly streams: readonly string[] }> {
  protected async live(): Promise<void> {
    const client = this.world.connect(this.name);
    while (!this.world.finishing) {
      await this.think(200);
      const stream = this.prng.pick(this.task.streams);
      if (this.prng.chance(0.6)) await this.#describe(client, stream);
      else await this.#read(client, stream);
    }
    await client.close();
  }

  async #describe(client: Client, stream: string): Promise<void> {
    const history = this.world.history(stream);
    const { floor } = history;
    try {
      const { nextOffset } = await client.stream(stream).describe({ timeout: this.prng.pick([500, 5_000]) });
      history.tailShown(nextOffset, floor, this.name);
      this.world.count("client: described");
    } catch (thrown) {
      this.excused(thrown);
    }
  }

  async #read(client: Client, stream: string): Promise<void> {
    const history = this.world.history(stream);
    const { floor } = history;
    const from = floor === 0 ? 0 : this.prng.below(floor);
    let next = from;
    try {
      for await (const record of client.stream(stream).read({ from, timeout: 5_000 })) {
        if (record.offset !== next)
          throw new Violation(`I7: ${this.name} read ${stream}@${record.offset}, not ${next}`);
        history.saw(record.offset, record.text(), this.name);
        next += 1;
      }
      history.tailShown(next, floor, `${this.name}, reading to the end,`);
      this.world.count("client: read");
    } catch (thrown) {
      // With less known by now than by whoever said so, a node may not reach it in time; never less, once it answers.
      this.excused(thrown);
    }
  }
}

/** Follows one stream by subscription, in order, each record or gap once, for as long as the world lasts (I7). */
export class SubscriberActor extends Actor<{ readonly stream: string }> {
  next = 0;
  readonly #ending = new AbortController();

  /** Whether it has seen so much. */
  hasReached(tail: number): boolean {
    return this.next >= tail;
  }

  end(): void {
    this.#ending.abort();
  }

  protected async live(): Promise<void> {
    const history = this.world.history(this.task.stream);
    while (!this.#ending.signal.aborted) {
      const client = this.world.connect(this.name);
      // Now and then it begins anew where it was.
      let left = this.prng.chance(0.5) ? this.prng.below(200) : Number.POSITIVE_INFINITY;
      try {
        const records = client.stream(this.task.stream).subscribe({
          from: this.next,
          signal: this.#ending.signal,
          prefetchBytes: this.prng.pick([8_192, 65_536]),
          onGap: ({ from, to }) => {
            if (from !== this.next)
              throw new Violation(`I7: ${this.name} was told of a gap at ${from} where ${this.next} was due`);
            history.trimmed(to, this.name);
            this.next = to;
            this.world.count("client: gap");
          },
        });
        for await (const record of records) {
          if (record.offset !== this.next)
            throw new Violation(`I7: ${this.name} got ${this.task.stream}@${record.offset} where ${this.next} was due`);
          history.saw(record.offset, record.text(), this.name);
          this.next += 1;
          this.world.count("client: delivered");
          left -= 1;
          if (left <= 0) break;
          if (this.prng.chance(0.02)) await this.think(300);
        }
      } catch (thrown) {
        this.excused(thrown);
      }
      await client.close();
      if (!this.#ending.signal.aborted) await this.think(100);
    }
  }
}

/** Follows several streams as one, in the log's order (I7), and sees of each transaction all (I11). */
export class FollowerActor extends Actor<{ readonly streams: readonly string[] }> {
  readonly #next = new Map<string, number>();
  readonly #ending = new AbortController();

  hasReached(tailOf: (stream: string) => number): boolean {
    return this.task.streams.every((stream) => (this.#next.get(stream) ?? 0) >= tailOf(stream));
  }

  end(): void {
    this.#ending.abort();
  }

  protected async live(): Promise<void> {
    const client = this.world.connect(this.name);
    let position = 0;
    let ordinal = 0;
    while (!this.#ending.signal.aborted) {
      const from = Object.fromEntries(this.#next);
      try {
        for await (const record of client.follow(this.task.streams, { from, signal: this.#ending.signal })) {
          const due = this.#next.get(record.stream) ?? 0;
          if (record.offset !== due)
            throw new Violation(`I7: ${this.name} got ${record.stream}@${record.offset} where ${due} was due`);
          if (record.position < position || (record.position === position && record.ordinal < ordinal))
            throw new Violation(`I7: ${this.name} got ${record.stream}@${record.offset} against the log's order`);
          ({ position, ordinal } = record);
          this.world.history(record.stream).saw(record.offset, record.text(), this.name);
          this.#next.set(record.stream, due + 1);
          this.world.count("client: followed");
        }
      } catch (thrown) {
        // Where a disk is damaged it ends, and begins anew where it was.
        this.excused(thrown);
      }
      if (!this.#ending.signal.aborted) await this.think(100);
    }
    await client.close();
  }
}
