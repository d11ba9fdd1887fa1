/** What one replica does when something is the matter: no commit comes, poison, a pause, no room, another answer, a gap. */
import { describe, expect, it } from "vitest";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { fold } from "../../src/operators/aggregates/fold.ts";
import { topology, type Topology } from "../../src/operators/build/topology.ts";
import { valueState } from "../../src/operators/state/keyed-state.ts";
import { hopping, session, sliding, tumbling } from "../../src/operators/windows/window.ts";
import { RUNTIME_LIMITS } from "../../src/runtime/limits.ts";
import type { ReplicaStatus } from "../../src/runtime/replica.ts";
import type { ReplicaConfig } from "../../src/runtime/replica-config.ts";
import type { ReplicaEnd } from "../../src/runtime/replica-end.ts";
import type { WorkStatus } from "../../src/runtime/replica-work.ts";
import { hurried } from "./apps.ts";
import type { FeedRecord } from "../../src/runtime/task-log.ts";
import type { Committed } from "./memory-log.ts";
import { AppWorld, CALM, type Machine, type MachineName } from "./app-world.ts";
import { commitsStream, snapshotsStream } from "../../src/wire/app-streams.ts";

/** The sum so far of all records; what is skewed adds too much of all but ones. */
function copies(skew = 0): Topology {
  const app = topology("copies");
  app
    .stream("in")
    .map((n) => {
      if (n === 13) throw new Error("unlucky");
      return n as number;
    })
    .groupBy(() => "all")
    .reduce((a, b) => a + b + (b === 1 ? 0 : skew))
    .toStream()
    .flatMap((sum) => [sum])
    .to("out");
  return app;
}

/** Nothing comes of zeros. */
function increments(skew = 0): Topology {
  const app = topology("increments");
  app
    .stream("in")
    .flatMap((n) => (n === 0 ? [] : [(n as number) + skew]))
    .to("out");
  return app;
}

/** What differs is in no output. */
function hiddenSums(skew = 0): Topology {
  const app = topology("sums");
  app
    .stream("in", { key: (n) => ((n as number) % 2 === 0 ? "even" : "odd") })
    .process({
      state: { sum: valueState<number>() },
      onRecord(n, { state }) {
        state.sum.set((state.sum.get() ?? 0) + (n as number) + (n === 3 ? skew : 0));
        return [];
      },
    })
    .to("out");
  return app;
}

function worldOf(app: Topology, config: Partial<ReplicaConfig> = {}): AppWorld {
  return new AppWorld(app.build(), 7, config);
}

function append(world: AppWorld, ...values: readonly unknown[]): void {
  world.log.append(
    "in",
    values.map((value) => ({ value: utf8(JSON.stringify(value)) })),
  );
}

function sums(world: AppWorld): unknown[] {
  return world.log.of("out").map(({ value }) => JSON.parse(text(value as Uint8Array) as string) as unknown);
}

function nameOf(world: AppWorld, machine: Machine): MachineName {
  return [...world.machines].find(([, each]) => each === machine)?.[0] as MachineName;
}

function statusOf({ replicas }: Machine): ReplicaStatus {
  return (replicas[0] as (typeof replicas)[number]).status;
}

function workOf(running: Machine): WorkStatus {
  return statusOf(running).work as WorkStatus;
}

function endOf({ replicas }: Machine): Promise<ReplicaEnd> {
  return (replicas[0] as (typeof replicas)[number]).finished;
}

