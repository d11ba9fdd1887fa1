/** Input goes once a verified snapshot has what came of it, and nothing that anybody needs goes with it. */
import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import { topology, type Topology } from "../../src/operators/build/topology.ts";
import { commitsStream, snapshotsStream } from "../../src/wire/app-streams.ts";
import type { ReplicaStatus } from "../../src/runtime/replica.ts";
import { AppWorld, CALM, type Machine, type MachineName } from "./app-world.ts";

const EVERY_MS = 9_000;
const STEP_MS = 4_000;
/** Such that there are several snapshots. */
const STEPS = 12;

/** Two stages: what is between them is the app's own. */
function words(trim: boolean): Topology {
  const app = topology("words");
  app
    .stream("in", { trim })
    .groupBy((word) => word as string)
    .count()
    .toStream()
    .repartition({ name: "counted" })
    .map((count) => `${count} times`)
    .to("out");
  return app;
}

const COUNTED = "apps/words/counted/0";

function worldOf(seed: number, { trim = false }: { readonly trim?: boolean } = {}): AppWorld {
  return new AppWorld(words(trim).build(), seed, {}, EVERY_MS);
}

async function live(world: AppWorld, steps = STEPS): Promise<void> {
  for (let step = 0; step < steps; step += 1) {
    const records = Array.from({ length: 8 }, () => ({ value: utf8(JSON.stringify(`word ${world.prng.below(40)}`)) }));
    world.log.append("in", records);
    await world.pass(STEP_MS);
  }
}

function nameOf(world: AppWorld, machine: Machine): MachineName {
  return [...world.machines].find(([, each]) => each === machine)?.[0] as MachineName;
}

/** Of the task that reads what the other one wrote. */
function statusOf({ replicas }: Machine, task = 1): ReplicaStatus {
  return (replicas[task] as (typeof replicas)[number]).status;
}

describe("an app's own streams", () => {
  it("are trimmed as far as a verified snapshot goes, and who starts with nothing goes on behind that", async () => {
    const world = worldOf(1);
    const first = world.start();
    const second = world.start();
    await live(world);
    const trimmed = world.log.first(COUNTED);
    expect(trimmed).toBeGreaterThan(30);
    expect(trimmed).toBeLessThan(world.log.of(COUNTED).length);
    // Nobody asked for that.
    expect(world.log.first("in")).toBe(0);
    for (const machine of [first, second]) world.kill(nameOf(world, machine));
    const third = world.start();
    await live(world, 1);
    expect(await world.finish(5_000)).toBeUndefined();
    expect(statusOf(third)).toMatchObject({ state: "running", restored: {} });
    expect(world.log.first(COUNTED)).toBe(trimmed);
  });

  it("stay as they are until a snapshot is verified: one that cannot be takes nothing away", async () => {
    const world = worldOf(2);
    world.start();
    const seen = new Set<string>();
    for (let step = 0; step < 2 * STEPS; step += 1) {
      await live(world, 1);
      // Who is alone restores its own before it takes the next.
      const isVerified = world.log.task("words", "1.0")?.verified !== undefined;
      if (world.log.of(snapshotsStream("words", "1.0")).length > 0) seen.add(isVerified ? "verified" : "waiting");
      if (!isVerified) expect(world.log.first(COUNTED)).toBe(0);
    }
    expect(seen).toEqual(new Set(["waiting", "verified"]));
    expect(world.log.first(COUNTED)).toBeGreaterThan(0);
    expect(await world.finish(5_000)).toBeUndefined();
  });

  it("of commits keep what a replica reads that restores the snapshot before", async () => {
    const world = worldOf(3);
    world.start();
    world.start();
    await live(world, 2 * STEPS);
    const commits = commitsStream("words", "0.0");
    const kept = world.log.of(commits).length - world.log.first(commits);
    expect(world.log.first(commits)).toBeGreaterThan(0);
    // Two snapshots, and two digest points until one is taken.
    expect(kept * STEP_MS).toBeGreaterThan(EVERY_MS);
    expect(await world.finish(5_000)).toBeUndefined();
  });
});

