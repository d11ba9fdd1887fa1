/** Lets the beginning of a stream be forgotten, again and again: what a node then lacks, it gets by a snapshot only. */
import { Actor } from "./clients.ts";

const KEPT_MAX = 20;

export class TrimmerActor extends Actor<{ readonly stream: string; readonly meanMs: number }> {
  protected async live(): Promise<void> {
    const client = this.world.connect(this.name);
    const history = this.world.history(this.task.stream);
    while (!this.world.finishing) {
      await this.think(this.task.meanMs);
      const before = Math.max(0, history.floor - this.prng.below(KEPT_MAX));
      history.trimAsked(before);
      try {
        const { firstOffset } = await client.stream(this.task.stream).trim(before, { timeout: 5_000 });
        history.trimmed(firstOffset, this.name);
        this.world.count("client: trimmed");
      } catch (thrown) {
        this.excused(thrown);
      }
    }
    await client.close();
  }
}
