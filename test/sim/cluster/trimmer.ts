/** Lets the beginning of a stream be forgotten, again and again: what a node then lacks, it gets by a snapshot only. */
import type { Prng } from "../../../src/lib/prng.ts";
import { Actor, type Surroundings } from "./clients.ts";

const KEPT_MAX = 20;

export class TrimmerActor extends Actor {
  readonly #stream: string;
  readonly #meanMs: number;

  constructor(world: Surroundings, name: string, prng: Prng, stream: string, meanMs: number) {
    super(world, name, prng);
    this.#stream = stream;
    this.#meanMs = meanMs;
  }

  protected async live(): Promise<void> {
    const client = this.world.connect(this.name);
    const history = this.world.history(this.#stream);
    while (!this.world.finishing) {
      await this.think(this.#meanMs);
      const before = Math.max(0, history.floor - this.prng.below(KEPT_MAX));
      history.trimAsked(before);
      try {
        const { firstOffset } = await client.stream(this.#stream).trim(before, { timeout: 5_000 });
        history.trimmed(firstOffset, this.name);
        this.world.count("client: trimmed");
      } catch (thrown) {
        this.excused(thrown);
      }
    }
    await client.close();
  }
}
