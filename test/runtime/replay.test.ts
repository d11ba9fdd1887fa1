/** What becomes of what is committed when a replica does it again: by the same code, by code that was changed, by that of a newer version. */
import { describe, expect, it } from "vitest";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { topology, type Topology } from "../../src/operators/build/topology.ts";
import { valueState } from "../../src/operators/state/keyed-state.ts";
import { fold } from "../../src/operators/aggregates/fold.ts";
import { tumbling } from "../../src/operators/windows/window.ts";
import { RUNTIME_LIMITS } from "../../src/runtime/limits.ts";
import type { ReplicaConfig } from "../../src/runtime/replica-config.ts";
import type { Divergence, ReplicaEnd } from "../../src/runtime/replica-end.ts";
import type { WorkStatus } from "../../src/runtime/replica-work.ts";
import { hurried } from "./apps.ts";
import { AppWorld, CALM, type Machine } from "./app-world.ts";

type Event = { readonly n: number; readonly t?: number };

/** What `keep` leaves of the numbers. */
function passed(keep: (n: number) => number): Topology {
  const app = topology("passed");
  app
    .stream("in")
    .flatMap((event) => Array.from({ length: keep((event as Event).n) }, () => (event as Event).n))
    .to("out");
  return app;
}

/** Numbers of a second, by what `keyOf` makes of them. */
function perSecond(keyOf: (n: number) => string, weight = 1, padding = 0): Topology {
  const app = topology("windows");
  app
    .stream("in", { timestamp: (event) => (event as Event).t as number })
    .groupBy((event) => keyOf((event as Event).n))
    .window(tumbling({ sizeMs: 1_000 }))
    .aggregate(fold({ start: () => 0, add: (sum: number) => sum + weight, result: (sum) => sum }))
    .map((sums) => [(sums as { value: number }).value, "x".repeat(padding)])
    .to("out");
  return app;
}

/** Each record has something fall due a while later. */
function echoes(weight: number): Topology {
  const app = topology("echoes");
  app
    .stream("in", { key: (event) => String((event as Event).n) })
    .process({
      onRecord(event, { timers, logTime }) {
        timers.log(logTime + 50);
        return [weight * (event as Event).n];
      },
      onTimer: (_, { key }) => [`later ${key}`],
    })
    .to("out");
  return app;
}

function worldOf(app: Topology, config: Partial<ReplicaConfig> = {}): AppWorld {
  return new AppWorld(app.build(), 7, config);
}

function append(world: AppWorld, ...events: readonly Event[]): void {
  world.log.append(
    "in",
    events.map((event) => ({ value: utf8(JSON.stringify(event)) })),
  );
}

function numbers(from: number, to: number): Event[] {
  return Array.from({ length: to - from }, (_, at) => ({ n: from + at }));
}

function outputs(world: AppWorld): unknown[] {
  return world.log.of("out").map(({ value }) => JSON.parse(text(value as Uint8Array) as string) as unknown);
}

function workOf({ replicas }: Machine): WorkStatus {
  return replicas[0]?.status.work as WorkStatus;
}

async function divergenceOf(world: AppWorld, { replicas }: Machine): Promise<Divergence> {
  await world.until(() => replicas[0]?.status.end !== undefined, 2_000 + RUNTIME_LIMITS.doubtMs);
  const end = replicas[0]?.status.end as Extract<ReplicaEnd, { kind: "diverged" }>;
  expect(end).toMatchObject({ kind: "diverged" });
  return end.divergence;
}

/** What runs is stopped, and a newer version takes its place. */
async function upgrade(world: AppWorld, epoch: number, app: Topology, replicas = 2): Promise<Machine[]> {
  const before = [...world.machines.keys()];
  for (const { task } of world.tasks) world.log.deploy(world.graph.app, task, epoch);
  for (const name of before) await world.stop(name);
  const graph = app.build();
  return Array.from({ length: replicas }, (_, at) => world.start(`epoch-${epoch}-${at}`, CALM, graph));
}

const all = (): number => 1;
const even = (n: number): number => (n % 2 === 0 ? 1 : 0);
const twice = (): number => 2;