describe("taking over", () => {
  it("is one replica's work while it does it, and another's soon after it is gone", async () => {
    const world = worldOf(copies());
    const running = [world.start(), world.start(), world.start()];
    for (let n = 0; n < 30; n += 1) {
      append(world, 1);
      await world.pass(10);
    }
    const committing = running.filter((each) => workOf(each).committing);
    expect(committing.length).toBe(1);
    const first = world.log.committed("copies", "0.0");
    expect(new Set(first.map(({ commit }) => commit.replica)).size).toBe(1);
    world.kill(nameOf(world, committing[0] as Machine));
    const killedMs = world.clock.monotonic();
    append(world, 1);
    expect(await world.until(() => world.log.of("out").length === 31, 1_000)).toBe(true);
    // It has seen how soon commits come, and does not wait the 60 ms of who has not.
    expect(world.clock.monotonic() - killedMs).toBeLessThan(60);
    expect(running.filter((each) => workOf(each).committing).length).toBe(1);
    expect(await world.finish(1_000)).toBeUndefined();
  });

  it("is not tried while commits come, however many replicas wait", async () => {
    const world = worldOf(copies());
    for (let n = 0; n < 5; n += 1) world.start();
    for (let n = 0; n < 100; n += 1) {
      append(world, 1);
      await world.pass(5);
    }
    const replicas = world.log.committed("copies", "0.0").map(({ commit }) => commit.replica);
    expect(new Set(replicas).size).toBe(1);
    expect(world.log.refused).toBeLessThan(5);
  });

  it("waits its time for outputs, however long a cursor has waited before", async () => {
    const app = topology("rare");
    app
      .stream("in")
      .filter((n) => (n as number) % 20 === 0)
      .to("out");
    const world = worldOf(app);
    for (let n = 0; n < 3; n += 1) world.start();
    for (let n = 0; n < 400; n += 1) {
      append(world, n);
      await world.pass(10);
    }
    const replicas = world.log.committed("rare", "0.0").map(({ commit }) => commit.replica);
    expect(replicas.length).toBeGreaterThan(15);
    expect(new Set(replicas).size).toBe(1);
    expect(world.log.refused).toBeLessThan(3);
  });

  it("starts from the place it knows, and finds out where the task is", async () => {
    const world = worldOf(copies());
    const first = world.start();
    const second = world.start();
    append(world, 1, 2, 3);
    await world.pass(300);
    const [committing, waiting] = workOf(first).committing ? [first, second] : [second, first];
    waiting.worker.pause();
    append(world, 4);
    await world.pass(100);
    world.kill(nameOf(world, committing));
    append(world, 5);
    waiting.worker.resume();
    expect(await world.finish(2_000)).toBeUndefined();
    expect(sums(world)).toEqual([1, 3, 6, 10, 15]);
  });
});

describe("a commit", () => {
  it("does not wait for its time when there is as much as it takes along", async () => {
    const app = topology("many");
    app
      .stream("in")
      .flatMap((n) => Array.from({ length: n as number }, (_, at) => at))
      .to("out");
    const world = worldOf(app, { commitEveryMs: 2_000 });
    world.start();
    append(world, 1);
    await world.until(() => world.log.of("out").length === 1, 1_000);
    const many = RUNTIME_LIMITS.commitOutputsMax / 2;
    append(world, many, many, 2);
    await world.pass(500);
    expect(world.log.of("out").length).toBe(1 + 2 * many);
    await world.pass(2_000);
    expect(world.log.of("out").length).toBe(3 + 2 * many);
  });
});

describe("a cursor without outputs", () => {
  it("is committed now and then, and a timer's time soon", async () => {
    const app = topology("quiet");
    app
      .stream("in")
      .process({
        onRecord: (_, { timers, logTime }) => {
          timers.log(logTime + 5_000);
          return [];
        },
        onTimer: ({ due }) => [due],
      })
      .to("out");
    const world = worldOf(app, { cursorEveryMs: 1_000 });
    world.start();
    append(world, 1);
    const due = world.log.logTime + 5_000;
    await world.pass(200);
    expect(world.log.task("quiet", "0.0")?.nextDue).toBe(due);
    const before = world.log.committed("quiet", "0.0").length;
    for (let n = 0; n < 30; n += 1) {
      append(world, n);
      await world.pass(100);
    }
    const commits = world.log.committed("quiet", "0.0").length - before;
    expect(commits).toBeGreaterThan(1);
    expect(commits).toBeLessThan(6);
    // Nothing else happens: the log ticks because it was told when.
    expect(await world.until(() => world.log.of("out").length === 31, 20_000)).toBe(true);
    expect(world.fault()).toBeUndefined();
  });
});

