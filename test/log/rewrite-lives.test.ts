/**
 * Many lives of a log whose streams are trimmed and compacted: random appends, frontiers, trims, rewrites of random runs,
 * images and snapshots, ended by a power cut at a random call, a kill or a clean stop. Whenever it is looked at, beside a
 * rewrite too, what survives is served as it was appended (I6, I7, P47).
 */
import { describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import { DiskError } from "../../src/ports/disk.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { expectSameEntry, LogWorld, makeEntries, TINY_LIMITS } from "./log-world.ts";
import { expectLeft, Law } from "./rewrite-law.ts";

class RewriteLives {
  disk: SimDisk;
  kv: SimKv;
  readonly #prng: Prng;
  readonly #law = new Law();
  /** Calls until the power goes. */
  #fuse = Number.MAX_SAFE_INTEGER;
  readonly #entries: Entry[] = [];
  #acknowledged = 0;
  readonly tally: Record<string, number> = {};

  constructor(seed: number) {
    this.#prng = new Prng(seed);
    this.disk = new SimDisk({ onMutation: () => this.#tick() });
    this.kv = new SimKv({ onMutation: () => this.#tick() });
  }

  #tick(): void {
    this.#fuse -= 1;
    if (this.#fuse !== 0) return;
    this.disk.pullPlug();
    this.kv.pullPlug();
  }

  async live(): Promise<void> {
    this.#fuse = this.#prng.chance(0.7) ? 1 + this.#prng.below(250) : Number.MAX_SAFE_INTEGER;
    const aside: Promise<unknown>[] = [];
    try {
      const world = await this.#open();
      for (let step = 0; step < 40; step += 1) await this.#step(world, aside);
      await Promise.all(aside);
      await this.#check(world, "before the end");
      await world.close();
      this.#count("clean stop");
    } catch (error) {
      if (!(error instanceof DiskError) || !this.disk.plugPulled) throw error;
      this.#count("power cut");
    }
    await Promise.allSettled(aside);
    this.#fuse = Number.MAX_SAFE_INTEGER;
    const options = { onMutation: () => this.#tick() };
    this.disk = this.disk.crash({ kind: "random", prng: this.#prng }, options);
    this.kv = this.#prng.chance(0.15) ? new SimKv(options) : this.kv.crash(this.#prng.chance(0.5), options);
  }

  async #open(): Promise<LogWorld> {
    const limits = { ...TINY_LIMITS, tailCacheBytes: this.#prng.pick([0, 400, 100_000]) };
    const world = await LogWorld.open(this.disk, this.kv, { limits });
    const { log } = world;
    expect(log.damage).toEqual([]);
    expect(log.lastIndex).toBeGreaterThanOrEqual(this.#acknowledged);
    this.#entries.length = log.lastIndex;
    this.#acknowledged = log.lastIndex;
    for (let next = log.firstIndex; next <= log.lastIndex;) {
      const read = await log.entries(next, log.lastIndex, 2_000);
      if (!read.ok) throw new Error(read.error.message);
      for (const entry of read.value) expectSameEntry(entry, this.#entries[entry.index - 1] as Entry, "a new life");
      next += read.value.length;
    }
    await this.#check(world, "a new life");
    return world;
  }

  async #step(world: LogWorld, aside: Promise<unknown>[]): Promise<void> {
    const { log } = world;
    const roll = this.#prng.below(100);
    if (roll < 45) {
      const more = makeEntries(this.#prng, this.#entries.length + 1, 1 + this.#prng.below(8));
      this.#entries.push(...more);
      await log.append(more);
      this.#acknowledged = this.#entries.length;
      world.apply(more);
    } else if (roll < 55) {
      if (world.machine.position > 0) await world.saveImage();
    } else if (roll < 63) {
      if (world.machine.position === 0) return;
      await world.saveImage();
      await log.snapshotImage();
    } else if (roll < 70) {
      // Nobody moves a frontier under a rewrite.
      await Promise.all(aside.splice(0));
      this.#moveFrontiers(world);
    } else if (roll < 79) {
      aside.push(
        log
          .trim(log.horizon.index, (stream, end) => end > this.#law.liveFrom(stream))
          .then((dropped) => this.#count(dropped > 0 ? "trim" : "no trim")),
      );
    } else if (roll < 88) {
      aside.push(this.#rewrite(world));
    } else if (roll < 91) {
      await log.settled();
    } else if (roll < 94) {
      await Promise.all(aside.splice(0));
    } else {
      await this.#check(world, "in the middle");
    }
    for (const one of aside) one.catch(() => undefined);
  }

  #moveFrontiers(world: LogWorld): void {
    for (const [stream, next] of world.machine.next) {
      const frontiers = this.#prng.chance(0.3) ? this.#law.live : this.#law.compacted;
      if (this.#prng.chance(0.6))
        frontiers.set(stream, Math.max(frontiers.get(stream) ?? 0, next - this.#prng.below(20)));
    }
  }

  async #rewrite(world: LogWorld): Promise<void> {
    const { log } = world;
    const position = log.horizon.index;
    const all = log.sealedSegments().filter((segment) => segment.lastIndex <= position);
    if (all.length === 0) return;
    const from = this.#prng.below(all.length);
    const run = all.slice(from, from + 1 + this.#prng.below(5)).map(({ sequence }) => sequence);
    const report = await log.rewrite(position, run, this.#law);
    if (report.refused === undefined) this.#count(report.batches.cut > 0 ? "rewrite with cuts" : "rewrite");
    // Another one came first, or a trim.
    else expect(report.refused).toContain("follow one another");
  }

  async #check(world: LogWorld, where: string): Promise<void> {
    const left = await expectLeft(world, this.#entries.slice(0, world.machine.position), this.#law, where);
    if (left.sparse > 0) this.#count("sparse batches read");
  }

  #count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1;
  }
}

describe("a log that is rewritten and dies often", () => {
  it("never loses what survives, nor makes anything up", async () => {
    const tally: Record<string, number> = {};
    for (let seed = 1; seed <= 40; seed += 1) {
      const lives = new RewriteLives(seed);
      for (let life = 0; life < 8; life += 1) {
        await lives.live().catch((error: unknown) => {
          throw new Error(`seed ${seed}, life ${life}: ${String(error)}`, { cause: error });
        });
      }
      for (const [what, times] of Object.entries(lives.tally)) tally[what] = (tally[what] ?? 0) + times;
    }
    // What was promised to happen has happened.
    for (const what of ["clean stop", "power cut", "trim", "rewrite", "rewrite with cuts", "sparse batches read"])
      expect(tally[what], what).toBeGreaterThan(15);
  });
});