describe("a newer version", () => {
  it.for([
    ["fewer", even, numbers(100, 200).flatMap(({ n }) => (n % 2 === 0 ? [n] : []))],
    ["more", twice, numbers(100, 200).flatMap(({ n }) => [n, n])],
    ["as many", all, numbers(100, 200).map(({ n }) => n)],
  ] as const)("that puts out %s does so for all that comes, and nothing again", async ([, keep, expected]) => {
    const world = worldOf(passed(all));
    world.start();
    append(world, ...numbers(0, 100));
    await world.until(() => outputs(world).length === 100, 2_000);
    await world.pass(100);
    const replicas = await upgrade(world, 2, passed(keep));
    append(world, ...numbers(100, 200));
    await world.until(() => outputs(world).length === 100 + expected.length, 2_000);
    await world.pass(1_000);
    expect(outputs(world)).toEqual([...numbers(0, 100).map(({ n }) => n), ...expected]);
    expect(replicas.map((each) => [each.replicas[0]?.status.state, workOf(each).disputed])).toEqual([
      ["running", false],
      ["running", false],
    ]);
  });

  it("takes up what waited, too, and those that begin later are of one mind with it", async () => {
    const world = worldOf(passed(all));
    world.start("old");
    append(world, ...numbers(0, 30));
    await world.until(() => outputs(world).length === 30, 2_000);
    await world.stop("old");
    append(world, ...numbers(30, 60));
    const [first] = await upgrade(world, 2, passed(even), 1);
    await world.until(() => outputs(world).length === 45, 2_000);
    // From the beginning, past where the other code ended.
    const second = world.start("later", CALM, passed(even).build());
    append(world, ...numbers(60, 80));
    await world.until(() => outputs(world).length === 55, 2_000);
    await world.pass(500);
    expect([first as Machine, second].map((each) => [workOf(each).place.outputs, workOf(each).disputed])).toEqual([
      [55, false],
      [55, false],
    ]);
    const third = await upgrade(world, 3, passed(twice), 1);
    append(world, { n: 80 });
    await world.until(() => outputs(world).length === 57, 2_000);
    await world.pass(500);
    expect(outputs(world).slice(45)).toEqual([60, 62, 64, 66, 68, 70, 72, 74, 76, 78, 80, 80]);
    expect(workOf(third[0] as Machine).place.outputs).toBe(57);
  });

  it("has what the code before left out, on disk as well", async () => {
    const world = worldOf(passed(even), { cursorEveryMs: 100_000 });
    world.start(0);
    append(world, { n: 0 });
    await world.until(() => outputs(world).length === 1, 2_000);
    // Nothing comes of these, and nobody has committed them: they are for whoever comes next.
    append(world, { n: 1 }, { n: 3 });
    await world.pass(RUNTIME_LIMITS.flushEveryMs + 1_000);
    world.log.deploy("passed", "0.0", 2);
    await world.stop(0);
    world.start(0, CALM, passed(all).build());
    await world.until(() => outputs(world).length === 3, 2_000);
    expect(outputs(world)).toEqual([0, 1, 3]);
  });

  it("closes the windows that are open with what it makes of their records, and no other again", async () => {
    const world = worldOf(perSecond((n) => `k${n % 3}`));
    world.start();
    append(world, ...numbers(0, 9).map(({ n }) => ({ n, t: n * 100 })));
    append(world, { n: 9, t: 1_100 });
    await world.until(() => outputs(world).length === 3, 2_000);
    await world.pass(600);
    await upgrade(
      world,
      2,
      perSecond(() => "all", 10),
    );
    append(world, { n: 10, t: 2_100 });
    await world.until(() => outputs(world).length === 4, 2_000);
    await world.pass(500);
    expect(outputs(world).map((window) => (window as [number, string])[0])).toEqual([3, 3, 3, 10]);
  });

  it("that puts out for what was committed what the one before did goes on in the midst of what falls due together", async () => {
    const keys = 100;
    const padding = (2 * RUNTIME_LIMITS.commitBytesMax) / keys;
    const app = (): Topology => perSecond((n) => `k${n}`, 1, padding);
    const world = worldOf(app());
    world.start();
    append(world, ...numbers(0, keys).map(({ n }) => ({ n, t: 0 })));
    append(world, { n: 0, t: 1_000 });
    await world.until(() => outputs(world).length > 0, 60_000);
    expect(outputs(world).length).toBeLessThan(keys);
    await upgrade(world, 2, app());
    await world.until(() => outputs(world).length === keys, 60_000);
    expect(new Set(world.log.of("out").map(({ key }) => text(key as Uint8Array))).size).toBe(keys);
  });

  it("leaves what fell due before to the one before, and does what does so later", async () => {
    const world = worldOf(echoes(1));
    world.start();
    append(world, { n: 1 });
    await world.until(() => outputs(world).length === 2, 2_000);
    append(world, { n: 2 });
    await world.until(() => outputs(world).length === 3, 20);
    await upgrade(world, 2, echoes(10));
    await world.until(() => outputs(world).length === 4, 2_000);
    append(world, { n: 3 });
    await world.until(() => outputs(world).length === 6, 2_000);
    await world.pass(500);
    expect(outputs(world)).toEqual([1, "later 1", 2, "later 2", 30, "later 3"]);
  });
});

/** What is wrong with what came out, if each number was put out by one of the versions, and none by an earlier one than those before it. */
function versionsFault(out: readonly unknown[], keeps: readonly ((n: number) => number)[], count: number): unknown {
  const counts = Map.groupBy(out, (n) => n);
  let version = 0;
  for (let n = 0; n < count; n += 1) {
    const copies = counts.get(n)?.length ?? 0;
    version = keeps.findIndex((keep, at) => at >= version && keep(n) === copies);
    if (version < 0) return `${n} came out ${copies} times`;
  }
  const inOrder = (out as number[]).toSorted((a, b) => a - b);
  return out.every((n, at) => n === inOrder[at]) ? undefined : "what came out is in another order";
}