describe("a task that has nothing more to do", () => {
  /** Log time passes a digest point by what others do. */
  async function passPoint(world: AppWorld): Promise<void> {
    for (let second = 0; second < 15; second += 1) {
      world.log.append("elsewhere", [{ value: utf8("1") }]);
      await world.pass(1_000);
    }
  }

  it("names its last digest point in a commit, once, whoever runs it by then", async () => {
    const world = worldOf(copies());
    const named = () => world.log.committed("copies", "0.0").flatMap(({ commit: { digests } }) => digests);
    const first = world.start();
    append(world, 1, 2);
    expect(await world.until(() => world.log.of("out").length === 2, 1_000)).toBe(true);
    expect(named()).toEqual([]);
    world.kill(nameOf(world, first));
    await passPoint(world);
    world.start();
    await passPoint(world);
    expect(named()).toMatchObject([{ records: 2 }]);
    // Of others who come to the same nobody takes over for that.
    const commits = world.log.committed("copies", "0.0").length;
    world.start();
    await passPoint(world);
    expect(world.log.committed("copies", "0.0").length).toBe(commits);
    append(world, 3);
    await passPoint(world);
    expect(new Set(named().map(({ records }) => records))).toEqual(new Set([2, 3]));
    expect(world.fault()).toBeUndefined();
  });
});

