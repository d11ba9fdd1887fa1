/**
 * A client whose reads need not be of now. One in a session never sees less than what it has written or was shown (I7),
 * whichever node answers; to any other it may be shown what was true some time ago, but never what was not.
 */
import type { Client } from "../../../client/client.ts";
import { text } from "../../../src/lib/bytes.ts";
import { Actor } from "./clients.ts";
import type { StreamHistory } from "./stream-history.ts";
import { Violation } from "../history.ts";

const THINK_MS = 200;
/** It has seen enough. */
const READ_MAX = 100;

type SessionTask = { readonly streams: readonly string[]; readonly consistency: "session" | "eventual" };

export class SessionActor extends Actor<SessionTask> {
  /** By stream: what it has written or was shown. */
  readonly #floors = new Map<string, number>();
  /** Of the counter it was shown this much. */
  #counted = 0;

  protected async live(): Promise<void> {
    const client = this.world.connect(this.name, this.task.consistency);
    for (const stream of this.task.streams) this.world.history(stream).session(this.name, false);
    while (!this.world.finishing) {
      await this.think(THINK_MS);
      // The next node may know less than the one before.
      if (this.prng.chance(0.3)) this.world.hangUp(this.name);
      const history = this.world.history(this.prng.pick(this.task.streams));
      const draw = this.prng.float();
      try {
        if (draw < 0.2) await this.#append(client, history);
        else if (draw < 0.6) await this.#look(client);
        else if (draw < 0.8) await this.#describe(client, history);
        else await this.#read(client, history);
      } catch (thrown) {
        this.excused(thrown);
      }
    }
    await client.close();
  }

  async #append(client: Client, history: StreamHistory): Promise<void> {
    const sent = history.sent(this.name, `${this.name}/${history.sentCount}`);
    try {
      const { offset } = await client.stream(history.name).append(sent.text, { timeout: 5_000 });
      history.acknowledged(sent, offset);
      this.#reached(history, offset + 1);
    } catch (thrown) {
      history.failed(sent, this.excused(thrown).outcome);
    }
  }

  async #look(client: Client): Promise<void> {
    const { counter } = this.world;
    const floor = this.task.consistency === "session" ? this.#counted : 0;
    const value = await client.cursor(counter.name).get({ timeout: 5_000 });
    const shown = value === undefined ? 0 : Number(text(value));
    counter.shownTo(shown, floor, this.name);
    this.#counted = Math.max(this.#counted, shown);
    this.world.count(`client: counter read, ${this.task.consistency}`);
  }

  async #describe(client: Client, history: StreamHistory): Promise<void> {
    const floor = this.#floorOf(history);
    const { nextOffset } = await client.stream(history.name).describe({ timeout: 5_000 });
    history.tailShownTo(nextOffset, floor, this.name);
    this.#reached(history, nextOffset);
    this.world.count(`client: described, ${this.task.consistency}`);
  }

  async #read(client: Client, history: StreamHistory): Promise<void> {
    const floor = this.#floorOf(history);
    const from = floor === 0 ? 0 : this.prng.below(floor);
    let next = from;
    for await (const record of client.stream(history.name).read({ from, timeout: 5_000 })) {
      if (record.offset !== next)
        throw new Violation(`I7: ${this.name} read ${history.name}@${record.offset}, not ${next}`);
      history.saw(record.offset, record.text(), this.name);
      next += 1;
      this.#reached(history, next);
      if (next - from === READ_MAX) return this.world.count(`client: read, ${this.task.consistency}`);
    }
    history.tailShownTo(next, floor, `${this.name}, reading to the end,`);
    this.world.count(`client: read, ${this.task.consistency}`);
  }

  #floorOf({ name }: StreamHistory): number {
    return this.task.consistency === "session" ? (this.#floors.get(name) ?? 0) : 0;
  }

  #reached({ name }: StreamHistory, tail: number): void {
    this.#floors.set(name, Math.max(this.#floors.get(name) ?? 0, tail));
  }
}