describe("a snapshot that nobody has confirmed", () => {
  it("is not known to be right because it was restored, but once who did has committed for a while", async () => {
    const world = worldOf(10, { trim: true });
    const first = world.start();
    const isWritten = (): boolean => world.log.of(snapshotsStream("words", "0.0")).length > 0;
    for (let step = 0; step < 2 * STEPS && !isWritten(); step += 1) await live(world, 1);
    await world.pass(1_000);
    const isVerified = (): boolean => world.log.task("words", "0.0")?.verified !== undefined;
    expect([isWritten(), isVerified()]).toEqual([true, false]);
    const second = world.start();
    await world.pass(1_000);
    expect(statusOf(second, 0).restored).toBeDefined();
    // It has the state of who wrote it, right or wrong.
    expect([isVerified(), world.log.first("in")]).toEqual([false, 0]);
    world.kill(nameOf(world, first));
    await live(world, 2 * STEPS);
    expect(isVerified()).toBe(true);
    expect(world.log.first("in")).toBeGreaterThan(0);
    expect(await world.finish(5_000)).toBeUndefined();
  });
});

describe("an input that others may read", () => {
  it("is trimmed only where the topology says so", async () => {
    const world = worldOf(4, { trim: true });
    world.start();
    world.start();
    await live(world);
    expect(world.log.first("in")).toBeGreaterThan(30);
    expect(await world.finish(5_000)).toBeUndefined();
  });
});

describe("a replica behind what was trimmed", () => {
  it("goes on with the newest snapshot, if it was only slow", async () => {
    const world = worldOf(5);
    world.start();
    world.start();
    const slow = world.start(1);
    await live(world, 3);
    slow.worker.pause();
    await live(world);
    expect(world.log.first(COUNTED)).toBeGreaterThan(40);
    slow.worker.resume();
    await live(world, 2);
    expect(await world.finish(5_000)).toBeUndefined();
    expect(statusOf(slow)).toMatchObject({ state: "running", restored: {} });
    expect(statusOf(slow).work?.committed).toEqual(world.log.task("words", "1.0")?.place);
  });

  it("goes on with the newest snapshot, if its disk is older", async () => {
    const world = worldOf(6);
    world.start(1);
    await live(world, 3);
    await world.stop(1);
    world.start();
    world.start();
    await live(world);
    const late = world.start(1);
    await live(world, 2);
    expect(await world.finish(5_000)).toBeUndefined();
    expect(statusOf(late)).toMatchObject({ state: "running", restored: {} });
  });

  it("ends, and says what it lacks, where no snapshot is further: input that went while nobody ran is found", async () => {
    const world = worldOf(7);
    world.start(1);
    await live(world, 3);
    await world.stop(1);
    const read = world.log.of("in").length;
    world.log.append("in", [{ value: utf8('"a"') }, { value: utf8('"b"') }]);
    world.log.trim("in", read + 1);
    const late = world.start(1, CALM);
    await world.pass(1_000);
    expect(statusOf(late, 0).end).toEqual({ kind: "input-trimmed", stream: "in", from: read, to: read + 1 });
  });

  it("ends if it has nothing, and what the task began with is gone", async () => {
    const world = worldOf(9);
    world.start();
    await live(world, 1);
    world.log.trim("in", 2);
    world.log.begin("words", "0.0", "in", 1);
    const late = world.start();
    await world.pass(1_000);
    expect(statusOf(late, 0).end).toEqual({ kind: "input-trimmed", stream: "in", from: 1, to: 2 });
  });

  it("goes on where only what it has read is gone", async () => {
    const world = worldOf(8);
    world.start(1);
    await live(world, 3);
    await world.stop(1);
    world.log.trim("in", world.log.of("in").length);
    world.start(1);
    await live(world, 2);
    expect(await world.finish(5_000)).toBeUndefined();
  });
});