describe("poison", () => {
  it("goes to the dead letters, with where it was and why, and the task goes on", async () => {
    const world = worldOf(copies());
    world.start();
    world.start();
    append(world, 1, 13, 2);
    world.log.append("in", [{ value: utf8("{"), key: utf8("k") }]);
    append(world, 3);
    await world.until(() => world.log.of("out").length === 3, 2_000);
    expect(sums(world)).toEqual([1, 3, 6]);
    const letters = world.log.of("apps/copies/dead");
    const headers = letters.map(({ headers: held = [] }) =>
      Object.fromEntries(held.map(([name, value]) => [name, text(value)])),
    );
    expect(headers).toMatchObject([
      {
        "tidemark-app": "copies",
        "tidemark-task": "0.0",
        "tidemark-operator": "map-1",
        "tidemark-error": "unlucky",
        "tidemark-stream": "in",
        "tidemark-offset": "1",
      },
      { "tidemark-operator": "stream-1", "tidemark-offset": "3" },
    ]);
    expect(letters.map(({ value }) => text(value as Uint8Array))).toEqual(["13", "{"]);
    expect(text(letters[1]?.key as Uint8Array)).toBe("k");
    expect(world.ends).toEqual([]);
  });

  it("of a timer says when it was due", async () => {
    const app = topology("timers");
    app
      .stream("in")
      .process({
        onRecord: (_, { timers, logTime }) => {
          timers.log(logTime + 10, "reminder");
          return [];
        },
        onTimer() {
          throw new Error("late");
        },
      })
      .to("out");
    const world = worldOf(app);
    world.start();
    append(world, 1);
    const due = world.log.logTime + 10;
    await world.until(() => world.log.of("apps/timers/dead").length === 1, 2_000);
    const [letter] = world.log.of("apps/timers/dead");
    expect([letter?.value, letter?.timestamp]).toEqual([null, due]);
    const told = letter?.headers?.map(([name, value]) => [name, text(value)]);
    expect(told).toEqual(
      expect.arrayContaining([
        ["tidemark-timer", `${due}`],
        ["tidemark-timer-of", "process-1"],
        ["tidemark-key", "null"],
        ["tidemark-timer-name", '"reminder"'],
      ]),
    );
  });

  it.each([
    ["tumbling", tumbling({ sizeMs: 10, graceMs: 3 }), 20, 30],
    ["hopping", hopping({ sizeMs: 10, everyMs: 10, offsetMs: 5 }), 15, 25],
    ["sliding", sliding({ sizeMs: 10 }), 15, 25],
    ["session", session({ gapMs: 10, graceMs: 3 }), 24, 34],
  ])("of a %s window says of which key it is, and when it began and ended", async (_kind, window, start, end) => {
    const app = topology("windows");
    const never = fold<unknown, number, number>({
      start: () => 0,
      add: (sum, n) => sum + Number(n),
      merge: (a, b) => a + b,
      result: () => {
        throw new Error("no result");
      },
    });
    app
      .stream("in", { key: () => ["k", 1] })
      .groupByKey()
      .window(window)
      .aggregate(never)
      .to("out");
    const world = worldOf(app);
    world.start();
    world.log.append(
      "in",
      [24, 100].map((timestamp) => ({ value: utf8("1"), timestamp })),
    );
    await world.until(() => world.log.of("apps/windows/dead").length > 0, 2_000);
    const [letter] = world.log.of("apps/windows/dead");
    const told = new Map(letter?.headers?.map(([name, value]) => [name, text(value)]));
    const facts = ["error", "key", "window-start", "window-end"].map((name) => told.get(`tidemark-${name}`));
    expect(facts).toEqual(["no result", '["k",1]', `${start}`, `${end}`]);
  });

  it("stops the task, if it is set up so", async () => {
    const world = worldOf(copies(), { poison: "stop" });
    const running = world.start();
    append(world, 1, 2);
    await world.pass(300);
    append(world, 13, 4);
    await world.pass(300);
    expect(await endOf(running)).toMatchObject({
      kind: "poison",
      poison: { operator: "map-1", at: { kind: "record", source: "in", offset: 2 } },
    });
    expect(statusOf(running).state).toBe("poison");
    expect(sums(world)).toEqual([1, 3]);
  });

  it("stops the task when all before it is committed, and again where it stands", async () => {
    const world = worldOf(copies(), { poison: "stop", commitEveryMs: 5_000, cursorEveryMs: 5_000 });
    append(world, 1, 2, 13, 4);
    const running = [world.start(), world.start()];
    await world.pass(1_000);
    for (const each of running) expect(await endOf(each)).toMatchObject({ kind: "poison" });
    expect(sums(world)).toEqual([1, 3]);
    const again = world.start();
    await world.pass(1_000);
    expect(await endOf(again)).toMatchObject({ poison: { at: { source: "in", offset: 2 } } });
    expect(sums(world)).toEqual([1, 3]);
  });
});

describe("an app", () => {
  it("that is paused commits nothing, and goes on where it was", async () => {
    const world = worldOf(copies());
    const running = [world.start(), world.start()];
    append(world, 1);
    await world.pass(300);
    world.log.pause("copies", "0.0", true);
    append(world, 2);
    await world.pass(1_000);
    expect(sums(world)).toEqual([1]);
    expect(running.map((each) => statusOf(each).state)).toContain("paused");
    world.log.pause("copies", "0.0", false);
    expect(await world.finish(2_000)).toBeUndefined();
    expect(running.map((each) => statusOf(each).state)).toEqual(["running", "running"]);
  });

  it("of a newer epoch ends the replicas of the older, whether they commit or not", async () => {
    const world = worldOf(copies());
    const old = [world.start(), world.start()];
    append(world, 1);
    await world.pass(300);
    world.log.deploy("copies", "0.0", 2);
    world.start();
    append(world, 2);
    await world.pass(500);
    expect((await Promise.all(old.map(endOf))).map(({ kind }) => kind)).toEqual(["fenced", "fenced"]);
    expect(sums(world)).toEqual([1, 3]);
  });

  it("that is not there ends its replicas", async () => {
    const world = worldOf(copies());
    world.log.remove("copies", "0.0");
    const running = world.start();
    await world.pass(100);
    expect(await endOf(running)).toEqual({ kind: "gone" });
  });
});

