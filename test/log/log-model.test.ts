/**
 * The segmented log against a plain array: random appends, cuts, applying, images, snapshots, trims and restarts give
 * what the array gives (P24: a cut that is right in memory and wrong on the disk).
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Prng } from "../../src/lib/prng.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { expectLog, expectSameEntry, LogWorld, makeEntries, TINY_LIMITS } from "./log-world.ts";

type Step =
  | { readonly kind: "append"; readonly count: number }
  | { readonly kind: "apply"; readonly count: number }
  | { readonly kind: "cut"; readonly back: number; readonly count: number }
  | { readonly kind: "restart"; readonly clean: boolean; readonly keepKv: boolean }
  | { readonly kind: "image" | "snapshot" | "settle" | "roll" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("append" as const), count: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("apply" as const), count: fc.integer({ min: 1, max: 12 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("cut" as const),
      back: fc.integer({ min: 0, max: 12 }),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("restart" as const), clean: fc.boolean(), keepKv: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("image" as const, "snapshot" as const, "settle" as const, "roll" as const),
    }),
  },
);

class Model {
  readonly disk: SimDisk = new SimDisk();
  kv: SimKv = new SimKv();
  readonly entries: Entry[] = [];
  readonly #prng: Prng;
  #world: LogWorld | undefined;
  #applied = 0;
  #term = 1;
  /** Highest applied entry that an image or snapshot holds: a restart does not bring the machine back behind it. */
  cuts = 0;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
  }

  async world(): Promise<LogWorld> {
    this.#world ??= await this.#open();
    return this.#world;
  }

  /** Opens without applying more than was applied before: what is not may still be cut. */
  async #open(): Promise<LogWorld> {
    const applied = this.#applied;
    return LogWorld.open(this.disk, this.kv, { limits: { ...TINY_LIMITS, tailCacheBytes: 500 }, applyTo: applied });
  }

  async run(step: Step): Promise<void> {
    const world = await this.world();
    switch (step.kind) {
      case "append": {
        const more = makeEntries(this.#prng, this.entries.length + 1, step.count, this.#term);
        this.entries.push(...more);
        await world.log.append(more);
        return;
      }
      case "apply": {
        const to = Math.min(this.entries.length, this.#applied + step.count);
        world.apply(this.entries.slice(this.#applied, to));
        this.#applied = to;
        return;
      }
      case "cut": {
        const from = Math.max(this.#applied, this.entries.length - step.back);
        if (from === this.entries.length) return;
        this.#term += 1;
        this.cuts += 1;
        this.entries.length = from;
        const more = makeEntries(this.#prng, from + 1, step.count, this.#term);
        this.entries.push(...more);
        await world.log.append(more);
        return;
      }
      case "restart": {
        if (step.clean) await world.close();
        else await world.log.settled();
        this.#world = undefined;
        this.kv = step.keepKv ? this.kv.crash() : new SimKv();
        await this.check();
        return;
      }
      case "image":
        if (world.machine.position > 0) await world.saveImage();
        return;
      case "snapshot": {
        const { position } = world.machine;
        if (position === 0) return;
        await world.saveImage();
        await world.log.snapshotImage();
        expect(world.log.horizon.index).toBe(position);
        return;
      }
      case "settle":
        await world.log.settled();
        return;
      case "roll":
        await world.log.roll();
        return;
    }
  }

  async check(): Promise<void> {
    const world = await this.world();
    expect(world.log.lastIndex).toBe(this.entries.length);
    expect(world.log.lastTerm).toBe(this.entries.at(-1)?.term ?? 0);
    expect(world.machine.position).toBe(this.#applied);
    let next = 1;
    while (next <= this.entries.length) {
      const read = await world.log.entries(next, this.entries.length, 3_000);
      if (!read.ok) throw new Error(read.error.message);
      for (const entry of read.value) {
        expectSameEntry(entry, this.entries[next - 1] as Entry, "model");
        expect(world.log.term(next)).toBe(entry.term);
        next += 1;
      }
    }
    expect(world.log.term(next)).toBeUndefined();
  }

  async finish(): Promise<void> {
    const world = await this.world();
    await this.check();
    world.apply(this.entries.slice(this.#applied));
    this.#applied = this.entries.length;
    await expectLog(world, this.entries, this.entries.length, "model, in the end");
    await world.close();
  }
}

describe("a segmented log", () => {
  it("is an array that survives restarts", async () => {
    let cuts = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 1e6 }),
        fc.array(step, { minLength: 5, maxLength: 60, size: "max" }),
        async (seed, steps) => {
          const model = new Model(seed);
          for (const one of steps) await model.run(one);
          await model.finish();
          cuts += model.cuts;
        },
      ),
      { numRuns: 150, seed: 7 },
    );
    expect(cuts).toBeGreaterThan(100);
  });
});