describe("versions, whenever they are deployed and whoever dies", () => {
  it.for([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])("put out each record once, in order: seed %i", async (seed) => {
    const keeps = [all, even, twice, all, (): number => 0, twice];
    const world = new AppWorld(passed(all).build(), seed, { cursorEveryMs: 30 });
    const { prng } = world;
    let count = 0;
    for (const [version, keep] of keeps.entries()) {
      world.log.deploy("passed", "0.0", version + 1);
      for (const name of [...world.machines.keys()]) world.kill(name);
      const graph = passed(keep).build();
      for (const machine of [0, 1]) world.start(machine, CALM, graph);
      for (let round = 0; round < 10; round += 1) {
        const next = count + prng.below(8);
        append(world, ...numbers(count, next));
        count = next;
        await world.pass(prng.below(60));
        const machine = prng.below(2);
        if (!prng.chance(0.2)) continue;
        world.kill(machine);
        world.start(machine, CALM, graph);
      }
    }
    append(world, { n: count });
    const end = world.log.position;
    const isDone = (): boolean => world.log.task("passed", "0.0")?.place.cursor.position === end;
    expect(await world.until(isDone, 5_000)).toBe(true);
    expect(versionsFault(outputs(world), keeps, count + 1)).toBeUndefined();
    expect(world.ends).toEqual([]);
    for (const machine of world.machines.values()) expect(workOf(machine).disputed).toBe(false);
  });
});

describe("the same version with other code", () => {
  it.for([
    ["fewer", even, 50],
    ["more", twice, 200],
    ["other", (n: number) => (n === 17 ? 0 : n === 18 ? 2 : 1), 100],
  ] as const)("that puts out %s for what is committed ends, and commits nothing", async ([, keep, made]) => {
    const world = worldOf(passed(all));
    world.start("old");
    append(world, ...numbers(0, 100));
    await world.until(() => outputs(world).length === 100, 2_000);
    await world.pass(1_000);
    await world.stop("old");
    const changed = [0, 1].map((at) => world.start(`changed-${at}`, CALM, passed(keep).build()));
    append(world, ...numbers(100, 120));
    for (const machine of changed)
      expect(await divergenceOf(world, machine)).toEqual({
        app: "passed",
        task: "0.0",
        inputs: [{ stream: "in", offset: 99 }],
        made,
        committed: 100,
      });
    await world.pass(1_000);
    expect(outputs(world).length).toBe(100);
    // What it was, it may go on with.
    world.start();
    await world.until(() => outputs(world).length === 120, 2_000);
    expect(await world.finish(2_000)).toBeUndefined();
  });

  it("does not win by being there twice", async () => {
    const world = worldOf(passed(all));
    const old = world.start("old");
    append(world, ...numbers(0, 100));
    await world.until(() => outputs(world).length === 100, 2_000);
    await world.pass(1_000);
    const other = passed((n) => (n === 17 ? 0 : n === 18 ? 2 : 1)).build();
    const changed = [0, 1].map((at) => world.start(`changed-${at}`, CALM, other));
    for (let n = 100; n < 140; n += 1) {
      append(world, { n });
      await world.pass(100);
    }
    for (const machine of changed) expect(await divergenceOf(world, machine)).toMatchObject({ made: 100 });
    expect([old.replicas[0]?.status.state, workOf(old).disputed]).toEqual(["running", false]);
    expect(await world.finish(2_000)).toBeUndefined();
  });

  it("is found out without anything new to read", async () => {
    const world = worldOf(passed(all));
    world.start("old");
    append(world, ...numbers(0, 10));
    await world.until(() => outputs(world).length === 10, 2_000);
    await world.stop("old");
    expect(await divergenceOf(world, world.start("changed", CALM, passed(even).build()))).toMatchObject({ made: 5 });
  });

  it("is found out after a new version whose code before was another", async () => {
    const world = worldOf(passed(all));
    world.start();
    append(world, ...numbers(0, 10));
    await world.until(() => outputs(world).length === 10, 2_000);
    await world.pass(1_000);
    await upgrade(world, 2, passed(even));
    append(world, ...numbers(10, 20));
    await world.until(() => outputs(world).length === 15, 2_000);
    await world.pass(1_000);
    const changed = world.start("changed", CALM, passed(twice).build());
    expect(await divergenceOf(world, changed)).toMatchObject({ inputs: [{ offset: 19 }], made: 30, committed: 15 });
  });

  it("that differs in its state alone is found out by the newest digest", async () => {
    const sums = (weight: number): Topology => {
      const app = topology("sums");
      app
        .stream("in", { key: () => "all" })
        .process({
          state: { sum: valueState<number>() },
          onRecord(event, { state }) {
            state.sum.set((state.sum.get() ?? 0) + weight * (event as Event).n);
            return [];
          },
        })
        .to("out");
      return app;
    };
    const world = new AppWorld(hurried(sums(1), 20), 7);
    world.start("old");
    append(world, ...numbers(0, 10));
    await world.pass(2_000);
    await world.stop("old");
    append(world, { n: 1 });
    const changed = world.start("changed", CALM, hurried(sums(2), 20));
    expect(await divergenceOf(world, changed)).toMatchObject({ inputs: [{ offset: 9 }], made: 0, committed: 0 });
  });
});