describe("backpressure", () => {
  it("stops the reading when nothing is committed, and lets it go on", async () => {
    const app = topology("many");
    app
      .stream("in")
      .flatMap((n) => Array.from({ length: n as number }, (_, copy) => copy))
      .to("out");
    const world = worldOf(app);
    const running = [world.start(), world.start()];
    world.log.pause("many", "0.0", true);
    const each = 10_000;
    const inputs = 8;
    for (let n = 0; n < inputs; n += 1) append(world, each);
    await world.pass(2_000);
    for (const { pendingOutputs, place } of running.map(workOf)) {
      expect(pendingOutputs).toBeLessThan(RUNTIME_LIMITS.pendingOutputsMax + 5 * each);
      expect(place.cursor.position).toBeLessThan(world.log.position);
    }
    world.log.pause("many", "0.0", false);
    await world.until(() => world.log.task("many", "0.0")?.place.outputs === inputs * each, 10_000);
    expect(world.log.of("out").length).toBe(inputs * each);
    // Whoever did not commit knows it, too.
    await world.pass(200);
    expect(running.map((one) => workOf(one).pendingOutputs)).toEqual([0, 0]);
  });

  it("bounds what waits for the disk, and what is committed goes there even if no commit is seen", async () => {
    const app = topology("heavy");
    app
      .stream("in", { key: String })
      .process({
        state: { text: valueState<string>() },
        onRecord: (n, { state }) => {
          state.text.set(`${"x".repeat(1024 * 1024)}${n as number}`);
          return (n as number) < 0 ? [n] : [];
        },
      })
      .to("out");
    const world = worldOf(app);
    const running = world.start();
    const [disk] = running.disks;
    await world.pass(100);
    const each = 1_050_000;
    const perBound = Math.ceil(RUNTIME_LIMITS.unflushedBytesMax / each);
    // Nothing comes out, and how far it is read is committed.
    for (let n = 0; n < 2 * perBound; n += 1) append(world, n);
    const newest = world.log.position;
    expect(await world.until(() => workOf(running).place.cursor.position === newest, 5_000)).toBe(true);
    expect(disk?.mutations).toBeGreaterThan(0);
    // From now on nothing is.
    world.log.pause("heavy", "0.0", true);
    append(world, -1);
    for (let n = 0; n < 2 * perBound; n += 1) append(world, 1_000 + n);
    const end = world.log.position;
    await world.pass(3_000);
    expect(workOf(running).place.cursor.position).toBeLessThan(end - perBound / 2);
    world.log.pause("heavy", "0.0", false);
    expect(await world.until(() => workOf(running).place.cursor.position === end, 10_000)).toBe(true);
  });

  it("stops in the midst of what one record makes due", async () => {
    const app = topology("ticking");
    app
      .stream("in")
      .process({
        onRecord: (_, { timers, logTime }) => {
          timers.log(logTime + 1);
          return [];
        },
        onTimer: ({ due }, { timers }) => {
          timers.log(due + 1);
          return [new Uint8Array(64 * 1024)];
        },
      })
      .to("out");
    const world = worldOf(app);
    const running = world.start();
    append(world, 1);
    await world.pass(100);
    world.log.pause("ticking", "0.0", true);
    running.worker.cut = true;
    await world.pass(1_000);
    append(world, 2);
    running.worker.cut = false;
    await world.pass(2_000);
    const full = RUNTIME_LIMITS.pendingBytesMax / (64 * 1024);
    expect(workOf(running).pendingOutputs).toBeLessThan(1.25 * full);
    world.log.pause("ticking", "0.0", false);
    expect(await world.until(() => world.log.of("out").length > 1_000, 5_000)).toBe(true);
  });
});

