/**
 * Many lives of one log: random work of every kind, ended by a power cut at a random call, a kill or a clean stop, and
 * taken up again. After each start the log holds what was acknowledged and serves all that is live (I5, I6, I7).
 */
import { describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import { DiskError } from "../../src/ports/disk.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Entry } from "../../src/wire/entry.ts";
import {
  type ExpectedBatch,
  expectedStreams,
  expectSameEntry,
  LogWorld,
  makeEntries,
  TINY_LIMITS,
} from "./log-world.ts";

/** What one life leaves to be found: the entries before and after what was under way, and from where they may differ. */
type UnderWay = { readonly before: readonly Entry[]; readonly after: readonly Entry[]; readonly from: number };

class Lives {
  disk: SimDisk;
  kv: SimKv;
  readonly #prng: Prng;
  /** Calls until the power goes. */
  #fuse = Number.MAX_SAFE_INTEGER;
  #entries: readonly Entry[] = [];
  #underWay: UnderWay | undefined;
  #applied = 0;
  #term = 1;
  readonly #frontier = new Map<number, number>();
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
    this.#fuse = this.#prng.chance(0.8) ? 1 + this.#prng.below(120) : Number.MAX_SAFE_INTEGER;
    let world: LogWorld | undefined;
    try {
      world = await this.#open();
      for (let step = 0; step < 40; step += 1) await this.#step(world);
      await world.close();
      this.#count("clean stop");
    } catch (error) {
      if (!(error instanceof DiskError) || !this.disk.plugPulled) throw error;
      this.#count("power cut");
    }
    this.#fuse = Number.MAX_SAFE_INTEGER;
    const options = { onMutation: () => this.#tick() };
    this.disk = this.disk.crash({ kind: "random", prng: this.#prng }, options);
    this.kv = this.#prng.chance(0.1) ? new SimKv(options) : this.kv.crash(this.#prng.chance(0.5), options);
  }

  async #open(): Promise<LogWorld> {
    const limits = { ...TINY_LIMITS, tailCacheBytes: this.#prng.pick([0, 400, 100_000]) };
    const world = await LogWorld.open(this.disk, this.kv, { limits, applyTo: this.#applied });
    await this.#checkEntries(world);
    await this.#checkStreams(world);
    return world;
  }

  async #step(world: LogWorld): Promise<void> {
    const { log } = world;
    const roll = this.#prng.below(100);
    if (roll < 40) {
      const more = makeEntries(this.#prng, this.#entries.length + 1, 1 + this.#prng.below(6), this.#term);
      await this.#write(world, this.#entries, more);
    } else if (roll < 46 && this.#entries.length > this.#applied) {
      const kept = this.#applied + this.#prng.below(this.#entries.length - this.#applied);
      this.#term += 1;
      const more = makeEntries(this.#prng, kept + 1, 1 + this.#prng.below(4), this.#term);
      await this.#write(world, this.#entries.slice(0, kept), more);
      this.#count("cut");
    } else if (roll < 70) {
      const to = Math.min(this.#entries.length, this.#applied + 1 + this.#prng.below(12));
      world.apply(this.#entries.slice(this.#applied, to));
      this.#applied = to;
    } else if (roll < 80) {
      if (world.machine.position > 0) await world.saveImage();
    } else if (roll < 84) {
      if (world.machine.position > 0) {
        await world.saveImage();
        await log.snapshotImage();
        this.#count("snapshot");
      }
    } else if (roll < 90) {
      for (const [stream, next] of world.machine.next) {
        if (this.#prng.chance(0.7))
          this.#frontier.set(stream, Math.max(this.#frontier.get(stream) ?? 0, next - this.#prng.below(8)));
      }
      const dropped = await log.trim(log.horizon.index, (stream, end) => end > (this.#frontier.get(stream) ?? 0));
      if (dropped > 0) this.#count("trim");
    } else if (roll < 95) {
      await log.settled();
    } else {
      await this.#checkStreams(world);
    }
  }

  async #write(world: LogWorld, before: readonly Entry[], more: readonly Entry[]): Promise<void> {
    const after = [...before, ...more];
    this.#underWay = { before: this.#entries, after, from: before.length };
    await world.log.append(more);
    this.#entries = after;
    this.#underWay = undefined;
  }

  /** The log holds what was acknowledged, or something between that and what was under way. */
  async #checkEntries(world: LogWorld): Promise<void> {
    const { log } = world;
    expect(log.damage).toEqual([]);
    const underWay = this.#underWay;
    this.#underWay = undefined;
    if (underWay !== undefined) {
      const { before, after, from } = underWay;
      const isCut = from < before.length;
      const first = after[from] as Entry;
      const isAfter = log.lastIndex > from ? log.term(from + 1) === first.term : isCut && log.lastIndex === from;
      this.#entries = isAfter || !isCut ? after.slice(0, log.lastIndex) : before;
      if (!isCut) expect(log.lastIndex).toBeGreaterThanOrEqual(before.length);
    }
    expect(log.lastIndex).toBe(this.#entries.length);
    expect(log.firstIndex).toBeLessThanOrEqual(Math.max(1, log.horizon.index + 1));
    for (let next = log.firstIndex; next <= log.lastIndex;) {
      const read = await log.entries(next, log.lastIndex, 2_000);
      if (!read.ok) throw new Error(read.error.message);
      for (const entry of read.value) {
        expectSameEntry(entry, this.#entries[next - 1] as Entry, "a new life");
        next += 1;
      }
    }
  }

  /** Everything behind each stream's frontier can be read. */
  async #checkStreams(world: LogWorld): Promise<void> {
    for (const [stream, batches] of expectedStreams(this.#entries.slice(0, this.#applied))) {
      const end = world.machine.next.get(stream) ?? 0;
      const live = batches.filter(
        ({ firstOffset, batch }) => firstOffset + batch.span > (this.#frontier.get(stream) ?? 0),
      );
      let next = live[0]?.firstOffset ?? end;
      for (let at = 0; next < end;) {
        const read = await world.log.read(stream, next, end, 300);
        if (!read.ok) throw new Error(read.error.message);
        for (const stored of read.value) {
          const expected = live[at] as ExpectedBatch;
          if (
            stored.firstOffset !== expected.firstOffset ||
            Buffer.compare(stored.bytes, expected.batch.bytes as Uint8Array) !== 0
          ) {
            throw new Error(`stream ${stream} at ${stored.firstOffset} is not what was appended`);
          }
          next = stored.firstOffset + stored.span;
          at += 1;
        }
      }
    }
  }

  #count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1;
  }
}

describe("a log that dies often", () => {
  it("never loses what it acknowledged, nor makes anything up", async () => {
    const tally: Record<string, number> = {};
    for (let seed = 1; seed <= 80; seed += 1) {
      const lives = new Lives(seed);
      for (let life = 0; life < 12; life += 1) {
        await lives.live().catch((error: unknown) => {
          throw new Error(`seed ${seed}, life ${life}: ${String(error)}`, { cause: error });
        });
      }
      for (const [what, times] of Object.entries(lives.tally)) tally[what] = (tally[what] ?? 0) + times;
    }
    // What was promised to happen has happened.
    for (const what of ["clean stop", "power cut", "cut", "snapshot", "trim"])
      expect(tally[what], what).toBeGreaterThan(15);
  });
});