/** It has committed already when two come that compute otherwise, and right. */
async function wrongLeader(world: AppWorld): Promise<{ readonly bad: Machine; readonly good: readonly Machine[] }> {
  const bad = world.start("skewed", CALM, copies(1).build());
  append(world, 1);
  await world.pass(300);
  const good = [world.start(), world.start()];
  await world.pass(100);
  return { bad, good };
}

describe("a replica that differs", () => {
  it("stops, if most are against it, and the others go on", async () => {
    const world = worldOf(copies());
    const good = [world.start(), world.start()];
    append(world, 1);
    await world.pass(300);
    const bad = world.start("skewed", CALM, copies(1).build());
    append(world, 2, 3);
    await world.pass(500);
    // With the offset, the key and both values.
    expect(await endOf(bad)).toMatchObject({
      kind: "contradicted",
      evidence: {
        replica: "replica-2",
        difference: {
          what: "output",
          name: "output 1 to out",
          key: "all",
          input: { stream: "in", offset: 1 },
          values: { "replica-2": "4", "replica-0": "3" },
        },
      },
    });
    append(world, 4);
    await world.until(() => world.log.of("out").length === 4, 2_000);
    expect(sums(world)).toEqual([1, 3, 6, 10]);
    expect(good.map((each) => [statusOf(each).state, workOf(each).disputed])).toEqual([
      ["running", false],
      ["running", false],
    ]);
  });

  it("stops even if it is the one that commits", async () => {
    const world = worldOf(copies());
    const { bad, good } = await wrongLeader(world);
    append(world, 2);
    await world.pass(500);
    const { evidence } = (await endOf(bad)) as Extract<ReplicaEnd, { kind: "contradicted" }>;
    expect(evidence.difference?.values["replica-0"]).toBe("4");
    expect(evidence.difference).toMatchObject({ what: "output", key: "all", input: { stream: "in", offset: 1 } });
    // What the others have it learned from them alone.
    expect(Object.values(evidence.difference?.values ?? {})).toEqual(expect.arrayContaining(["3", "4"]));
    expect(Object.keys(evidence.hashes)).toContain("replica-0");
    append(world, 3);
    await world.until(() => world.log.of("out").length === 3, 2_000);
    expect(sums(world).at(-1)).toBe(6);
    expect(good.map((each) => statusOf(each).state)).toEqual(["running", "running"]);
    expect(workOf(bad).committing).toBe(false);
  });

  it("stops even if what the others said of it was lost, and nothing more is committed", async () => {
    const world = worldOf(copies());
    const { bad, good } = await wrongLeader(world);
    for (const { worker } of good) worker.muted = true;
    append(world, 2);
    await world.pass(2_000);
    expect(good.map((each) => workOf(each).disputed)).toEqual([true, true]);
    for (const { worker } of good) worker.muted = false;
    await world.pass(3_000);
    expect(statusOf(bad).end).toMatchObject({ kind: "contradicted" });
    expect(good.map((each) => [statusOf(each).state, workOf(each).disputed])).toEqual([
      ["running", false],
      ["running", false],
    ]);
  });

  it("stops even if it made the last commit when another one begins that is right: two are against it then", async () => {
    const world = worldOf(copies());
    const bad = world.start("skewed", CALM, copies(1).build());
    append(world, 1);
    await world.pass(300);
    const good = [world.start()];
    await world.pass(100);
    append(world, 2);
    await world.pass(300);
    expect([sums(world), workOf(bad).committing, workOf(bad).disputed]).toEqual([[1, 4], true, true]);
    good.push(world.start());
    for (let n = 0; n < 30; n += 1) {
      append(world, 0);
      await world.pass(50);
    }
    expect(await endOf(bad)).toMatchObject({ kind: "contradicted" });
    append(world, 3);
    await world.pass(500);
    expect(sums(world).at(-1)).toBe(6);
    expect(good.map((each) => [statusOf(each).state, workOf(each).disputed])).toEqual([
      ["running", false],
      ["running", false],
    ]);
  });

  it("in its state alone stops with the row, what it has there, and what the others have", async () => {
    const world = worldOf(hiddenSums());
    const good = [world.start(), world.start()];
    append(world, 1);
    await world.pass(300);
    const bad = world.start("skewed", CALM, hiddenSums(1).build());
    const boundaryMs = 10_000;
    await world.pass(boundaryMs + 100);
    append(world, 1, 3, 5);
    await world.pass(boundaryMs + 100);
    append(world, 1);
    await world.pass(2_500);
    expect(await endOf(bad)).toMatchObject({
      kind: "contradicted",
      evidence: {
        difference: {
          what: "state",
          name: 'state of process-1 ["sum",0]',
          key: '"odd"',
          input: { stream: "in", offset: 3 },
          values: { "replica-2": '{"value":11}', "replica-0": '{"value":10}' },
        },
      },
    });
    expect(good.map((each) => statusOf(each).state)).toEqual(["running", "running"]);
  });

  it("is an alarm where there is no majority, said once, and both go on", async () => {
    const world = worldOf(copies());
    const first = world.start();
    append(world, 1);
    await world.pass(300);
    const second = world.start("skewed", CALM, copies(1).build());
    for (let n = 0; n < 20; n += 1) {
      append(world, 2);
      await world.pass(20);
    }
    expect([first, second].map((each) => [statusOf(each).state, workOf(each).disputed])).toEqual([
      ["running", true],
      ["running", true],
    ]);
    const statements = world.log.of(commitsStream("copies", "0.0")).filter(({ key }) => key !== undefined);
    // Each its own, and the one that did not commit where they differ.
    expect(statements.length).toBe(3);
    await world.pass(2_000);
    expect(world.disputes.map(({ difference }) => difference)).toEqual(
      Array(2).fill({
        what: "output",
        name: "output 1 to out",
        key: "all",
        input: { stream: "in", offset: 1 },
        values: { "replica-0": "3", "replica-1": "4" },
      }),
    );
    // A third decides it, however long that takes, at what is committed next.
    world.start();
    await world.pass(100);
    append(world, 2);
    await world.pass(500);
    expect(await endOf(second)).toMatchObject({ kind: "contradicted" });
    expect(statusOf(first).state).toBe("running");
  });

  it("may have committed further input with fewer outputs: who has more of them, and is not so far, goes on", async () => {
    const world = worldOf(copies(), { commitEveryMs: 10_000 });
    const replica = world.start();
    append(world, 1);
    await world.until(() => sums(world).length === 1, 20_000);
    append(world, 2, 3, 4);
    await world.pass(100);
    const { commit } = world.log.committed("copies", "0.0").at(-1) as Committed;
    const newest = world.log.of("in").at(-1) as FeedRecord;
    const ahead = { ...newest.place, position: newest.place.position + 100 };
    const from = commit.to;
    const forged = { ...commit, replica: "forged", from, to: { cursor: ahead, outputs: from.outputs + 1 }, chain: 1n };
    expect(world.log.commit(forged, []).ok).toBe(true);
    await world.pass(1_000);
    expect(statusOf(replica).state).toBe("running");
    expect(workOf(replica).committing).toBe(false);
  });

  it("is found out by one that begins with a snapshot, and knows nothing of what was said before", async () => {
    const world = new AppWorld(hurried(copies(), 20), 7, {}, 40);
    const first = world.start();
    for (let n = 0; n < 20; n += 1) {
      append(world, 1);
      await world.pass(20);
    }
    const second = world.start("skewed", CALM, hurried(copies(1), 20), { takeoverMs: 1_000_000 });
    const both = [first, second];
    for (let n = 0; n < 20; n += 1) {
      append(world, 2);
      await world.pass(20);
    }
    expect(both.map((each) => workOf(each).disputed)).toEqual([true, true]);
    world.kill(nameOf(world, first));
    const others = [world.start(), world.start()];
    for (let n = 0; n < 100 && statusOf(second).state === "running"; n += 1) {
      append(world, 3);
      await world.pass(20);
    }
    expect(others.map((each) => statusOf(each).restored?.doneBytes)).toEqual([expect.any(Number), expect.any(Number)]);
    expect(await endOf(second)).toMatchObject({ kind: "contradicted" });
    expect(others.map((each) => statusOf(each).state)).toEqual(["running", "running"]);
  });

  it("takes no snapshots, and no input goes on any, while it is open which of two is wrong", async () => {
    const world = new AppWorld(hurried(copies(), 20), 7, {}, 40);
    const seen = async (rounds: number, value = 1): Promise<readonly number[]> => {
      for (let n = 0; n < rounds; n += 1) {
        append(world, value);
        await world.pass(20);
      }
      return [world.log.first("in"), world.log.of(snapshotsStream("copies", "0.0")).length];
    };
    const first = world.start();
    const [trimmed = 0] = await seen(30);
    expect(trimmed).toBeGreaterThan(5);
    const second = world.start("skewed", CALM, hurried(copies(1), 20));
    await seen(10, 2);
    expect([first, second].map((each) => workOf(each).disputed)).toEqual([true, true]);
    const open = await seen(1);
    expect(await seen(30)).toEqual(open);
    world.start();
    await seen(60);
    expect(statusOf(second).state).toBe("contradicted");
    const [trimmedThen = 0] = await seen(30);
    expect(trimmedThen).toBeGreaterThan(open[0] as number);
    expect(world.fault()).toBeUndefined();
  });

  it("is one voice, however often it is started again", async () => {
    const world = new AppWorld(hurried(copies(), 20), 7, {}, 40);
    const good = [world.start(), world.start()];
    for (let life = 0; life < 4; life += 1) {
      // So that it begins with a snapshot, behind what it would make otherwise.
      for (let n = 0; n < 20; n += 1) {
        append(world, 1);
        await world.pass(20);
      }
      const bad = world.start("skewed", CALM, hurried(copies(1), 20));
      await world.pass(100);
      append(world, 2);
      await world.pass(300);
      expect(await endOf(bad)).toMatchObject({ kind: "contradicted" });
    }
    expect(good.map((each) => [statusOf(each).state, workOf(each).disputed])).toEqual([
      ["running", false],
      ["running", false],
    ]);
  });
});

describe("a replica that is started again and differs in the last output that was committed", () => {
  it("is one voice about it, also where what is committed next has no output", async () => {
    const world = worldOf(increments(), { cursorEveryMs: 10 });
    const good = world.start();
    const startBad = (): Machine => world.start("skewed", CALM, increments(1).build(), { takeoverMs: 1_000_000 });
    startBad();
    append(world, 1);
    await world.pass(200);
    expect(workOf(good).disputed).toBe(true);
    for (let life = 0; life < 2; life += 1) {
      world.kill("skewed");
      startBad();
      await world.pass(100);
      append(world, 0);
      await world.pass(500);
    }
    expect(statusOf(good).state).toBe("running");
    append(world, 2);
    await world.until(() => sums(world).length === 2, 2_000);
    expect(sums(world)).toEqual([1, 2]);
  });
});

describe("input that is gone", () => {
  it("ends the replica that had not read it", async () => {
    const world = worldOf(copies());
    const running = world.start();
    append(world, 1);
    await world.pass(300);
    running.worker.cut = true;
    append(world, 2);
    append(world, 3);
    world.log.trim("in", 2);
    running.worker.cut = false;
    await world.pass(300);
    expect(await endOf(running)).toEqual({ kind: "input-trimmed", stream: "in", from: 1, to: 2 });
  });
});
